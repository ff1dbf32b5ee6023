"""Metrics equal trec_eval's definition."""

import math

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from eval.retrieval.metrics import judged, mean, mrr, ndcg, recall

PASSAGES = st.sampled_from("abcdefgh")
TIED = st.integers(-2, 2).map(float) | st.floats(-4, 4, width=32)
RUNS = st.dictionaries(PASSAGES, st.integers(-5, 5).map(float))
GRADES = st.dictionaries(PASSAGES, st.integers(-1, 3), min_size=1)


def test_ndcg_equals_a_number_worked_out_by_hand():
    # gains found 1, 0, 3; ideal 3, 2, 1
    run = {"q": {"a": 3.0, "x": 2.0, "c": 1.0}}
    qrels = {"q": {"a": 1, "b": 2, "c": 3, "d": 0, "e": -1}}
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert ndcg(run, qrels)["q"] == pytest.approx((1 + 3 / 2) / ideal)


def test_ideal_is_cut_at_k_as_well():
    run = {"q": {"a": 1.0}}
    qrels = {"q": {"a": 1, "b": 1, "c": 1}}
    assert ndcg(run, qrels, k=1) == {"q": 1.0}
    assert ndcg(run, qrels, k=2)["q"] == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_equal_scores_are_ordered_by_falling_id():
    qrels = {"q": {"b": 1}}
    assert mrr({"q": {"a": 1.0, "b": 1.0, "c": 1.0}}, qrels) == {"q": 1 / 2}
    assert mrr({"q": {"10": 1.0, "9": 1.0}}, {"q": {"9": 1}}) == {"q": 1.0}


def test_every_judged_query_counts_and_no_other():
    qrels = {"absent": {"a": 1}, "found": {"a": 1}, "none relevant": {"a": 0}}
    run = {"found": {"a": 1.0}, "none relevant": {"a": 1.0}, "not judged": {"a": 1.0}}
    for metric in (ndcg, recall, mrr):
        values = metric(run, qrels)
        assert values == {"absent": 0.0, "found": 1.0, "none relevant": 0.0}
        assert mean(values) == pytest.approx(1 / 3)


def test_recall_counts_relevant_passages_within_k():
    run = {"q": {"a": 3.0, "x": 2.0, "b": 1.0}}
    qrels = {"q": {"a": 2, "b": 1, "c": 1, "d": 0}}
    assert recall(run, qrels, k=2) == {"q": pytest.approx(1 / 3)}
    assert recall(run, qrels, k=3) == {"q": pytest.approx(2 / 3)}


def test_reciprocal_rank_is_zero_beyond_k():
    run = {"q": {"x": 2.0, "a": 1.0}}
    assert mrr(run, {"q": {"a": 1}}, k=1) == {"q": 0.0}
    assert mrr(run, {"q": {"a": 1}}, k=2) == {"q": 0.5}


def test_mean_of_no_queries_is_zero():
    assert mean({}) == 0.0


@pytest.mark.parametrize("metric", [ndcg, recall, mrr, judged])
def test_k_below_one_is_refused(metric):
    with pytest.raises(ValueError, match="k is 0"):
        metric({}, {}, k=0)


@given(RUNS, GRADES, st.integers(1, 9))
def test_values_lie_between_zero_and_one(run, grades, k):
    for metric in (ndcg, recall, mrr, judged):
        (value,) = metric({"q": run}, {"q": grades}, k).values()
        assert 0 <= value <= 1 + 1e-12


@given(GRADES, st.integers(1, 9))
def test_the_ideal_ranking_is_perfect(grades, k):
    run = {"q": {passage: float(grade) for passage, grade in grades.items()}}
    best = 1.0 if any(grade > 0 for grade in grades.values()) else 0.0
    assert ndcg(run, {"q": grades}, k)["q"] == pytest.approx(best)
    assert mrr(run, {"q": grades}, k)["q"] == best


@given(RUNS, GRADES, st.integers(1, 9))
def test_only_the_order_of_scores_matters(run, grades, k):
    stretched = {passage: 3 * score + 7 for passage, score in run.items()}
    for metric in (ndcg, recall, mrr, judged):
        assert metric({"q": run}, {"q": grades}, k) == metric({"q": stretched}, {"q": grades}, k)


@given(
    st.dictionaries(st.sampled_from("pqr"), st.dictionaries(PASSAGES, TIED), max_size=3),
    st.dictionaries(st.sampled_from("pqr"), GRADES, min_size=1),
)
def test_values_are_those_of_trec_eval(run, qrels):
    """On ties, graded and negative judgements, and queries that either side lacks."""
    cuts = (1, 3, 10)
    names = {f"{name}.{','.join(map(str, cuts))}" for name in ("ndcg_cut", "recall")}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, names | {"recip_rank"}).evaluate(run)
    for query in qrels:
        values = theirs.get(query, {})
        for k in cuts:
            assert ndcg(run, qrels, k)[query] == pytest.approx(values.get(f"ndcg_cut_{k}", 0))
            assert recall(run, qrels, k)[query] == pytest.approx(values.get(f"recall_{k}", 0))
        assert mrr(run, qrels, len("abcdefgh"))[query] == pytest.approx(values.get("recip_rank", 0))


def test_judged_is_the_share_of_what_was_found_first():
    run = {"q": {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}, "short": {"a": 1.0}}
    qrels = {"q": {"a": 1, "b": 0, "d": -1}, "short": {"a": 1}, "absent": {"a": 1}}
    assert judged(run, qrels, k=3) == {"q": pytest.approx(2 / 3), "short": 1.0, "absent": 0.0}
    assert judged(run, qrels, k=4)["q"] == pytest.approx(3 / 4)
