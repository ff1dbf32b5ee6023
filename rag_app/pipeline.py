"""The six stages: question -> condense -> rewrite -> retrieve -> fuse -> rerank -> read -> answer.

`embed` and `grade` ask an encoder or a reranker alone, for texts that a client gives.

Whatever a stage notes (fallbacks, counts of grades) and what its calls of language models used goes
into its entry of the trace.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from data.text import well_formed
from generation.condensing import Condenser
from generation.reading import Reader, Reading, TextDelta, ThinkingDelta
from rag_app.cost.flops import cost_of
from rag_app.cost.metering import Meter, metered, stage, within
from rag_app.cost.prices import dollars_of
from rag_app.errors import ApplicationError, RerankerUnavailable
from rag_app.results import (
    CANDIDATES_TRACED,
    Answer,
    AskEvent,
    Embeddings,
    Hit,
    Relevance,
    SearchResult,
    Trace,
)
from retrieval.encoders.base import Encoder
from retrieval.fusion import Scored
from retrieval.multi_query import Combine, find_all
from retrieval.reranking.base import Reranked, Reranker
from retrieval.reranking.none import KeepOrder
from retrieval.retriever import PassageRetriever, Retrieval
from retrieval.rewriting import Rewriter

_LONGEST_QUESTION: Final = 100_000
"""Characters; what is longer only costs time, as encoders read less than that."""
_MOST_TEXTS, _MOST_CHARACTERS = 2048, 400_000
"""Of one request to encode or to rerank."""
_ENCODED_AT_ONCE: Final = 32


@dataclass(frozen=True)
class Stages:
    """The objects behind the six stages; `none` is an object too."""

    condenser: Condenser
    rewriter: Rewriter
    retriever: PassageRetriever
    retriever_name: str
    reranker: BaseNodePostprocessor
    reranker_name: str
    reader: Reader
    combine: Combine = "rrf"
    found: int = 10
    kept: int = 10


async def rerank(
    reranker: BaseNodePostprocessor, question: str, nodes: list[NodeWithScore]
) -> Reranked:
    """By one of our rerankers, or by any other of LlamaIndex."""
    if isinstance(reranker, Reranker):
        return await reranker.rerank(question, nodes)
    bundle = QueryBundle(question)
    return Reranked(await reranker.apostprocess_nodes(nodes, query_bundle=bundle))


class Pipeline:
    """Answers questions from one collection.

    Args:
        encoder: for the cost of the query's vector; None where no encoder takes part.
        parameters: weights of language models by name, for the cost of those that are not known.
        prices: of language models by name, as for `cost.prices.dollars_of`.
    """

    def __init__(
        self,
        stages: Stages,
        passages: int,
        encoder: Encoder | None = None,
        parameters: Mapping[str, float] | None = None,
        prices: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._stages, self._passages, self._encoder = stages, passages, encoder
        self._parameters, self._prices = parameters or {}, prices or {}

    async def search(self, question: str, history: Sequence[ChatMessage] = ()) -> SearchResult:
        """Everything but reading.

        Raises:
            RetrievalError: a stage failed.
            GenerationError: a stage that uses an LLM failed.
        """
        result, _ = await self._search(question, history)
        return result

    async def ask(
        self, question: str, history: Sequence[ChatMessage] = ()
    ) -> AsyncGenerator[AskEvent, None]:
        """Yield the SearchResult, then what the reader thinks and says in pieces, then the Answer.

        Raises: as `search`.
        """
        result, nodes = await self._search(question, history)
        yield result
        start = time.perf_counter()
        given, meter = nodes[: self._passages], Meter()
        reading = within(meter, "read", self._stages.reader.read(result.query, given, history))
        async with aclosing(reading) as events:
            async for event in events:
                if isinstance(event, TextDelta | ThinkingDelta):
                    yield event
                else:
                    trace = result.trace.copy()  # the result has been given out
                    self._trace_reading(trace, event, start)
                    trace.given = [found.node.node_id for found in given]
                    trace.used = [trace.given[n - 1] for n in event.used]
                    trace_calls(trace, meter, self._parameters)
                    found, read = trace.dollars, dollars_of(meter, self._prices)
                    trace.dollars = None if found is None or read is None else found + read
                    yield Answer(
                        text=event.text,
                        citations=event.citations,
                        hits=result.hits,
                        grounded=event.grounded,
                        trace=trace,
                        truncated=event.truncated,
                        abstained=event.abstained,
                        answerability=event.answerability,
                    )

    async def _search(
        self, question: str, history: Sequence[ChatMessage]
    ) -> tuple[SearchResult, list[NodeWithScore]]:
        trace, stages = Trace(), self._stages
        with metered() as meter:
            start = time.perf_counter()
            with stage("condense"):
                condensed = await stages.condenser.condense(question, history)
            changed = {"question": condensed.question} if condensed.question != question else {}
            start = _lap(
                trace, "condense", stages.condenser.name, start, **condensed.notes, **changed
            )
            with stage("rewrite"):
                rewritten = await stages.rewriter.rewrite(condensed.question, self._feedback)
            queries, notes = rewritten.queries, dict(rewritten.notes)
            rewrites = {"queries": queries, **notes} if notes else {}
            start = _lap(trace, "rewrite", stages.rewriter.name, start, **rewrites)
            found = await find_all(stages.retriever, queries, stages.combine, stages.found)
            self._trace_retrieval(trace, found)
            details: dict[str, object] = {"cut": True} if found.query_cut else {}
            details |= {"fallback": found.fallback} if found.fallback else {}
            if not found.hits and stages.retriever_name != "none":
                details["empty"] = True
            start = _lap(
                trace, "retrieve", stages.retriever_name, start, steps=found.milliseconds, **details
            )
            with stage("rerank"):
                reranked = await rerank(stages.reranker, condensed.question, found.hits)
            _lap(trace, "rerank", stages.reranker_name, start, **reranked.notes)
        trace_calls(trace, meter, self._parameters)
        trace.dollars = dollars_of(meter, self._prices)
        nodes, rankings = reranked.nodes[: stages.kept], dict(found.rankings)
        if stages.reranker_name != "none":
            rankings["reranked"] = _scored(reranked.nodes)
            trace.candidates["reranked"] = [
                {"passage_id": passage, "score": score, "grade": reranked.grades.get(passage)}
                for passage, score in rankings["reranked"][:CANDIDATES_TRACED]
            ]
        hits = _hits(nodes, rankings, reranked.grades)
        return SearchResult(condensed.question, hits, trace), nodes

    async def _feedback(self, query: str) -> list[str]:
        """The best passages for a query, for rewriters that look at some."""
        found = await self._stages.retriever.afind(query)
        return [hit.node.get_content() for hit in found.hits]

    def _trace_retrieval(self, trace: Trace, found: Retrieval) -> None:
        trace.candidates = {
            name: [{"passage_id": passage, "score": score} for passage, score in best]
            for name, ranking in found.rankings.items()
            if (best := ranking[:CANDIDATES_TRACED])
        }
        if self._encoder is not None and found.query_tokens:
            trace.tokens["query"] = found.query_tokens
            trace.models["encoder"] = self._encoder.row.model_id
            trace.flops += self._encoder.flops(found.query_tokens)

    def _trace_reading(self, trace: Trace, reading: Reading, start: float) -> None:
        details: dict[str, object] = {}
        if reading.coverage is not None:
            details["coverage"] = round(reading.coverage, 3)
        if reading.thinking_tokens:
            details["thinking_tokens"] = reading.thinking_tokens
        _lap(trace, "read", self._stages.reader.name, start, **details)
        trace.passages_given = reading.passages_given
        trace.passages_used = reading.passages_used
        trace.unknown_citations = reading.unknown_citations
        if reading.model:
            trace.models["reader"] = reading.model
            trace.tokens["prompt"] = reading.prompt_tokens
            trace.tokens["completion"] = reading.completion_tokens


def _lap(trace: Trace, name: str, kind: str, start: float, **details: object) -> float:
    now = time.perf_counter()
    trace.stage(name, kind, (now - start) * 1000, **details)
    return now


def _scored(nodes: Sequence[NodeWithScore]) -> list[Scored]:
    return [(found.node.node_id, found.score or 0.0) for found in nodes]


def _hits(
    nodes: Sequence[NodeWithScore],
    rankings: Mapping[str, Sequence[Scored]],
    grades: Mapping[str, float],
) -> list[Hit]:
    ranks: dict[str, dict[str, int]] = {found.node.node_id: {} for found in nodes}
    scores: dict[str, dict[str, float]] = {found.node.node_id: {} for found in nodes}
    for name, ranking in rankings.items():
        for rank, (passage, score) in enumerate(ranking, start=1):
            if passage in ranks:
                ranks[passage][name] = rank
                scores[passage][name] = score
    return [
        Hit.of(found, ranks[passage], scores[passage], grades.get(passage))
        for found in nodes
        for passage in [found.node.node_id]
    ]


def trace_calls(trace: Trace, meter: Meter, parameters: Mapping[str, float] | None = None) -> None:
    """Write what the calls of a meter used and cost into the trace's stages and its sum.

    Call it once for every meter; `parameters` is as for `cost_of`.
    """
    flops = cost_of(meter, parameters)
    for name, use in meter.by_stage().items():
        details = {
            "calls": use.calls,
            "uncounted": use.uncounted,
            "prompt_tokens": use.prompt_tokens,
            "completion_tokens": use.completion_tokens,
            "models": list(use.models),
            "flops": flops.get(name, 0.0),
        }
        for entry in trace.stages:
            if entry["stage"] == name:
                entry.update(details)
    trace.flops += sum(flops.values())


async def embed(encoder: Encoder, texts: Sequence[str], queries: bool) -> Embeddings:
    """The vectors of texts, as queries or as passages; see `Service.embed`.

    Raises:
        ApplicationError: these are too many texts.
    """
    _require_few(texts)
    encode = encoder.encode_queries if queries else encoder.encode_passages
    done = Embeddings(encoder.row.name, [], 0)
    for at in range(0, len(texts), _ENCODED_AT_ONCE):  # ends soon after its client has left
        part = [well_formed(text) for text in texts[at : at + _ENCODED_AT_ONCE]]
        encoded = await asyncio.to_thread(encode, part)
        done.vectors.extend(encoded.vectors.tolist())
        done = replace(done, tokens=done.tokens + sum(encoded.tokens))
    return done


async def grade(
    reranker: BaseNodePostprocessor, question: str, texts: Sequence[str]
) -> list[Relevance]:
    """How well texts answer a question, the best first; see `Service.rerank`.

    Raises:
        ApplicationError: these are too many texts, or there is no reranker.
        RerankerUnavailable: some texts could not be graded.
    """
    _require_few([question, *texts])
    if isinstance(reranker, KeepOrder):
        raise ApplicationError(
            "there is no reranker",
            cause="rerank.kind is none",
            hint="Set RAG_APP_RERANK__KIND, for instance to cross-encoder",
        )
    nodes = [
        NodeWithScore(node=TextNode(id_=str(at), text=well_formed(text)), score=0.0)
        for at, text in enumerate(texts)
    ]
    reranked = await rerank(reranker, well_asked(question), nodes)
    scores = {one.node.node_id: one.score or 0.0 for one in reranked.nodes}
    if isinstance(reranker, Reranker):
        scores = dict(reranked.grades)
    if len(scores) < len(texts):
        raise RerankerUnavailable(
            f"{len(texts) - len(scores)} of {len(texts)} texts could not be graded",
            cause=str(reranked.notes.get("error", "")),
            hint="`rag-app doctor` tries the reranker",
        )
    best_first = sorted(scores.items(), key=lambda item: (-item[1], int(item[0])))
    return [Relevance(int(at), float(score)) for at, score in best_first]


def well_asked(question: str) -> str:
    """A question as models read it. Raises ApplicationError where it is empty or too long."""
    if not question.strip():
        raise ApplicationError("the question is empty", hint="Type a question")
    if len(question) > _LONGEST_QUESTION:
        raise ApplicationError(
            "the question is too long",
            cause=f"it has more than {_LONGEST_QUESTION:,} characters",
            hint="Ask for less at once",
        )
    return well_formed(question.strip())


def _require_few(texts: Sequence[str]) -> None:
    """Raise ApplicationError where these are more than one request should cost."""
    if len(texts) > _MOST_TEXTS or sum(map(len, texts)) > _MOST_CHARACTERS:
        raise ApplicationError(
            "these are too many texts for one request",
            cause=f"at most {_MOST_TEXTS:,}, with {_MOST_CHARACTERS:,} characters in all",
            hint="Send them in several requests",
        )
