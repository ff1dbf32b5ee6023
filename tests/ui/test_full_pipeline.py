"""The chat over a real vLLM server: every stage with a language model, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ui.browser import WIDE, Browser, require_chromium
from tests.ui.running import RunningApp
from tests.vllm_server import VllmServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def app(tmp_path: Path, chat_server: VllmServer) -> Iterator[RunningApp]:
    require_chromium()
    running = RunningApp(
        tmp_path / "storage",
        ["ui", "--no-open", "--port", "0"],
        RAG_APP_LLM__API_BASE=f"{chat_server.url}/v1",
        RAG_APP_LLM__MODEL="tiny-chat",
        RAG_APP_LLM__CONTEXT_WINDOW="2048",
        RAG_APP_LLM__MAX_TOKENS="24",
        RAG_APP_CONDENSE__KIND="llm",
        RAG_APP_REWRITE__KIND="llm",
        RAG_APP_REWRITE__TOKENS="64",
        RAG_APP_RERANK__KIND="qwen",
        RAG_APP_RERANK__CANDIDATES="8",
        RAG_APP_RERANK__PASSAGE_TOKENS="48",
        RAG_APP_READER__KIND="llm",
        RAG_APP_READER__PASSAGES="1",
    )
    yield running
    running.stop()
    assert not [line for line in running.lines if "Traceback" in line], running.lines


def test_a_question_and_a_follow_up_travel_through_all_stages(
    app: RunningApp, tmp_path: Path
) -> None:
    page = Browser(tmp_path / "profile", WIDE)
    try:
        page.open(app.page)
        page.until(lambda: page.all(".offer"), "the samples did not come", 60)
        for asked, question in enumerate(["What is wet stacking?", "And why?"], start=1):
            page.ask(question)
            assert len(page.wait_for_answers(asked)) == asked
            assert not page.all("#turns .error"), page.text("#turns")
        page.click(".hit .why summary")
        assert "reranked" in page.text(".hit .ranks").lower()
        page.tab("Timings")
        page.until(lambda: "Rerank" in page.text(".trace"))
        shown = page.text(".trace")
        assert all(name in shown for name in ("Condense", "Rewrite", "Retrieve", "Read"))
        assert "qwen" in shown
        page.screenshot("full-pipeline")
    finally:
        page.close()
