"""One ranking of what several collections find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import NodeWithScore, TextNode

from retrieval.errors import RetrievalError
from retrieval.retriever import PassageRetriever, Retrieval
from retrieval.several import SeveralRetriever


class Found(PassageRetriever):
    """Finds the same always."""

    def __init__(self, scores: dict[str, float], dense: dict[str, float] | None = None) -> None:
        super().__init__()
        self._scores, self._dense = scores, dense or {}

    def find(self, query: str) -> Retrieval:
        hits = [
            NodeWithScore(node=TextNode(id_=key, text=f"{query} {key}"), score=score)
            for key, score in self._scores.items()
        ]
        return Retrieval(hits, {"dense": list(self._dense.items())}, {"dense": 1.0}, 3)


class Broken(PassageRetriever):
    def find(self, query: str) -> Retrieval:
        raise RetrievalError(f"nothing finds {query}")


def ranked(found: Retrieval) -> list[tuple[str, str]]:
    return [(hit.node.node_id, hit.node.metadata["collection"]) for hit in found.hits]


async def test_collections_take_turns_and_the_nearer_passage_goes_first():
    retriever = SeveralRetriever(
        {
            "a": Found({"a1": 9.0, "a2": 8.0}, {"a1": 0.3, "a2": 0.2}),
            "b": Found({"b1": 1.0, "b2": 0.5}, {"b1": 0.9, "b2": 0.1}),
        },
        top_k=3,
    )
    found = await retriever.afind("q")
    assert ranked(found) == [("b1", "b"), ("a1", "a"), ("a2", "a")]
    assert ranked(retriever.find("q")) == ranked(found)
    assert [key for key, _ in found.rankings["collections"]] == ["b1", "a1", "a2", "b2"]
    assert found.rankings["b/dense"] == [("b1", 0.9), ("b2", 0.1)]
    assert (found.query_tokens, found.milliseconds) == (6, {"dense": 2.0})
    assert "collection" not in found.hits[0].node.get_content("llm")


async def test_what_two_collections_hold_counts_for_both_and_is_the_first_ones():
    retriever = SeveralRetriever({"a": Found({"x": 1, "both": 1}), "b": Found({"y": 1, "both": 1})})
    found = await retriever.afind("q")
    assert ranked(found)[0] == ("both", "a")
    assert len(found.hits) == 3


async def test_a_collection_that_cannot_be_searched_is_no_empty_one():
    retriever = SeveralRetriever({"a": Found({"x": 1}), "b": Broken()})
    with pytest.raises(RetrievalError):
        await retriever.afind("q")
    with pytest.raises(RetrievalError):
        retriever.find("q")


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=8), min_size=1, max_size=4))
def test_every_passage_once_and_none_before_one_that_all_rank_higher(lists):
    retrievers = {
        f"c{n}": Found({str(key): -float(rank) for rank, key in enumerate(keys)})
        for n, keys in enumerate(lists)
    }
    merged = [hit.node.node_id for hit in SeveralRetriever(retrievers, 100).find("q").hits]
    assert sorted(merged) == sorted({str(key) for keys in lists for key in keys})
    for keys in lists[:1] if len(lists) == 1 else ():
        assert merged == [str(key) for key in keys]
