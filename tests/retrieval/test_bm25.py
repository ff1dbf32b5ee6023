"""BM25 vectors score as the formula says and as rank_bm25 does."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from eval.datasets.beir import load
from eval.metrics import mean, ndcg
from retrieval.analysis import Analyzer
from retrieval.bm25 import BM25, average
from retrieval.sparse import SparseVector

PLAIN = Analyzer("none")
LETTERS = st.text("abcde ", max_size=40)


class Engine:
    """Scores as Qdrant does: dot product, query weights times ln(1 + (N - n + .5) / (n + .5))."""

    def __init__(self, vectors: list[SparseVector]) -> None:
        self.holders: dict[int, list[tuple[int, float]]] = {}
        for row, vector in enumerate(vectors):
            for index, value in zip(vector.indices, vector.values, strict=True):
                self.holders.setdefault(index, []).append((row, value))
        self.size = len(vectors)

    def scores(self, query: SparseVector, idf=None) -> Counter[int]:
        totals: Counter[int] = Counter()
        for index, weight in zip(query.indices, query.values, strict=True):
            held = self.holders.get(index, [])
            n = len(held)
            factor = idf(index, n) if idf else math.log(1 + (self.size - n + 0.5) / (n + 0.5))
            for row, value in held:
                totals[row] += weight * factor * value
        return totals


def indexed(bm25: BM25, texts: list[str]) -> Engine:
    lengths = [bm25.passage_length(text) for text in texts]
    return Engine(bm25.encode_passages(texts, average(lengths))[0])


def test_weights_equal_numbers_worked_out_by_hand():
    # tf 2 and 1, length 3, average 2: norm = 1/4 + 3/4 * 3/2 = 1.375; k1 * norm = 1.65
    bm25 = BM25(PLAIN, k1=1.2, b=0.75)
    vector = bm25.encode_passage("cat cat dog", average_length=2)
    cat, dog = bm25.encode_query("cat").indices[0], bm25.encode_query("dog").indices[0]
    weights = dict(zip(vector.indices, vector.values, strict=True))
    assert weights[cat] == pytest.approx(2 * 2.2 / 3.65)
    assert weights[dog] == pytest.approx(1 * 2.2 / 2.65)


def test_query_weights_are_counts():
    vector = BM25(PLAIN).encode_query("cat dog cat")
    assert sorted(vector.values) == [1.0, 2.0]


def test_text_without_terms_gives_an_empty_vector():
    assert len(BM25(Analyzer()).encode_query("of the")) == 0
    assert BM25(Analyzer()).encode_passage("of the", 7.0) == SparseVector([], [])


def test_dimensions_are_stable_across_instances_and_fit_32_bits():
    texts = [f"word{n}" for n in range(1000)]
    first, second = BM25(PLAIN), BM25(PLAIN)
    indices = [first.encode_query(text).indices[0] for text in texts]
    assert indices == [second.encode_query(text).indices[0] for text in texts]
    assert all(0 <= index < 2**32 for index in indices)
    assert BM25(PLAIN).encode_query("cat").indices == [
        0xBB128B6A
    ]  # printf cat | b2sum -l 32, bytes reversed


def test_batch_equals_one_by_one_and_reports_lengths():
    bm25, texts = BM25(Analyzer()), ["cells divide", "the", "cells cells of mice"]
    vectors, lengths = bm25.encode_passages(texts, 3.0)
    assert vectors == [bm25.encode_passage(text, 3.0) for text in texts]
    assert lengths == [bm25.passage_length(text) for text in texts] == [2, 0, 3]


def test_a_counted_passage_can_be_weighed_again_for_another_average():
    bm25 = BM25(PLAIN)
    counted = bm25.count("cat cat dog")
    assert bm25.weigh(counted, 2.0) == bm25.encode_passage("cat cat dog", 2.0)
    assert bm25.weigh(counted, 9.0) == bm25.encode_passage("cat cat dog", 9.0)


@pytest.mark.parametrize(
    ("arguments", "complaint"), [({"k1": -0.1}, "k1"), ({"k1": math.nan}, "k1"), ({"b": 1.1}, "b")]
)
def test_parameters_out_of_range_are_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        BM25(PLAIN, **arguments)


@pytest.mark.parametrize("average_length", [0.0, -1.0, math.nan])
def test_average_length_must_be_positive(average_length):
    with pytest.raises(ValueError, match="average_length"):
        BM25(PLAIN).encode_passage("cat", average_length)


def test_average_of_nothing_is_usable():
    assert average([]) == average([0, 0]) == 1.0
    assert average([1, 2]) == 1.5


def test_identity_changes_with_each_parameter():
    identities = [
        BM25(PLAIN, 1.2, 0.75).identity,
        BM25(PLAIN, 1.5, 0.75).identity,
        BM25(PLAIN, 1.2, 0.5).identity,
        BM25(Analyzer(), 1.2, 0.75).identity,
    ]
    assert all(identities.count(one) == 1 for one in identities)


@given(st.integers(1, 30), st.integers(1, 200), st.floats(0.1, 3), st.floats(0, 1))
def test_more_occurrences_weigh_more_and_longer_passages_less(tf, length, k1, b):
    bm25 = BM25(PLAIN, k1, b)

    def weight(tf: int, others: int) -> float:
        text = "cat " * tf + "dog " * others
        vector = bm25.encode_passage(text, 50.0)
        cat = bm25.encode_query("cat").indices[0]
        return vector.values[vector.indices.index(cat)]

    assert weight(tf + 1, length) > weight(tf, length + 1)
    assert weight(tf, length) >= weight(tf, length + 1)
    assert 0 < weight(tf, length) < k1 + 1


@given(st.lists(LETTERS, min_size=1, max_size=25), LETTERS, st.floats(0.2, 3), st.floats(0, 1))
def test_scores_equal_okapi_where_the_inverse_document_frequency_is_okapis(texts, query, k1, b):
    bm25 = BM25(PLAIN, k1, b)
    terms = [PLAIN(text) for text in texts]
    if not any(terms):
        return
    okapi = BM25Okapi(terms, k1=k1, b=b)
    idf = {bm25.encode_query(term).indices[0]: value for term, value in okapi.idf.items()}
    ours = indexed(bm25, texts).scores(bm25.encode_query(query), idf=lambda i, _: idf.get(i, 0.0))
    theirs = okapi.get_scores(PLAIN(query))
    assert [ours[row] for row in range(len(texts))] == pytest.approx(theirs.tolist(), abs=1e-9)


@given(st.lists(LETTERS, min_size=1, max_size=25), st.sampled_from("abcde"))
def test_one_term_queries_rank_as_okapi_does_with_the_engines_idf(texts, query):
    bm25 = BM25(PLAIN)
    terms = [PLAIN(text) for text in texts]
    okapi = BM25Okapi(terms, k1=bm25.k1, b=bm25.b) if any(terms) else None
    if okapi is None or okapi.idf.get(query, 0) <= 0:
        return
    ours = indexed(bm25, texts).scores(bm25.encode_query(query))
    theirs = okapi.get_scores([query])
    ratios = [ours[row] / theirs[row] for row in ours]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert set(ours) == set(theirs.nonzero()[0].tolist())


def test_scifact_reaches_the_quality_that_was_promised(shared_data):
    data = load(shared_data / "beir" / "scifact")
    bm25 = BM25(Analyzer())
    engine = indexed(bm25, [f"{title} {text}" for _, title, text in data.passages()])
    ids = [passage for passage, _, _ in data.passages()]
    run = {
        query: {ids[row]: score for row, score in engine.scores(bm25.encode_query(text)).items()}
        for query, text in data.queries.items()
    }
    assert mean(ndcg(run, data.qrels)) >= 0.687
