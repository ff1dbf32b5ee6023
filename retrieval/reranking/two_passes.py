"""A cheap pass over all passages, then a dear one over the best of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM
from llama_index.core.schema import NodeWithScore

from data.arguments import at_least
from retrieval.reranking.base import Reranked, Reranker
from retrieval.reranking.pointwise import Grading
from retrieval.reranking.retro_star import RetroStarReranker

Notes = Mapping[str, str | int | float]


class TwoPassReranker(Reranker):
    """Lets one reranker choose the finalists, and another one rank them.

    The finalists keep the retriever's scores for the second pass, so what it does with them is up
    to it. The others follow in the order of the first pass, with scores below those of the
    finalists: the published form (Retro*'s ``100@1`` then ``30@16``, https://github.com/
    VectorSpaceLab/agentic-search, Retro-star) drops them. The notes count the passages of
    both passes together, and the ``finalists``.

    Raises:
        ValueError: `finalists` is less than 1.
    """

    name: ClassVar[str] = "two-passes"
    _first: Reranker = PrivateAttr()
    _second: Reranker = PrivateAttr()
    _finalists: int = PrivateAttr()

    def __init__(self, first: Reranker, second: Reranker, finalists: int) -> None:
        super().__init__()
        at_least(1, finalists=finalists)
        self._first, self._second, self._finalists = first, second, finalists

    async def rerank(self, query: str, nodes: Sequence[NodeWithScore]) -> Reranked:
        """See `Reranker.rerank`."""
        first = await self._first.rerank(query, nodes)
        found = {node.node.node_id: node for node in nodes}
        chosen = [found[node.node.node_id] for node in first.nodes[: self._finalists]]
        second = await self._second.rerank(query, chosen)
        others = _below(second.nodes, first.nodes[self._finalists :])
        counted = {**_added(first.notes, second.notes), "finalists": len(chosen)}
        grades = {**first.grades, **second.grades}
        return Reranked([*second.nodes, *others], counted, grades)


def retro_star(
    llm: LLM,
    *,
    definition: str = "",
    template: str = "",
    samples: int = 1,
    finalists: int | None = None,
    grading: Grading = RetroStarReranker.default_grading,
) -> Reranker:
    """Retro*, in one pass; or in two, of which the first leaves the finalists `samples` each."""
    grader = partial(RetroStarReranker, llm, definition=definition, template=template)
    last = grader(samples=samples, grading=grading)
    if finalists is None:
        return last
    return TwoPassReranker(grader(grading=replace(grading, weight=1.0)), last, finalists)


def _added(first: Notes, second: Notes) -> dict[str, str | int | float]:
    """Numbers added up; of texts, such as the first error, the first."""
    added = {**second, **first}
    for name, value in second.items():
        other = first.get(name)
        if not isinstance(value, str) and not isinstance(other, str) and other is not None:
            added[name] = value + other
    return added


def _below(upper: Sequence[NodeWithScore], lower: Sequence[NodeWithScore]) -> list[NodeWithScore]:
    """The lower list, its scores shifted so that its best is 1 less than the worst above it."""
    if not lower:
        return []
    shift = (upper[-1].score or 0.0) - 1 - (lower[0].score or 0.0)
    return [NodeWithScore(node=each.node, score=(each.score or 0.0) + shift) for each in lower]
