import logging
import os
import subprocess
import sys
from pathlib import Path

from data import telemetry


def test_dependencies_are_told_not_to_phone_home(monkeypatch):
    names = {"GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"}
    for name in names:
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(logging.getLogger("httpx"), "level", logging.NOTSET)
    telemetry.silence()
    assert all(os.environ[name] for name in names)
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO), "addresses hold questions"


def test_no_encoder_of_ours_leaves_a_device_id_behind(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from retrieval import MiniLMEmbedding;"
        "MiniLMEmbedding(Path(sys.argv[1])).encode_query('x')"
    )
    home, models = tmp_path / "home", tmp_path / "models"
    home.mkdir()
    subprocess.run(
        [sys.executable, "-c", code, str(models)],
        env={"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert [path for path in home.rglob("*") if path.is_file()] == []
