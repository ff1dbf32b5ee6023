"""The two programs of docs/llamaindex.md do what it says."""

import re
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.rag_app.command import environment

PROGRAMS = re.findall(
    r"```python\n(.*?)```", (REPOSITORY / "docs" / "llamaindex.md").read_text("utf-8"), re.DOTALL
)


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
