import logging
import os

from rag_app import telemetry


def test_dependencies_are_told_not_to_phone_home(monkeypatch):
    names = {"GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"}
    for name in names:
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(logging.getLogger("httpx"), "level", logging.NOTSET)
    telemetry.silence()
    assert all(os.environ[name] for name in names)
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO), "addresses hold questions"
