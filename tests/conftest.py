"""Fixtures shared by all tests, and the rule that CI passes nothing over."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings

from tests.scheduling import Scheduling, rank
from tests.tiny_models import tiny_chat, tiny_llama
from tests.ui.running import RunningApp
from tests.vllm_server import Metrics, VllmServer, vllm_server

REPOSITORY = Path(__file__).resolve().parent.parent
_OF_TESTS = {"RAG_APP_SHARED_DATA", "RAG_APP_ARTIFACTS", "RAG_APP_VLLM_VENV"}
OPTIONAL = "optional:"
"""Begins the reason of a skip that CI accepts: the test needs what CI cannot have."""

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets that lies beside a checkout; tests that need it skip without."""
    folder = Path(os.environ.get("RAG_APP_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set RAG_APP_SHARED_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def tiny_reasonir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as ReasonIR-8B's, of 64 dimensions."""
    return tiny_llama(tmp_path_factory.mktemp("tiny") / "reasonir")


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model with random weights."""
    return tiny_chat(tmp_path_factory.mktemp("tiny") / "chat")


@pytest.fixture(scope="session")
def chat_server(chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """The tiny chat model, served by a real vLLM under the name ``tiny-chat``.

    Its window is long, so that a client can leave seconds before the end of an answer.
    """
    flags = ["--served-model-name", "tiny-chat", "--max-model-len", "8192"]
    command = ["vllm", "serve", str(chat_model), *flags]
    with vllm_server(command, tmp_path_factory.mktemp("vllm")) as running:
        yield running


@pytest.fixture
def metrics(chat_server: VllmServer) -> Iterator[Metrics]:
    """What the chat server says of itself."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield Metrics(chat_server, client)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the person who runs the tests must not reach them."""
    for name in os.environ:
        if name.startswith("RAG_APP_") and name not in _OF_TESTS:
            monkeypatch.delenv(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, a skipped test fails the run, unless its reason begins with `optional:`."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return
    skipped = [str(report.longrepr) for report in reporter.stats.get("skipped", [])]
    missing = [reason for reason in skipped if OPTIONAL not in reason]
    if missing:
        reporter.write_line("")
        reporter.write_line("\n".join(["CI must not skip:", *missing]), red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The application as `rag-app serve` runs it, one for the tests of a file."""
    app = RunningApp(tmp_path_factory.mktemp("storage"), ["serve", "--port", "0"])
    yield app
    app.stop()
