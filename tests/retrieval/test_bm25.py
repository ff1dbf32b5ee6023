"""BM25 vectors score as the formula says and as rank_bm25 does."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from eval.datasets.beir import load
from eval.datasets.corpus import passages
from eval.retrieval.metrics import mean, ndcg
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


def tuned() -> BM25:
    """As the application uses it."""
    return BM25(Analyzer(), k1=1.2, b=0.75, k3=1.5, title_weight=2, pair_weight=0.3)


def indexed(bm25: BM25, texts: list[str], titles: list[str] | None = None) -> Engine:
    pairs = zip(texts, titles or [""] * len(texts), strict=True)
    counted = [bm25.count(text, title) for text, title in pairs]
    mean = average([passage.length for passage in counted])
    return Engine([bm25.weigh(passage, mean) for passage in counted])


def dimension(term: str) -> int:
    (index,) = BM25(PLAIN).encode_query(term).indices
    return index


def weights(vector: SparseVector) -> dict[int, float]:
    assert len(set(vector.indices)) == len(vector.indices) == len(vector.values) == len(vector)
    return dict(zip(vector.indices, vector.values, strict=True))


def test_weights_equal_numbers_worked_out_by_hand():
    # tf 2 and 1, length 3, average 2: norm = 1/4 + 3/4 * 3/2 = 1.375; k1 * norm = 1.65
    vector = BM25(PLAIN, k1=1.2, b=0.75).encode_passage("cat cat dog", average_length=2)
    assert weights(vector) == pytest.approx(
        {dimension("cat"): 2 * 2.2 / 3.65, dimension("dog"): 1 * 2.2 / 2.65}
    )


def test_query_weights_are_counts():
    vector = BM25(PLAIN).encode_query("cat dog cat cat")
    assert weights(vector) == {dimension("cat"): 3.0, dimension("dog"): 1.0}


def test_k3_dampens_words_that_the_query_repeats():
    vector = BM25(PLAIN, k3=1).encode_query("cat dog cat cat")
    assert weights(vector) == {dimension("cat"): 1.5, dimension("dog"): 1.0}
    once = BM25(PLAIN, k3=0).encode_query("cat dog cat cat")
    assert weights(once) == {dimension("cat"): 1.0, dimension("dog"): 1.0}


def test_adjacent_terms_make_pairs_that_know_their_order():
    bm25 = BM25(PLAIN, pair_weight=0.2)
    forth, back = (weights(bm25.encode_query(text)) for text in ("cat dog", "dog cat"))
    single = {dimension("cat"), dimension("dog")}
    assert single < set(forth) and single < set(back)
    assert set(forth) & set(back) == single
    assert sorted(forth.values()) == [0.2, 1.0, 1.0]
    assert set(forth) <= set(bm25.encode_passage("a cat dog b", 3.0).indices)
    assert set(forth) & set(bm25.encode_passage("cat a dog", 3.0).indices) == single


def test_pairs_do_not_count_as_length():
    assert BM25(PLAIN, pair_weight=0.2).count("cat dog eel").length == 3


def test_no_pairs_are_stored_when_they_weigh_nothing():
    assert len(BM25(PLAIN, pair_weight=0).encode_passage("cat dog eel", 3.0)) == 3
    assert len(BM25(PLAIN, pair_weight=0.2).encode_passage("cat dog eel", 3.0)) == 5


def test_terms_of_the_title_count_as_often_as_told():
    counted = BM25(PLAIN, title_weight=3).count("cat dog", title="dog")
    assert counted.length == 5
    assert {counted.counts[dimension("cat")], counted.counts[dimension("dog")]} == {1, 4}


def test_a_title_is_no_neighbour_of_the_text():
    assert BM25(PLAIN, pair_weight=0.2).count("dog", title="cat").counts == {
        dimension("cat"): 1,
        dimension("dog"): 1,
    }


def test_text_without_terms_gives_an_empty_vector():
    assert len(BM25(Analyzer()).encode_query("of the")) == 0
    assert BM25(Analyzer()).encode_passage("of the", 7.0) == SparseVector([], [])


def test_dimensions_are_the_same_in_every_process_and_fit_32_bits():
    assert dimension("cat") == 0xBB128B6A  # printf cat | b2sum -l 32, bytes reversed
    text = " ".join(f"w{n}" for n in range(1000))
    first, second = (BM25(PLAIN, pair_weight=1).encode_passage(text, 9.0) for _ in range(2))
    assert first == second
    assert all(0 <= index < 2**32 for index in first.indices)


def test_dimensions_hardly_ever_collide():
    words = [f"{a}{b}{c}" for a in "bcdfghjk" for b in "aeiou" for c in "lmnprstvxz"]
    counted = BM25(PLAIN, pair_weight=1).count(" ".join(words))
    assert len(counted.counts) == len(words) + len(words) - 1


def test_a_counted_passage_can_be_weighed_again_for_another_average():
    bm25, text = tuned(), "cells cells of mice"
    counted = bm25.count(text, "Mice")
    for length in (2.0, 9.0):
        assert bm25.weigh(counted, length) == bm25.encode_passage(text, length, "Mice")


def test_batch_equals_one_by_one_and_reports_lengths():
    bm25, texts, titles = tuned(), ["cells divide", "the", "cells cells of mice"], ["", "Mice", ""]
    vectors, lengths = bm25.encode_passages(texts, 3.0, titles)
    pairs = list(zip(texts, titles, strict=True))
    assert vectors == [bm25.encode_passage(text, 3.0, title) for text, title in pairs]
    assert lengths == [bm25.passage_length(text, title) for text, title in pairs] == [2, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"k1": -0.1}, "k1"),
        ({"k1": math.nan}, "k1"),
        ({"b": 1.1}, "b"),
        ({"k3": -1.0}, "k3"),
        ({"k3": math.nan}, "k3"),
        ({"title_weight": 0}, "title_weight"),
        ({"pair_weight": -1.0}, "pair_weight"),
    ],
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


def test_identity_changes_with_all_that_passages_depend_on():
    identities = [
        BM25(PLAIN).identity,
        BM25(PLAIN, k1=1.5).identity,
        BM25(PLAIN, b=0.5).identity,
        BM25(PLAIN, title_weight=2).identity,
        BM25(PLAIN, pair_weight=0.2).identity,
        BM25(Analyzer()).identity,
    ]
    assert all(identities.count(one) == 1 for one in identities)
    assert BM25(PLAIN, pair_weight=0.1).identity == BM25(PLAIN, pair_weight=0.2).identity


@given(st.integers(1, 30), st.integers(1, 200), st.floats(0.1, 3), st.floats(0, 1))
def test_more_occurrences_weigh_more_and_longer_passages_less(tf, length, k1, b):
    bm25 = BM25(PLAIN, k1, b)

    def weight(tf: int, others: int) -> float:
        text = "cat " * tf + "dog " * others
        return weights(bm25.encode_passage(text, 50.0))[dimension("cat")]

    assert weight(tf + 1, length) > weight(tf, length + 1)
    assert weight(tf, length) >= weight(tf, length + 1)
    assert 0 < weight(tf, length) < k1 + 1


@given(
    st.lists(LETTERS, min_size=1, max_size=25),
    LETTERS,
    st.floats(0.2, 3),
    st.floats(0, 1),
)
def test_scores_equal_okapi_where_the_inverse_document_frequency_is_okapis(texts, query, k1, b):
    bm25 = BM25(PLAIN, k1, b)
    terms = [PLAIN(text) for text in texts]
    if not any(terms):
        return
    okapi = BM25Okapi(terms, k1=k1, b=b)
    idf = {dimension(term): value for term, value in okapi.idf.items()}
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


def test_scores_on_a_real_collection_are_those_of_okapi_with_its_idf(shared_data):
    data = load(shared_data / "beir" / "cranfield")
    texts = [f"{title} {text}" for _, title, text in passages(data.corpus)]
    analyzer = Analyzer()
    bm25 = BM25(analyzer, k1=1.5, b=0.75)
    engine = indexed(bm25, texts)
    okapi = BM25Okapi([analyzer(text) for text in texts], k1=1.5, b=0.75)
    idf = {dimension(term): value for term, value in okapi.idf.items()}
    for query in list(data.queries.values())[:50]:
        ours = engine.scores(bm25.encode_query(query), idf=lambda index, _: idf.get(index, 0.0))
        theirs = okapi.get_scores(analyzer(query))
        assert [ours[row] for row in range(len(texts))] == pytest.approx(theirs.tolist())


@pytest.mark.parametrize(
    ("name", "promised"),
    [("scifact", 0.70), ("entailmentbank", 0.315), ("cranfield", 0.37), ("xquad_en", 0.965)],
)
def test_real_collections_are_searched_as_well_as_promised(shared_data, name, promised):
    data = load(shared_data / "beir" / name)
    ids, titles, texts = (list(column) for column in zip(*passages(data.corpus), strict=True))
    bm25 = tuned()
    engine = indexed(bm25, texts, titles)
    run = {
        query: {ids[row]: score for row, score in engine.scores(bm25.encode_query(text)).items()}
        for query, text in data.queries.items()
    }
    assert mean(ndcg(run, data.qrels)) >= promised
