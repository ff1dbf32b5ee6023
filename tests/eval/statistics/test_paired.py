"""Paired tests equal scipy's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eval.statistics.paired import Outcomes, PairedT, Randomisation, outcomes, paired_t, sign_flip

_SCORES = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=12)


def scores(n: int, shift: float = 0.0) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(n)
    return (rng.random(n) + shift).tolist(), rng.random(n).tolist()


@pytest.mark.parametrize("n", [2, 5, 50, 1000])
@pytest.mark.parametrize("shift", [-0.3, 0.0, 0.05])
def test_t_equals_scipy(n: int, shift: float) -> None:
    first, second = scores(n, shift)
    expected = stats.ttest_rel(first, second)
    found = paired_t(first, second)
    assert (found.t, found.degrees, found.p) == pytest.approx(
        (expected.statistic, n - 1, expected.pvalue), rel=1e-9
    )


def test_t_of_no_difference_and_of_one_pair_shows_nothing() -> None:
    assert paired_t([0.5, 0.1], [0.5, 0.1]) == PairedT(0.0, 1, 1.0)
    assert paired_t([0.5], [0.1]).p == 1


def test_t_of_one_and_the_same_difference_is_endless() -> None:
    assert paired_t([0.3, 0.4, 0.9], [0.2, 0.3, 0.8]) == PairedT(math.inf, 2, 0.0)


@given(_SCORES)
def test_few_queries_are_tried_in_all_ways_as_scipy_does(pairs: list[tuple[int, int]]) -> None:
    first, second = [a / 10 for a, _ in pairs], [b / 10 for _, b in pairs]
    found = sign_flip(first, second)
    assert found.exact
    if len(pairs) > 1:
        tenths = (np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))
        expected = stats.permutation_test(
            tenths,
            lambda a, b, axis: np.sum(a - b, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert found.p == pytest.approx(expected.pvalue)


def test_many_queries_are_tried_by_chance_and_agree_with_scipy() -> None:
    first, second = scores(200, 0.05)
    expected = stats.permutation_test(
        (np.array(first), np.array(second)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    found = sign_flip(first, second)
    assert not found.exact
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)
    assert found == sign_flip(first, second)


def test_a_drawn_p_is_never_zero() -> None:
    better, worse = [1.0] * 100, [0.0] * 100
    assert sign_flip(better, worse, flips=999) == Randomisation(1 / 1000, exact=False)


def test_queries_without_a_difference_do_not_count() -> None:
    assert sign_flip([1.0] * 5 + [0.5] * 100, [0.0] * 5 + [0.5] * 100) == Randomisation(
        2 / 32, exact=True
    )


def test_under_no_difference_five_percent_are_below_five_percent() -> None:
    rng = np.random.default_rng(11)
    below = [
        sign_flip(rng.random(20).tolist(), rng.random(20).tolist(), flips=400, seed=i).p <= 0.05
        for i in range(1000)
    ]
    assert 0.03 < np.mean(below) < 0.07


def test_outcomes_are_counted_and_rounding_errors_are_ties() -> None:
    assert outcomes([0.1 + 0.2, 1.0, 0.0, 0.7], [0.3, 0.5, 0.5, 0.6]) == Outcomes(2, 1, 1)


def test_refuses_scores_that_are_not_paired() -> None:
    with pytest.raises(ValueError, match="2 and 1"):
        paired_t([1.0, 2.0], [1.0])
