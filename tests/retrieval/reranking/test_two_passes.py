from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import NodeWithScore

from retrieval.reranking.base import Reranked, Reranker
from retrieval.reranking.two_passes import TwoPassReranker
from tests.retrieval.reranking.scripted import ids, passages


class Sorting(Reranker):
    """Ranks by a function of the text, and remembers what it was given."""

    name: ClassVar[str] = "sorting"
    _key: Callable[[str], float] = PrivateAttr()
    _given: list[list[tuple[str, float | None]]] = PrivateAttr(default_factory=list)

    def __init__(self, key: Callable[[str], float]) -> None:
        super().__init__()
        self._key = key

    async def rerank(self, query: str, nodes: Sequence[NodeWithScore]) -> Reranked:
        self._given.append([(node.node.node_id, node.score) for node in nodes])
        scored = [
            NodeWithScore(node=each.node, score=self._key(each.node.get_content()))
            for each in nodes
        ]
        ranked = sorted(scored, key=lambda node: -(node.score or 0))
        return Reranked(ranked, {"ok": len(nodes)})


async def test_the_finalists_come_first_in_the_order_of_the_second_pass():
    first, second = Sorting(float), Sorting(lambda text: -float(text))
    given = passages(["3", "1", "5", "2", "4"], [0.9, 0.8, 0.7, 0.6, 0.5])
    reranked = await TwoPassReranker(first, second, 3).rerank("q", given)
    assert [node.node.get_content() for node in reranked.nodes] == ["3", "4", "5", "2", "1"]
    scores = [node.score for node in reranked.nodes]
    assert scores == [-3, -4, -5, -6, -7]
    assert second._given == [[("p2", 0.7), ("p4", 0.5), ("p0", 0.9)]], "as the retriever gave them"
    assert reranked.notes == {"ok": 8, "finalists": 3}


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_with_enough_places_everybody_is_a_finalist(size):
    given = passages([str(n) for n in range(size)])
    reranked = await TwoPassReranker(Sorting(float), Sorting(float), 3).rerank("q", given)
    assert ids(reranked.nodes) == [f"p{n}" for n in reversed(range(size))]


def test_finals_without_finalists_are_refused():
    with pytest.raises(ValueError, match="finalists"):
        TwoPassReranker(Sorting(float), Sorting(float), 0)


async def test_what_went_wrong_in_either_pass_is_told():
    class Failing(Sorting):
        async def rerank(self, query: str, nodes: Sequence[NodeWithScore]) -> Reranked:
            return Reranked(list(nodes), {"ok": 0, "failed": len(nodes), "error": "it is away"})

    given = passages(["3", "1", "2"])
    late = await TwoPassReranker(Sorting(float), Failing(float), 2).rerank("q", given)
    assert late.notes == {"ok": 3, "failed": 2, "error": "it is away", "finalists": 2}
    early = await TwoPassReranker(Failing(float), Failing(float), 2).rerank("q", given)
    assert early.notes == {"ok": 0, "failed": 5, "error": "it is away", "finalists": 2}
