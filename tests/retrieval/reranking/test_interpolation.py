import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.reranking.interpolation import interpolate, order

SCORES = st.floats(-1e6, 1e6)
GRADES = st.none() | st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
PAIRS = st.lists(st.tuples(GRADES, SCORES), max_size=30)
NORMALISE = st.sampled_from(["none", "minmax"])


def test_scores_equal_numbers_worked_out_by_hand():
    grades, scores = [0.2, 1.0, 0.6], [12.0, 4.0, 2.0]
    assert interpolate(grades, scores, 0.5, "none") == pytest.approx([6.1, 2.5, 1.3])
    assert interpolate(grades, scores, 0.25, "minmax") == pytest.approx([0.8, 0.4, 0.15])


def test_without_a_grade_a_passage_has_the_mean_of_the_others():
    assert interpolate([1.0, None, 0.0], [3.0, 2.0, 1.0], 0.5, "none") == [2.0, 1.25, 0.5]


def test_a_passage_without_a_score_has_none_to_add():
    assert interpolate([1.0, 0.5], [None, 2.0], 0.5, "none") == [0.5, 1.25]


def test_nothing_gives_nothing():
    assert interpolate([], [], 0.5, "minmax") == order([]) == []


@pytest.mark.parametrize(
    ("grades", "scores"),
    [([math.nan], [1.0]), ([1.0], [math.inf]), ([-math.inf], [1.0]), ([1.0], [1.0, 2.0])],
)
def test_what_cannot_be_ranked_is_refused(grades, scores):
    with pytest.raises(ValueError):
        interpolate(grades, scores, 0.5, "minmax")


@given(PAIRS, st.floats(0, 1), NORMALISE)
def test_each_position_is_ranked_once_by_falling_score(pairs, weight, normalise):
    finals = interpolate([g for g, _ in pairs], [s for _, s in pairs], weight, normalise)
    ranked = order(finals)
    assert sorted(ranked) == list(range(len(pairs)))
    assert [finals[at] for at in ranked] == sorted(finals, reverse=True)


@given(st.lists(SCORES, max_size=30), GRADES, st.floats(0, 1), NORMALISE)
def test_equal_grades_or_none_keep_the_retrievers_order(scores, grade, weight, normalise):
    scores = sorted(scores, reverse=True)
    finals = interpolate([grade] * len(scores), scores, weight, normalise)
    assert order(finals) == list(range(len(scores)))


@given(PAIRS, st.floats(0, 1), NORMALISE)
def test_among_equal_grades_the_better_score_is_never_behind(pairs, weight, normalise):
    pairs.sort(key=lambda pair: -pair[1])
    ranked = order(interpolate([g for g, _ in pairs], [s for _, s in pairs], weight, normalise))
    for grade, _ in pairs:
        alike = [at for at in ranked if pairs[at][0] == grade]
        assert alike == sorted(alike)
