"""Servers that lie: each lie is a named error, within its time and a bounded memory."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from data.errors import RagAppError
from rag_app.assembly import application as assembly
from rag_app.probes.base import Problem
from rag_app.probes.models import language_model
from rag_app.results import Answer
from rag_app.service import QueryOptions
from rag_app.settings import LLMSettings, override
from retrieval.encoders.errors import EncoderError
from retrieval.encoders.remote.embedding_server import EmbeddingServer
from retrieval.reranking.cross_encoder import CrossEncoderReranker
from retrieval.reranking.pointwise import Grading
from tests.adversity.lying import OF_ANY_SERVER, Lie, lying_server, says, streams
from tests.rag_app.support import prose, write
from tests.retrieval.reranking.scripted import ids, passages

SECONDS = 0.5
MIB = 1 << 20
MOST = 192 * MIB
"""Memory that one lie may take for a moment; the server that tells it is in this process, too."""
STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fails where this process grew by more than `MOST`, be it for a moment only."""

    def size(name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())
        assert found
        return int(found[1]) * 1024

    if not PEAK.exists():
        pytest.skip("optional: the peak of memory is told by Linux alone")
    PEAK.write_text("5")  # forgets the peak so far
    before = size("VmRSS")
    yield
    assert size("VmHWM") - before < MOST


def event(**delta: object) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, **delta}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


WORDS = event(delta={"content": "word " * 20})
CHATS = OF_ANY_SERVER | {
    "a second choice without end": streams(event(index=1 << 80, delta={"content": "a" * 5000})),
    "empty tokens without end": streams(event(delta={"content": ""})),
    "thoughts without end": streams(event(delta={"reasoning_content": "hm " * 5000})),
    "comments without end": streams(b": wait\n\n" * 100),
    "blank lines without end": streams(b"\n" * 10_000),
    "a line without end": streams(b"x" * 65_536, first=b"data: "),
    "an event without end": streams(b"data: }\n" * 1000),
    "a token now and then": streams(WORDS, pause=0.05),
    "choices of numbers": streams(b'data: {"choices": [1, 2]}\n\n'),
    "a token that is a list": streams(event(delta={"content": [[[["a"]]]]})),
    "a whole answer of numbers": says({"choices": [{"message": {"content": 7}}]}),
}


@pytest.fixture
async def ask(settings, encoder, tmp_path) -> AsyncIterator:
    opened = []
    folder = write(tmp_path / "in", {"a.txt": prose("a", 30)})

    async def asked(address: str, **stages: dict[str, object]) -> Answer:
        model = {"api_base": address, "model": "m", "timeout": SECONDS, **stages.pop("llm", {})}
        chosen = {"llm": model, **stages}
        application, _ = assembly.open_application(override(settings, chosen))
        opened.append(application)
        await application.ingest("c", [folder])
        options = QueryOptions(retriever="bm25")
        *_, answer = [one async for one in application.ask("c", "harbour?", [], options)]
        return answer

    yield asked
    for application in opened:
        await application.close()


@pytest.mark.parametrize("lie", CHATS)
async def test_a_model_that_lies_is_a_named_error(ask, lie):
    with lying_server(CHATS[lie]) as address, bounded_memory():
        with pytest.raises(RagAppError) as told:
            await ask(address, reader={"kind": "llm"})
        assert address.removesuffix("/v1") in str(told.value)
        assert len(str(told.value)) < 2000


async def test_words_without_end_are_cut(ask):
    with lying_server(streams(WORDS)) as address, bounded_memory():
        answer = await ask(address, reader={"kind": "llm"}, llm={"timeout": 30})
    assert answer.truncated
    assert len(answer.text) < 100_000


@pytest.mark.parametrize(
    "lie", ["an answer without end", "a drop at a time", "half an answer", "a deep nest", "no JSON"]
)
async def test_a_rewriter_that_lies_is_left_out_and_named(ask, lie):
    with lying_server(OF_ANY_SERVER[lie]) as address, bounded_memory():
        answer = await ask(address, rewrite={"kind": "llm", "deadline": SECONDS})
    assert answer.citations
    told = [stage["fallback"] for stage in answer.trace.stages if "fallback" in stage]
    assert len(told) == 1
    assert 0 < len(told[0]) < 2000


def embeddings(*rows: object) -> Lie:
    return says({"data": rows, "usage": {"prompt_tokens": 2}})


