import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from generation.condensing import Condensed, NoCondenser
from generation.quoting import NO_PASSAGE, QuotingReader
from generation.reading import Reading, ReadingEvent, TextDelta, ThinkingDelta
from rag_app.cost.metering import Call, Meter
from rag_app.cost.shapes import SHAPES, flops
from rag_app.pipeline import Pipeline, Stages, trace_calls
from rag_app.results import CANDIDATES_TRACED, Answer, SearchResult, Trace
from retrieval.fusion import MinMaxFusion
from retrieval.index.base import PassageStore
from retrieval.reranking.none import KeepOrder
from retrieval.retriever import HybridRetriever, NoRetriever, StockRetriever
from retrieval.rewriting import Feedback, NoRewriter, Rewritten
from tests.encoders import HashingEncoder
from tests.rag_app.support import ingest_folder, new_store, prose, write

ENCODER = HashingEncoder()
QUESTION = "Where does the copper lantern hang in the harbour?"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[PassageStore]:
    folder = tmp_path_factory.mktemp("pipeline")
    write(folder / "in", {f"{name}.txt": prose(name, 30) for name in "abcd"})
    store = new_store(folder / "shard")
    ingest_folder(store, folder / "in", folder / "files", ENCODER)
    yield store
    store.close()


class Repeats:
    """A condenser that says what it was given."""

    name = "repeats"

    async def condense(self, question: str, history: Sequence[ChatMessage]) -> Condensed:
        said = " ".join(str(turn.content) for turn in history)
        return Condensed(f"{said} {question}".strip(), {"turns": len(history)})


class Adds:
    """A rewriter that adds a word."""

    name = "adds"

    async def rewrite(self, question: str, feedback: Feedback | None = None) -> Rewritten:
        return Rewritten((f"{question} turbine",), {"rewrites": 1})


class Backwards(BaseNodePostprocessor):
    """Somebody's reranker: the last shall be first. It reads the plain question."""

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        assert query_bundle is not None
        assert "turbine" not in query_bundle.query_str
        return [
            NodeWithScore(node=found.node, score=float(rank))
            for rank, found in reversed(list(enumerate(nodes)))
        ]


class Slow:
    """A reader that would talk for ever; `closed` tells that it was stopped."""

    name = "slow"

    def __init__(self) -> None:
        self.closed = False

    async def read(
        self, question: str, passages: Sequence[NodeWithScore], history: Sequence[ChatMessage] = ()
    ) -> AsyncGenerator[ReadingEvent, None]:
        try:
            while True:
                yield TextDelta("word ")
                await asyncio.sleep(0)
        finally:
            self.closed = True


class BreaksOff:
    """A reader whose model ran into its token limit."""

    name = "breaks-off"

    async def read(
        self, question: str, passages: Sequence[NodeWithScore], history: Sequence[ChatMessage] = ()
    ) -> AsyncGenerator[ReadingEvent, None]:
        yield ThinkingDelta("hm")
        yield TextDelta("half an")
        yield Reading(
            "half an", [], 1, len(passages), 2, "a-model", 10, 3, True, True,
            thinking_tokens=1, coverage=1 / 3, abstained=True,
        )  # fmt: skip


def pipeline(store: PassageStore, passages: int = 3, top_k: int = 5, **stages) -> Pipeline:
    chosen = {
        "condenser": NoCondenser(),
        "rewriter": NoRewriter(),
        "retriever": HybridRetriever(store, ENCODER, MinMaxFusion(0.5), top_k=top_k),
        "retriever_name": "hybrid",
        "reranker": KeepOrder(),
        "reranker_name": "none",
        "reader": QuotingReader(),
    }
    return Pipeline(Stages(**{**chosen, **stages}), passages, ENCODER)


async def ask(made: Pipeline, question: str = QUESTION) -> list:
    return [event async for event in made.ask(question)]


async def test_an_answer_comes_as_result_then_pieces_then_the_whole(store):
    found, *deltas, answer = await ask(pipeline(store))
    assert isinstance(found, SearchResult)
    assert isinstance(answer, Answer)
    assert {type(delta) for delta in deltas} == {TextDelta}
    assert "".join(delta.text for delta in deltas) == answer.text
    assert answer.hits == found.hits
    assert "read" not in {stage["stage"] for stage in found.trace.stages}
    assert answer.grounded
    assert not answer.truncated
    assert not answer.abstained
    assert answer.trace.stages[-1]["coverage"] == 1
    assert {c.passage_id for c in answer.citations} <= {hit.passage_id for hit in found.hits[:3]}
    assert answer.citations


