"""Intervals equal those of statsmodels and scipy."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from eval.statistics.intervals import Interval, mean_interval, wilson


@pytest.mark.parametrize("n", [1, 5, 37, 198, 14_042])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_equals_statsmodels(n: int, level: float) -> None:
    for successes in {0, 1, n // 3, n // 2, n - 1, n}:
        expected = proportion_confint(successes, n, alpha=1 - level, method="wilson")
        assert wilson(successes, n, level).pair() == pytest.approx(expected, abs=1e-12)


def test_wilson_of_nothing_seen_says_nothing() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)


def test_wilson_refuses_more_successes_than_tries() -> None:
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)


@pytest.mark.parametrize("n", [2, 3, 30, 1000])
def test_mean_interval_equals_scipy(n: int) -> None:
    values = np.random.default_rng(n).random(n)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values.tolist()).pair()
    assert found == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_one_value_leaves_the_mean_open_within_what_it_can_be() -> None:
    assert mean_interval([0.4]) == Interval(-math.inf, math.inf)
    assert mean_interval([0.4]).clipped() == Interval(0.0, 1.0)


def test_intervals_change_their_unit() -> None:
    assert Interval(-0.5, 0.25).scaled(100).pair() == [-50.0, 25.0]
