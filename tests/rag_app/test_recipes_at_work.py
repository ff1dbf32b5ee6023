"""What recipes do with a question: stages in order, calls and parameters as published.

A scripted server shows the exact calls; a real vLLM server with tiny random weights shows that the
families run as they are configured.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.assembly.recipes import load
from rag_app.results import Hit, SearchResult
from rag_app.settings import load_settings
from tests.openai_server import OpenAIServer, Reply
from tests.rag_app.support import prose
from tests.retrieval.reranking.scripted import asked, completion_odds

QUESTION = "Where does the copper lantern hang?"
PASSAGES = 140
Search = Callable[..., Awaitable[SearchResult]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More passages than any reranker grades."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    rows = [{"_id": f"p{n}", "text": f"{prose(n, 2)} Copper."} for n in range(PASSAGES)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@asynccontextmanager
async def opened(
    name: str, storage: Path, corpus: Path, **overrides: object
) -> AsyncIterator[Application]:
    """The application with a recipe in force, and the corpus ingested."""
    tree = {"recipe": name, "storage": {"path": storage}, **overrides}
    application, _ = assembly.open_application(load_settings(overrides=tree))
    try:
        report = await application.ingest("c", [corpus])
        assert report.passages == PASSAGES
        yield application
    finally:
        await application.close()


@pytest.fixture
def searched(encoder, openai_server: OpenAIServer, tmp_path, corpus) -> Search:
    """Searches with a recipe whose language models are all the scripted server."""

    async def search(name: str, **overrides: dict) -> SearchResult:
        own = {"llm": {"api_base": openai_server.url, "model": openai_server.model}}
        for stage in ("rewrite", "rerank"):
            overrides[stage] = {**overrides.get(stage, {}), **own}
        async with opened(name, tmp_path / "storage", corpus, **overrides) as application:
            return await application.search("c", QUESTION)

    return search


def kinds(found: SearchResult) -> dict[str, str]:
    return {stage["stage"]: stage["kind"] for stage in found.trace.stages}


def stage(found: SearchResult, name: str) -> dict:
    return next(entry for entry in found.trace.stages if entry["stage"] == name)


def in_order_of(hits: list[Hit], ranking: str) -> bool:
    return [hit.ranks[ranking] for hit in hits] == [*range(1, len(hits) + 1)]


def observed(scores: dict[str, float]) -> dict[str, float]:
    low, high = min(scores.values()), max(scores.values())
    return {chunk: (score - low) / (high - low) for chunk, score in scores.items()}


@pytest.mark.parametrize("name", ["reasonir", "reasonir-rewritten", "bm25", "bm25-rewritten"])
async def test_one_engine_ranks_a_hundred_passages_and_no_model_is_asked(
    name, searched, openai_server
):
    found = await searched(name, encoder={"accept_license": True})
    engine = "bm25" if name.startswith("bm25") else "dense"
    assert kinds(found) == {
        "condense": "carry-over", "rewrite": "none", "retrieve": engine, "rerank": "none",
    }  # fmt: skip
    assert list(kinds(found)) == ["condense", "rewrite", "retrieve", "rerank"]
    assert len(found.hits) == 100
    assert in_order_of(found.hits, engine)
    assert openai_server.requests == []


async def test_hybrids_give_half_to_each_sides_own_span_of_scores(searched):
    found = await searched("reasonir-bm25", encoder={"accept_license": True})
    assert kinds(found)["retrieve"] == "hybrid"
    assert len(found.hits) == 100
    assert in_order_of(found.hits, "fused")
    assert found.hits[0].score <= 1
    first, last = found.hits[0], found.hits[-1]
    assert {"dense", "bm25"} <= set(first.ranks), "all of the lists take part, not the best alone"
    assert {"dense", "bm25"} <= set(last.ranks)


async def test_half_of_each_span_is_the_formula(encoder, tmp_path, corpus):
    """With as many hits as passages both lists are whole, so that their spans are known."""
    kept = {"retrieval": {"top_k": PASSAGES}, "encoder": {"accept_license": True}}
    async with opened("reasonir-bm25", tmp_path / "storage", corpus, **kept) as application:
        hits = (await application.search("c", QUESTION)).hits
    assert len(hits) == PASSAGES
    near = observed({hit.passage_id: hit.scores["dense"] for hit in hits})
    shared = observed({hit.passage_id: hit.scores["bm25"] for hit in hits})
    for hit in hits:
        assert hit.score == pytest.approx((near[hit.passage_id] + shared[hit.passage_id]) / 2)


async def test_expansions_are_made_in_two_rounds_and_searched_with_the_question_as_one(
    searched, openai_server
):
    openai_server.replies = [Reply("A first draft."), Reply("<think>Hm.</think>A second draft.")]
    found = await searched("diver-4b-bm25")
    first, second = openai_server.requests
    assert "<document-" not in asked(first)
    assert asked(second).count("<document-") == 5 + 1, "five passages, and what is said of them"
    assert (first["max_tokens"], first["temperature"]) == (2048, 0.8)
    assert stage(found, "rewrite")["queries"] == (QUESTION, "A second draft.")
    assert "combined" not in found.trace.candidates, "one query, so there is nothing to combine"
    assert kinds(found) == {
        "condense": "carry-over", "rewrite": "llm", "retrieve": "hybrid", "rerank": "none",
    }  # fmt: skip


async def test_a_rewrite_replaces_the_question(searched, openai_server):
    openai_server.replies = [Reply("A lantern of copper.")]
    found = await searched("reasonir-llama-rewritten", encoder={"accept_license": True})
    assert stage(found, "rewrite")["queries"] == ("A lantern of copper.",)
    assert len(openai_server.requests) == 1
    assert openai_server.requests[0]["max_tokens"] == 512


async def test_qwen_rerank_samples_a_grade_of_the_best_hundred(searched, openai_server):
    def grade(body: dict) -> Reply:
        return Reply(f"Relevance score: {5 if 'harbour' in asked(body) else 1}.")

    openai_server.respond = grade
    found = await searched(
        "reasonir-qwenrerank", encoder={"accept_license": True}, rerank={"definition": "pony"}
    )
    assert kinds(found)["rerank"] == "qwen-sampled"
    assert len(openai_server.requests) == 100
    body = openai_server.requests[0]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.6, 0.9, 32)
    assert QUESTION in body["prompt"]
    assert "Pony" in body["prompt"]
    assert in_order_of(found.hits, "reranked")
    for hit in found.hits:
        grade_of = 1.0 if "harbour" in hit.text else 0.2
        assert hit.score == pytest.approx(0.5 * grade_of + 0.5 * hit.scores["dense"])


async def test_rank1_thinks_and_then_gives_a_verdict_on_the_best_hundred(searched, openai_server):
    def think(body: dict) -> Reply:
        if not asked(body).endswith("</think>"):
            return completion_odds(" Let me see.")
        true = 0.9 if "harbour" in asked(body) else 0.1
        return completion_odds(" true", {" true": true, " false": 1 - true})

    openai_server.respond = think
    found = await searched("bm25-rank1")
    assert (kinds(found)["retrieve"], kinds(found)["rerank"]) == ("bm25", "rank1")
    thoughts = [body for body in openai_server.requests if not asked(body).endswith("</think>")]
    assert len(thoughts) == 100
    assert len(openai_server.requests) == 200
    assert (thoughts[0]["max_tokens"], thoughts[0]["temperature"]) == (8192, 0.0)
    for hit in found.hits:
        assert hit.score == pytest.approx(0.9 if "harbour" in hit.text else 0.1)


def points(body: dict) -> Reply:
    return Reply(f"<score>{90 if 'harbour' in asked(body) else 10}</score>")


async def test_retro_star_gives_points_to_the_best_hundred(searched, openai_server):
    openai_server.respond = points
    found = await searched("retro-star")
    assert kinds(found)["rerank"] == "retro-star"
    assert len(openai_server.requests) == 100
    body = openai_server.requests[0]
    assert (body["temperature"], body["top_k"], body["n"], body["max_tokens"]) == (0.6, 40, 1, 4096)
    assert in_order_of(found.hits, "reranked")
    for hit in found.hits:
        assert hit.score == pytest.approx(0.9 if "harbour" in hit.text else 0.1)


async def test_bge_reasoner_sums_five_rewrites_and_reranks_in_two_passes(searched, openai_server):
    def respond(body: dict) -> Reply:
        if "n" in body:
            return points(body)
        return Reply(f"Draft {body['seed']} of copper and harbour.")

    openai_server.respond = respond
    found = await searched("bge-reasoner")
    assert kinds(found) == {
        "condense": "carry-over", "rewrite": "llm", "retrieve": "hybrid", "rerank": "retro-star",
    }  # fmt: skip
    drafts = tuple(f"Draft {seed} of copper and harbour." for seed in range(5))
    assert stage(found, "rewrite")["queries"] == drafts, "the question itself is not searched"
    assert "combined" in found.trace.candidates
    grading = [body for body in openai_server.requests if "n" in body]
    assert [body["n"] for body in grading] == [1] * 100 + [16] * 30
    assert all(QUESTION in asked(body) for body in grading), "what was asked, not a rewrite of it"
    assert stage(found, "rerank")["finalists"] == 30
    assert len(found.hits) == 100
    assert in_order_of(found.hits, "reranked")
    for hit in found.hits[:30]:
        assert hit.score is not None
        assert hit.score >= 0.65 * 0.1


# --- real models, tiny ones ----------------------------------------------------------------------


@pytest.fixture
def tiny(tiny_reasonir: Path, chat_server) -> dict:
    """ReasonIR by its tiny twin, and every language model by the tiny chat model."""
    model = {"llm": {"api_base": f"{chat_server.url}/v1", "model": "tiny-chat"}}
    row = {"row": {"dimension": 64}, "model": str(tiny_reasonir), "accept_license": True}
    short = {"passage_length": 512, "query_length": 512, "device": "cpu"}
    return {
        "encoders": {"reasonir-8b": {**row, **short}},
        "rewrite": {**model, "tokens": 64},
        "rerank": model,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("reasonir", {"retrieve": "dense"}),
        ("reasonir-llama-rewritten", {"rewrite": "llm", "retrieve": "dense"}),
        ("reasonir-diver-qexpand-bm25", {"rewrite": "llm", "retrieve": "hybrid"}),
        ("reasonir-qwenrerank", {"retrieve": "dense", "rerank": "qwen-sampled"}),
    ],
)
async def test_families_run_with_real_models(name, made, tiny, tmp_path, corpus):
    async with opened(name, tmp_path / "storage", corpus, **tiny) as application:
        found = await application.search("c", QUESTION)
    told = kinds(found)
    assert told.pop("condense") in {"carry-over", "llm"}, "which recipes leave to the settings"
    assert {stage: kind for stage, kind in told.items() if kind != "none"} == made
    assert len(found.hits) == 100
    assert found.trace.models["encoder"] == "reasonir/ReasonIR-8B"
    if "rewrite" in made:
        assert stage(found, "rewrite")["rewrites"] == 1
    if "rerank" in made:
        graded = stage(found, "rerank")
        read = sum(graded[status] for status in ("ok", "missing", "wrong_format"))
        assert read == graded["calls"] == 100, graded


def test_every_family_is_tried_here():
    """The control: a reranker, fusion or rewriter that a recipe names is in one of these tests."""
    source = Path(__file__).read_text("utf-8")
    from rag_app.settings import recipes as names

    tried = {name for name in names() if f'"{name}"' in source}
    ways = {tuple((s.stage, s.kind) for s in load(name).stages()) for name in tried}
    assert ways == {tuple((s.stage, s.kind) for s in load(name).stages()) for name in names()}
