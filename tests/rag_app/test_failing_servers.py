"""Language models that fail: a question gets an answer from what is left, in time."""

import time

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole

from rag_app.assembly import application as assembly
from rag_app.results import Answer
from rag_app.service import QueryOptions
from rag_app.settings import override
from tests.openai_server import Reply
from tests.rag_app.support import prose, write

HISTORY = [ChatMessage(role=MessageRole.USER, content="What hangs in the harbour?")]
DEADLINE = 1.0
STAGES = 3

FAULTS = {
    "dies": Reply("some words", die_after=0),
    "hangs": Reply("some words", hang_after=0),
    "is busy": Reply(status=429, error="too many requests"),
    "is broken": Reply(status=500),
    "sends half a JSON": Reply(body='{"choices": [{"mess'),
    "sends garbage": Reply(body='{"choices": 7}'),
    "says nothing": Reply(""),
}


@pytest.fixture
async def application(settings, encoder, openai_server, tmp_path):
    chosen = {
        "llm": {"api_base": openai_server.url, "model": openai_server.model},
        "condense": {"kind": "llm", "deadline": DEADLINE},
        "rewrite": {"kind": "llm", "deadline": DEADLINE},
        "rerank": {"kind": "qwen", "deadline": DEADLINE, "candidates": 8},
    }
    application, _ = assembly.open_application(override(settings, chosen))
    lantern = "The copper lantern hangs above the harbour gate."
    files = {"a.txt": prose("a", 60), "b.txt": lantern}
    await application.ingest("c", [write(tmp_path / "in", files)])
    yield application
    await application.close()


async def answered(application, **options) -> Answer:
    asked = application.ask("c", "Where does the lantern hang?", HISTORY, QueryOptions(**options))
    *_, answer = [event async for event in asked]
    return answer


@pytest.mark.parametrize("fault", FAULTS)
async def test_an_answer_comes_from_what_is_left(application, openai_server, fault):
    openai_server.replies = [FAULTS[fault]]
    start = time.monotonic()
    answer = await answered(application)
    assert time.monotonic() - start < STAGES * DEADLINE + 60, "a client would wait for ten minutes"
    assert answer.grounded
    assert answer.citations
    stages = {stage["stage"]: stage for stage in answer.trace.stages}
    assert stages["condense"]["fallback"]
    assert stages["rewrite"]["fallback"]
    assert stages["rerank"]["ok"] == 0
    ranks = [hit.ranks["fused"] for hit in answer.hits]
    assert ranks == sorted(ranks), "the retriever's order stands"


async def test_a_model_that_the_server_does_not_have_is_told_in_the_trace(
    settings, application, openai_server
):
    openai_server.model = "another"
    answer = await answered(application)
    stages = {stage["stage"]: stage for stage in answer.trace.stages}
    assert "404" in stages["rewrite"]["fallback"]
    assert answer.citations


async def test_a_server_that_comes_back_is_used_again(application, openai_server):
    openai_server.replies = [Reply(status=500)]
    assert "fallback" in (await answered(application)).trace.stages[1]
    openai_server.replies = [Reply("The lantern, its pier and its keeper.")]
    rewrite = (await answered(application)).trace.stages[1]
    assert "fallback" not in rewrite
    assert rewrite["rewrites"] == 1
