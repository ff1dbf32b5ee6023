"""The programs and the settings file of docs/llamaindex.md do what it says."""

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.rag_app.command import environment, rag_app

PAGE = (REPOSITORY / "docs" / "llamaindex.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_settings_file_names_components_that_answer(tmp_path):
    (settings,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "settings.toml").write_text(settings)
    (tmp_path / "boats.txt").write_text("Boats are painted in May.")
    flags = ["--config", tmp_path / "settings.toml"]
    storage = tmp_path / "storage"
    done = rag_app(*flags, "ingest", tmp_path / "boats.txt", storage=storage)
    assert done.returncode == 0, done.stderr
    done = rag_app(*flags, "ask", "When are boats painted?", "--json", storage=storage)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "Boats are painted in May." in answer["answer"], "the stock model repeats its prompt"
    assert not answer["truncated"]


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        (PROGRAMS[0], ["**The blue pump is drained every spring.** [1]", "Ada", "1", "0"]),
        (PROGRAMS[1], ["**Boats are painted in May.** [1]"]),
    ],
    ids=["ours in yours", "yours in ours"],
)
def test_the_programs_run(tmp_path, program, lines):
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path, TMPDIR=str(tmp_path)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == lines
