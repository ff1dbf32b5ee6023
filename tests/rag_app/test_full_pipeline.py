"""The whole pipeline over a real vLLM server, which holds a tiny chat model with random weights.

What such a model writes is noise. That every stage asks it, gets an answer, and hands on what the
next one needs is not.
"""

import json

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole

from generation.reading import TextDelta
from rag_app.assembly import application as assembly
from rag_app.results import Answer, SearchResult
from rag_app.service import QueryOptions
from rag_app.settings import Settings, override
from tests.rag_app.command import rag_app
from tests.rag_app.support import prose, write

QUESTION = "Where does the copper lantern hang?"
HISTORY = [
    ChatMessage(role=MessageRole.USER, content="What is in the harbour?"),
    ChatMessage(role=MessageRole.ASSISTANT, content="A lantern."),
]
PASSAGES = 6


@pytest.fixture
def full(settings: Settings, chat_server) -> Settings:
    """Every stage with a language model."""
    stages = {
        "llm": {
            "api_base": f"{chat_server.url}/v1", "model": "tiny-chat",
            "context_window": 2048, "max_tokens": 24,
        },
        "condense": {"kind": "llm"},
        "rewrite": {"kind": "llm", "tokens": 64, "rewrites": 2, "rounds": 2},
        "rerank": {"kind": "qwen", "candidates": 12, "passage_tokens": 64},
        "reader": {"kind": "llm", "passages": 2},
        "retrieval": {"top_k": PASSAGES},
    }  # fmt: skip
    return override(settings, stages)


@pytest.fixture
async def application(full, encoder, tmp_path):
    application, _ = assembly.open_application(full)
    files = {f"{name}.txt": prose(name, 20) for name in "abcd"}
    await application.ingest("c", [write(tmp_path / "in", files)])
    yield application
    await application.close()


async def asked(application, **chosen) -> tuple[SearchResult, str, Answer]:
    events = application.ask("c", QUESTION, HISTORY, QueryOptions(**chosen))
    found, *pieces, answer = [event async for event in events]
    written = "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))
    return found, written, answer


@pytest.mark.slow
async def test_a_question_travels_through_all_stages(application):
    found, written, answer = await asked(application)
    assert written == answer.text
    stages = {stage["stage"]: stage for stage in answer.trace.stages}
    assert [(name, stage["kind"]) for name, stage in stages.items()] == [
        ("condense", "llm"), ("rewrite", "llm"), ("retrieve", "hybrid"), ("rerank", "qwen"),
        ("read", "llm"),
    ]  # fmt: skip
    assert stages["rerank"]["ok"] == 12, "a constrained grade can always be read"
    assert stages["rerank"]["calls"] == 12
    assert stages["rewrite"]["queries"][0] == found.query
    assert stages["read"]["completion_tokens"] == answer.trace.tokens["completion"]
    assert all(stages[name]["uncounted"] == 0 for name in ("condense", "rewrite", "read"))
    assert len(found.hits) == PASSAGES
    assert {"fused", "reranked"} <= set(found.hits[0].ranks)
    assert [hit.ranks["reranked"] for hit in found.hits] == [*range(1, PASSAGES + 1)]
    assert answer.trace.passages_given == 2


@pytest.mark.slow
@pytest.mark.parametrize("left_out", ["condense", "rewrite", "rerank", "retriever"])
async def test_each_stage_can_be_left_out(application, left_out):
    _, _, answer = await asked(application, **{left_out: "none"})
    stage = "retrieve" if left_out == "retriever" else left_out
    entry = next(entry for entry in answer.trace.stages if entry["stage"] == stage)
    assert entry["kind"] == "none"
    assert "calls" not in entry
    assert answer.grounded == (left_out != "retriever")


@pytest.mark.slow
def test_the_command_does_the_same(full, chat_server, tmp_path):
    config, storage = tmp_path / "config.toml", tmp_path / "storage"
    config.write_text(
        f'[llm]\napi_base = "{chat_server.url}/v1"\nmodel = "tiny-chat"\n'
        'context_window = 2048\nmax_tokens = 24\n[reader]\nkind = "llm"\npassages = 2\n'
        '[rewrite]\ntokens = 64\n[rerank]\ncandidates = 8\npassage_tokens = 64\n'
    )  # fmt: skip
    folder = write(tmp_path / "in", {"a.txt": prose("a", 60)})
    rag_app("ingest", folder, storage=storage)
    done = rag_app(
        "--config", config, "ask", QUESTION, "--rewrite", "llm", "--rerank", "qwen", "--json",
        storage=storage, network=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    kinds = {stage["stage"]: stage["kind"] for stage in answer["trace"]["stages"]}
    assert kinds["rewrite"] == kinds["read"] == "llm"
    assert kinds["rerank"] == "qwen"
