"""The passages of a question, searched once for all arms that want them."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from llama_index.core.schema import NodeWithScore

from data.recent import Recent
from eval.errors import EvalError
from eval.runs.collections import degraded
from rag_app.results import Hit
from rag_app.service import QueryOptions, Service
from retrieval.passages import node


@dataclass(frozen=True, slots=True)
class Found:
    """What searches gave."""

    passages: list[NodeWithScore]
    flops: float
    milliseconds: float


class Finder:
    """Searches a collection, and remembers the last questions.

    Args:
        passages: how many are kept of each search.
        top_k: how many a search returns where its options do not say; more where more are kept.
    """

    def __init__(
        self, service: Service, collection: str, passages: int, top_k: int, remembered: int
    ) -> None:
        self._service, self._collection = service, collection
        self._passages, self._top_k = passages, top_k
        self._known: Recent[object, asyncio.Task[Found]] = Recent(remembered)

    async def find(self, queries: Sequence[str], options: QueryOptions) -> Found:
        """The passages of one question: those of its queries in turn, best first, each once.

        Raises:
            EvalError: nothing was found, or a stage fell back to something simpler.
            RagAppError: a search failed.
        """
        key = (tuple(queries), options)
        if key not in self._known:
            self._known[key] = asyncio.create_task(self._search(queries, options))
        return await asyncio.shield(self._known[key])  # others may wait for it, too

    async def close(self) -> None:
        """End searches that nobody waits for any more."""
        for task in self._known.values():
            task.cancel()
        await asyncio.gather(*self._known.values(), return_exceptions=True)

    async def _search(self, queries: Sequence[str], options: QueryOptions) -> Found:
        start = time.perf_counter()
        depth = max(self._passages, options.top_k or self._top_k)
        asked = options.model_copy(update={"top_k": depth})
        results = await asyncio.gather(
            *(self._service.search(self._collection, query, asked) for query in queries)
        )
        if why := next(filter(None, (degraded(result.trace) for result in results)), ""):
            raise EvalError("passages were not searched as the arm says", cause=why)
        hits: dict[str, Hit] = {}
        for row in zip_longest(*(result.hits[: self._passages] for result in results)):
            for hit in row:
                if hit is not None:
                    hits.setdefault(hit.passage_id, hit)
        if not hits:
            raise EvalError(
                "no passages were found",
                cause=f"collection {self._collection} has none for this question",
                hint="Look at the collection by `rag-app documents list`",
            )
        return Found(
            [node_of(hit) for hit in hits.values()],
            sum(result.trace.flops for result in results),
            (time.perf_counter() - start) * 1000,
        )


def node_of(hit: Hit) -> NodeWithScore:
    """A hit as what choosers read."""
    metadata: dict[str, object] = {
        "source": hit.source, "page": hit.page, "char_start": hit.char_start,
        "char_end": hit.char_end, "headings": list(hit.headings), "passage_id": hit.record_id,
    }  # fmt: skip
    return NodeWithScore(node=node(hit.passage_id, hit.text, metadata), score=hit.score)