async def test_stages_are_traced_in_order_with_their_kinds_and_times(store):
    *_, answer = await ask(pipeline(store))
    trace = answer.trace
    assert [(stage["stage"], stage["kind"]) for stage in trace.stages] == [
        ("condense", "none"), ("rewrite", "none"), ("retrieve", "hybrid"), ("rerank", "none"),
        ("read", "quote"),
    ]  # fmt: skip
    assert all(stage["ms"] >= 0 for stage in trace.stages)
    steps = next(s for s in trace.stages if s["stage"] == "retrieve")["steps"]
    assert set(steps) == {"encode", "dense", "bm25", "fuse", "fetch"}
    assert trace.milliseconds == pytest.approx(sum(stage["ms"] for stage in trace.stages))
    assert trace.tokens["query"] == ENCODER.count_tokens(QUESTION)
    assert trace.models["encoder"] == "tests/hashing"
    assert trace.flops == ENCODER.flops(trace.tokens["query"])
    assert (trace.passages_given, trace.unknown_citations) == (3, 0)
    assert set(trace.candidates) == {"dense", "bm25", "fused"}
    assert all(0 < len(listed) <= CANDIDATES_TRACED for listed in trace.candidates.values())


async def test_hits_carry_their_rank_and_score_in_every_ranking(store):
    found = await pipeline(store, top_k=50).search(QUESTION)
    assert [hit.ranks["fused"] for hit in found.hits] == list(range(1, len(found.hits) + 1))
    assert [hit.score for hit in found.hits] == sorted((h.score for h in found.hits), reverse=True)
    for name in ("dense", "bm25"):
        ranked = sorted((h for h in found.hits if name in h.ranks), key=lambda h: h.ranks[name])
        scores = [hit.scores[name] for hit in ranked]
        assert scores == sorted(scores, reverse=True)
        first = found.trace.candidates[name][0]
        assert ranked[0].ranks[name] == 1
        assert first["passage_id"] == ranked[0].passage_id
    assert all(hit.score == hit.scores["fused"] for hit in found.hits)
    assert len({hit.passage_id for hit in found.hits}) == len(found.hits)


async def test_history_reaches_the_condenser_and_the_rewritten_query_the_retriever(store):
    seen: list[str] = []

    class Listens(NoRetriever):
        def find(self, query: str):
            seen.append(query)
            return super().find(query)

    made = pipeline(store, condenser=Repeats(), rewriter=Adds(), retriever=Listens())
    history = [ChatMessage(role=MessageRole.USER, content="Before.")]
    found = await made.search("And now?", history)
    assert found.query == "Before. And now?"
    assert seen == ["Before. And now? turbine"]
    kinds = {stage["stage"]: stage["kind"] for stage in found.trace.stages}
    assert (kinds["condense"], kinds["rewrite"]) == ("repeats", "adds")
    condense, rewrite = found.trace.stages[:2]
    assert (condense["turns"], rewrite["rewrites"]) == (1, 1)


async def test_somebodys_reranker_can_be_put_in(store):
    plain = await pipeline(store, rewriter=Adds()).search(QUESTION)
    made = pipeline(store, rewriter=Adds(), reranker=Backwards(), reranker_name="backwards")
    found = await made.search(QUESTION)
    assert [h.passage_id for h in found.hits] == [h.passage_id for h in reversed(plain.hits)]
    assert [hit.ranks["reranked"] for hit in found.hits] == [1, 2, 3, 4, 5]
    assert [hit.ranks["fused"] for hit in found.hits] == [5, 4, 3, 2, 1]
    assert [hit.score for hit in found.hits] == [hit.scores["reranked"] for hit in found.hits]
    assert next(s for s in found.trace.stages if s["stage"] == "rerank")["kind"] == "backwards"
    *_, answer = await ask(made)
    assert {c.passage_id for c in answer.citations} <= {h.passage_id for h in found.hits[:3]}


