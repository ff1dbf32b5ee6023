"""Bootstrap intervals equal scipy's, and cover what they promise."""

import time

import numpy as np
import pytest
from scipy import stats

from eval.statistics.bootstrap import bootstrap_mean, paired_difference


@pytest.mark.parametrize("kind", ["continuous", "right or wrong"])
@pytest.mark.parametrize("n", [30, 400])
def test_equals_scipy_but_for_chance(kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.random(n) if kind == "continuous" else rng.integers(-1, 2, n).astype(float)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=rng
    ).confidence_interval
    error = values.std() / np.sqrt(n)
    found = bootstrap_mean(values, resamples=20_000).pair()
    assert found == pytest.approx([expected.low, expected.high], abs=0.1 * error)


def test_few_distinct_values_and_many_draw_alike() -> None:
    """Right or wrong is drawn by counts; noise far below the result forces drawing one by one."""
    values = np.random.default_rng(3).integers(0, 2, 500).astype(float)
    noisy = values + np.random.default_rng(4).random(500) * 1e-9
    by_counts, one_by_one = bootstrap_mean(values).pair(), bootstrap_mean(noisy).pair()
    assert by_counts == pytest.approx(one_by_one, abs=0.004)


def test_clusters_are_drawn_whole() -> None:
    """Against drawing clusters in a plain loop."""
    rng = np.random.default_rng(5)
    clusters = rng.integers(0, 20, 300)
    values = rng.random(300) + clusters / 10
    groups = [values[clusters == cluster] for cluster in range(20)]
    means = [
        np.concatenate([groups[i] for i in rng.integers(0, 20, 20)]).mean() for _ in range(10_000)
    ]
    found = bootstrap_mean(values, clusters.tolist()).pair()
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.03)


def test_dependence_within_clusters_widens_the_interval() -> None:
    clusters = [number // 10 for number in range(300)]
    values = np.repeat(np.random.default_rng(6).random(30), 10)
    wide, narrow = bootstrap_mean(values, clusters), bootstrap_mean(values)
    assert wide.high - wide.low > 2.5 * (narrow.high - narrow.low)


def test_ninety_five_of_a_hundred_intervals_cover_the_mean() -> None:
    rng = np.random.default_rng(7)
    intervals = [bootstrap_mean(rng.random(100), resamples=500, seed=i) for i in range(400)]
    covered = np.mean([interval.low <= 0.5 <= interval.high for interval in intervals])
    assert 0.91 < covered < 0.98


def test_a_difference_is_paired() -> None:
    before = np.random.default_rng(8).random(200)
    interval = paired_difference(before + 0.25, before)
    assert interval.pair() == pytest.approx([0.25, 0.25])


def test_the_seed_decides() -> None:
    values = np.random.default_rng(9).random(50)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_the_whole_of_mmlu_takes_a_moment() -> None:
    rng = np.random.default_rng(10)
    after, before, subjects = (rng.integers(0, high, 14_042) for high in (2, 2, 57))
    began = time.process_time()
    paired_difference(after, before, subjects.tolist())
    paired_difference(after, before)
    assert time.process_time() - began < 2


def test_refuses_nothing_and_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_mean([])
    with pytest.raises(ValueError, match="1 clusters for 2 values"):
        bootstrap_mean([1.0, 2.0], ["a"])
