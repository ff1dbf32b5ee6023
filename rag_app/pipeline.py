"""The way out: question -> condense -> rewrite -> retrieve -> fuse -> rerank -> read -> answer."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from copy import deepcopy
from dataclasses import dataclass

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from generation.condensing import Condenser
from generation.reading import Reader, Reading, TextDelta
from rag_app.results import CANDIDATES_TRACED, Answer, Hit, SearchResult, Trace
from retrieval.encoders.base import Encoder
from retrieval.fusion import Scored
from retrieval.retriever import PassageRetriever, Retrieval
from retrieval.rewriting import Rewriter

AskEvent = SearchResult | TextDelta | Answer
"""What `Pipeline.ask` yields: what was found, the answer piece by piece, the whole answer."""


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


class Pipeline:
    """Answers questions from one collection.

    Args:
        stages: what does the work.
        passages: how many of the found passages the reader is given.
        encoder: for the cost of the query's vector; None where no encoder takes part.
    """

    def __init__(self, stages: Stages, passages: int, encoder: Encoder | None = None) -> None:
        self._stages, self._passages, self._encoder = stages, passages, encoder

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
        """Yield the SearchResult, then the answer as TextDelta pieces, then the Answer.

        Raises: as `search`.
        """
        result, nodes = await self._search(question, history)
        yield result
        start = time.perf_counter()
        given = nodes[: self._passages]
        async with aclosing(self._stages.reader.read(result.query, given)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event
                else:
                    trace = deepcopy(result.trace)  # the result has been given out
                    self._trace_reading(trace, event, start)
                    yield Answer(
                        text=event.text,
                        citations=event.citations,
                        hits=result.hits,
                        grounded=event.grounded,
                        trace=trace,
                        truncated=event.truncated,
                    )

    async def _search(
        self, question: str, history: Sequence[ChatMessage]
    ) -> tuple[SearchResult, list[NodeWithScore]]:
        trace, stages = Trace(), self._stages
        start = time.perf_counter()
        condensed = await stages.condenser.condense(question, history)
        standalone = condensed.question
        start = _lap(trace, "condense", stages.condenser.name, start, **condensed.notes)
        rewritten = await stages.rewriter.rewrite(standalone)
        (query,) = rewritten.queries
        start = _lap(trace, "rewrite", stages.rewriter.name, start, **rewritten.notes)
        found = await stages.retriever.afind(query)
        self._trace_retrieval(trace, found)
        start = _lap(trace, "retrieve", stages.retriever_name, start, steps=found.milliseconds)
        nodes, rankings = found.hits, dict(found.rankings)
        if stages.reranker_name != "none":
            query_bundle = QueryBundle(standalone)
            nodes = await stages.reranker.apostprocess_nodes(nodes, query_bundle=query_bundle)
            rankings["reranked"] = _scored(nodes)
        _lap(trace, "rerank", stages.reranker_name, start)
        hits = _hits(nodes, rankings)
        return SearchResult(standalone, hits, trace), nodes

    def _trace_retrieval(self, trace: Trace, found: Retrieval) -> None:
        trace.candidates = {
            name: [{"chunk_id": chunk, "score": score} for chunk, score in best]
            for name, ranking in found.rankings.items()
            if (best := ranking[:CANDIDATES_TRACED])
        }
        if self._encoder is not None and found.query_tokens:
            trace.tokens["query"] = found.query_tokens
            trace.models["encoder"] = self._encoder.row.model_id
            trace.flops += self._encoder.flops(found.query_tokens)

    def _trace_reading(self, trace: Trace, reading: Reading, start: float) -> None:
        _lap(trace, "read", self._stages.reader.name, start)
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


def _hits(nodes: Sequence[NodeWithScore], rankings: Mapping[str, Sequence[Scored]]) -> list[Hit]:
    ranks: dict[str, dict[str, int]] = {found.node.node_id: {} for found in nodes}
    scores: dict[str, dict[str, float]] = {found.node.node_id: {} for found in nodes}
    for name, ranking in rankings.items():
        for rank, (chunk, score) in enumerate(ranking, start=1):
            if chunk in ranks:
                ranks[chunk][name] = rank
                scores[chunk][name] = score
    return [Hit.of(found, ranks[found.node.node_id], scores[found.node.node_id]) for found in nodes]