async def test_somebodys_retriever_can_be_put_in_with_nodes_of_its_own(store):
    class Elsewhere(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            node = TextNode(id_="x1", text="Copper lanterns hang in the harbour at night.")
            return [NodeWithScore(node=node, score=0.5)]

    made = pipeline(store, retriever=StockRetriever(Elsewhere(), "theirs"), retriever_name="theirs")
    *_, answer = await ask(made)
    (hit,) = answer.hits
    assert (hit.passage_id, hit.source, hit.page, hit.headings) == ("x1", "x1", None, ())
    assert (hit.char_start, hit.char_end) == (0, len(hit.text))
    assert (hit.ranks, hit.scores) == ({"theirs": 1}, {"theirs": 0.5})
    assert answer.citations[0].passage_id == "x1"


@pytest.mark.parametrize("passages", [0, 3])
async def test_without_passages_the_reader_is_given_none(store, passages):
    closed = {"retriever": NoRetriever(), "retriever_name": "none"} if passages else {}
    found, *_, answer = await ask(pipeline(store, passages, **closed))
    assert answer.text == NO_PASSAGE
    assert answer.abstained
    assert "coverage" not in answer.trace.stages[-1]
    assert not answer.grounded
    assert answer.citations == []
    assert answer.trace.passages_given == 0
    assert bool(found.hits) is not bool(passages)


async def test_leaving_an_answer_half_way_stops_the_reader(store):
    reader = Slow()
    events = pipeline(store, reader=reader).ask(QUESTION)
    assert isinstance(await anext(events), SearchResult)
    assert isinstance(await anext(events), TextDelta)
    await events.aclose()
    assert reader.closed


async def test_what_the_reader_reports_is_in_answer_and_trace(store):
    _, thought, said, answer = await ask(pipeline(store, reader=BreaksOff()))
    assert (thought, said) == (ThinkingDelta("hm"), TextDelta("half an"))
    assert answer.truncated
    assert answer.as_dict()["abstained"] is True
    (entry,) = [stage for stage in answer.trace.stages if stage["stage"] == "read"]
    assert (entry["coverage"], entry["thinking_tokens"]) == (0.333, 1)
    assert answer.as_dict()["truncated"] is True
    assert answer.trace.models["reader"] == "a-model"
    assert (answer.trace.tokens["prompt"], answer.trace.tokens["completion"]) == (10, 3)
    assert answer.trace.unknown_citations == 2


async def test_results_are_the_documents_of_the_command_line(store):
    found, *_, answer = await ask(pipeline(store))
    told = found.as_dict()
    assert set(told) == {"hits", "trace"}
    contract = {"passage_id", "source", "page", "char_start", "char_end", "text", "score", "ranks"}
    assert contract <= set(told["hits"][0])
    told = answer.as_dict()
    assert {"answer", "citations", "trace"} <= set(told)
    contract = {"n", "passage_id", "source", "title", "page", "boxes", "char_start", "char_end"}
    contract |= {"quotes", "text", "place", "collection"}
    assert contract == set(told["citations"][0])


async def test_what_several_queries_found_can_be_printed(store):
    class Doubles:
        name = "doubles"

        async def rewrite(self, question: str, feedback: Feedback | None = None) -> Rewritten:
            assert feedback is not None
            assert len(await feedback(question)) == 5
            return Rewritten((question, "turbine"), {"rewrites": 1})

    found, *_ = await ask(pipeline(store, rewriter=Doubles(), found=5))
    document = found.as_dict()
    rewrite = next(s for s in document["trace"]["stages"] if s["stage"] == "rewrite")
    assert rewrite["queries"] == (QUESTION, "turbine")
    assert {"combined", "dense", "bm25"} <= set(document["trace"]["candidates"])
    assert found.hits[0].ranks["combined"] == 1


def test_a_trace_shows_what_its_stages_used():
    trace = Trace(flops=1e9)
    for name in ("rewrite", "retrieve", "rerank"):
        trace.stage(name, "llm", 1.0)
    calls = [Call("rewrite", "gpt-4o", 10, 5, 1.0), Call("rerank", "qwen3-8b", 400, 1, 1.0),
             Call("rerank", "qwen3-8b", None, None, 1.0)]  # fmt: skip
    trace_calls(trace, Meter(calls))
    rewrite, retrieve, rerank = trace.stages
    assert "calls" not in retrieve
    assert (rewrite["calls"], rewrite["prompt_tokens"], rewrite["flops"]) == (1, 10, 0.0)
    assert (rerank["calls"], rerank["uncounted"], rerank["models"]) == (2, 1, ["qwen3-8b"])
    assert rerank["flops"] == flops(SHAPES["qwen3-8b"], 400, 1)
    assert trace.flops == 1e9 + rerank["flops"]