def row(index: object, vector: object) -> dict[str, object]:
    return {"index": index, "embedding": vector}


ONES, TWOS = [1.0, 1.0], [2.0, 2.0]
EMBEDDINGS = OF_ANY_SERVER | {
    "a place twice": embeddings(row(0, ONES), row(0, TWOS)),
    "a place beyond": embeddings(row(0, ONES), row(2, TWOS)),
    "a place before": embeddings(row(0, ONES), row(-1, TWOS)),
    "a place that is no number": embeddings(row("0", ONES), row("1", TWOS)),
    "a place that is a truth": embeddings(row(False, ONES), row(True, TWOS)),
    "no place": embeddings({"embedding": ONES}, {"embedding": TWOS}),
    "too few": embeddings(row(0, ONES)),
    "too many": embeddings(row(0, ONES), row(1, TWOS), row(2, TWOS)),
    "two dimensions": embeddings(row(0, ONES), row(1, [1.0])),
    "no dimension": embeddings(row(0, []), row(1, [])),
    "no finite number": says(
        b'{"data": [{"index": 0, "embedding": [1e999, 1]}, {"index": 1, "embedding": [1, 1]}]}'
    ),
    "no number": says(
        b'{"data": [{"index": 0, "embedding": [NaN, 1]}, {"index": 1, "embedding": [1, 1]}]}'
    ),
    "zeros": embeddings(row(0, [0.0, 0.0]), row(1, ONES)),
    "words": embeddings(row(0, ["a", "b"]), row(1, ONES)),
    "lists in lists": embeddings(row(0, [ONES, ONES]), row(1, [ONES, ONES])),
    "half a number in base64": embeddings(row(0, "AAA="), row(1, "AAA=")),
    "not a number in base64": embeddings(row(0, "AADAfw=="), row(1, "AADAfw==")),
    "no base64": embeddings(row(0, "!!"), row(1, "!!")),
}


@pytest.mark.parametrize("lie", EMBEDDINGS)
def test_an_encoder_that_lies_is_a_named_error(lie):
    with lying_server(EMBEDDINGS[lie]) as address, bounded_memory():
        server = EmbeddingServer(address, "m", timeout=SECONDS / 10, attempts=2, pause=0.01)
        try:
            with pytest.raises(EncoderError) as told:
                server.embed(["a", "b"])
        finally:
            server.close()
        assert address.removesuffix("/v1") in str(told.value)
        assert len(str(told.value)) < 2000


def scores(*rows: object) -> Lie:
    return says({"results": rows})


RERANKS = OF_ANY_SERVER | {
    "a place twice": scores({"index": 0, "score": 0.1}, {"index": 0, "score": 0.9}),
    "places beyond": scores({"index": 2, "score": 0.1}, {"index": -1, "score": 0.9}),
    "places of words": scores({"index": "0", "score": 0.1}, {"index": True, "score": 0.9}),
    "scores of words": scores({"index": 0, "score": "high"}, {"index": 1, "score": [1]}),
    "no numbers": says(b'[{"index": 0, "score": NaN}, {"index": 1, "score": 1e999}]'),
    "a number without bounds": says(b'[{"index": 0, "score": 1' + b"0" * 400 + b"}]"),
}


@pytest.mark.parametrize("lie", RERANKS)
async def test_a_reranker_that_lies_leaves_the_order_and_is_named(lie):
    with lying_server(RERANKS[lie]) as address, bounded_memory():
        async with httpx.AsyncClient(trust_env=False) as connections:
            grading = Grading(weight=1.0, concurrency=1, deadline=SECONDS)
            reranker = CrossEncoderReranker(connections, address, "m", grading=grading)
            reranked = await reranker.rerank("q", passages(["a", "b"]))
    assert ids(reranked.nodes) == ["p0", "p1"]
    assert reranked.notes.get("error") or reranked.notes.get("missing") == 2
    assert len(str(reranked.notes.get("error", ""))) < 2000


@pytest.mark.parametrize("lie", ["an answer without end", "gigabytes in brotli", "silence"])
async def test_doctor_names_a_model_that_lies(lie):
    with lying_server(OF_ANY_SERVER[lie]) as address, bounded_memory():
        with pytest.raises((RagAppError, Problem)) as told:
            await language_model(LLMSettings(api_base=address, model="m"), SECONDS / 5)
        assert address.removesuffix("/v1") in str(told.value)
