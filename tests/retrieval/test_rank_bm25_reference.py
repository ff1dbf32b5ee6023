"""The reference retriever returns what rank_bm25 scores highest."""

from collections.abc import Iterator

import pytest
from llama_index.core.schema import TextNode
from rank_bm25 import BM25Okapi

from retrieval.analysis import Analyzer
from retrieval.rank_bm25_reference import RankBM25Retriever

TEXTS = {
    "d": "Cats chase mice at night.",
    "c": "Mice eat cheese; mice like cheese.",
    "b": "Dogs sleep.",
    "a": "Dogs sleep.",
    "e": "Rain falls on the plain.",
}


def nodes(texts: dict[str, str] = TEXTS) -> list[TextNode]:
    return [TextNode(id_=name, text=text) for name, text in texts.items()]


def found(retriever: RankBM25Retriever, query: str) -> list[tuple[str, float | None]]:
    return [(hit.node.node_id, hit.score) for hit in retriever.retrieve(query)]


def test_scores_are_those_of_okapi():
    analyzer = Analyzer()
    okapi = BM25Okapi([analyzer(text) for text in TEXTS.values()], k1=1.1, b=0.6)
    expected = dict(zip(TEXTS, okapi.get_scores(analyzer("mice cheese")), strict=True))
    hits = found(RankBM25Retriever(nodes(), analyzer, k1=1.1, b=0.6), "mice cheese")
    assert hits == [("c", expected["c"]), ("d", expected["d"])]


def test_hits_without_a_shared_term_are_dropped():
    assert found(RankBM25Retriever(nodes(), Analyzer()), "zebra") == []


def test_ties_are_ordered_by_chunk_id():
    hits = found(RankBM25Retriever(nodes(), Analyzer()), "dogs")
    assert [name for name, _ in hits] == ["a", "b"]


def test_no_more_than_top_k_hits():
    assert len(found(RankBM25Retriever(nodes(), Analyzer(), top_k=1), "dogs")) == 1


def test_headings_are_searched_too():
    chunk = TextNode(id_="x", text="They sleep.", metadata={"headings": ["Walrus"]})
    hits = found(RankBM25Retriever([*nodes(), chunk], Analyzer()), "walrus")
    assert [name for name, _ in hits] == ["x"]


@pytest.mark.parametrize("texts", [{}, {"a": "of the", "b": "…"}])
def test_collections_without_terms_have_no_hits(texts):
    assert found(RankBM25Retriever(nodes(texts), Analyzer()), "dogs") == []


def test_query_without_terms_has_no_hits():
    assert found(RankBM25Retriever(nodes(), Analyzer()), "of the") == []


def test_collection_is_read_once_and_only_when_asked():
    reads: list[str] = []

    def stream() -> Iterator[TextNode]:
        for node in nodes():
            reads.append(node.node_id)
            yield node

    retriever = RankBM25Retriever(stream(), Analyzer())
    assert reads == []
    assert found(retriever, "dogs") == found(retriever, "dogs") != []
    assert len(reads) == len(TEXTS)


def test_top_k_below_one_is_refused():
    with pytest.raises(ValueError, match="top_k"):
        RankBM25Retriever([], Analyzer(), top_k=0)
