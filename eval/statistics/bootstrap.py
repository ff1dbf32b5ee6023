"""Bootstrap intervals of means and of paired differences, whole clusters at a time if need be."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.statistics.intervals import Interval

_CHUNK = 2_000_000
"""Draws held in memory at a time."""


def paired_difference(
    after: ArrayLike,
    before: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of mean(after - before), pairs drawn together; see `bootstrap_mean`."""
    differences = np.asarray(after, float) - np.asarray(before, float)
    return bootstrap_mean(differences, clusters, resamples=resamples, level=level, seed=seed)


def bootstrap_mean(
    values: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a mean (Efron, Ann. Statist. 1979).

    With clusters, whole clusters are drawn with replacement and the mean is over all values of
    those drawn (Davison and Hinkley 1997, section 3.8): values of one cluster may depend on each
    other. Few clusters give intervals that are too narrow.

    Args:
        values: of shape (n,).
        clusters: for each value what it belongs to; None where each stands for itself.

    Raises:
        ValueError: there are no values, or not one cluster for each.
    """
    rows = _rows(np.asarray(values, float), clusters)
    rng = np.random.default_rng(seed)
    means = np.concatenate(list(_means(rows, resamples, rng)))
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _rows(values: NDArray[np.float64], clusters: Sequence[Hashable] | None) -> NDArray[np.float64]:
    """Sum and size of each unit that is drawn, of shape (units, 2)."""
    if values.ndim != 1 or not len(values):
        raise ValueError("a mean needs at least one value")
    if clusters is None:
        return np.column_stack([values, np.ones(len(values))])
    if len(clusters) != len(values):
        raise ValueError(f"there are {len(clusters)} clusters for {len(values)} values")
    numbers: dict[Hashable, int] = {}
    of = [numbers.setdefault(cluster, len(numbers)) for cluster in clusters]
    return np.column_stack([np.bincount(of, weights=values), np.bincount(of)])


def _means(
    rows: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """The means, a chunk at a time.

    How often each of the distinct rows is drawn is multinomial, so where few are distinct, as among
    answers that are right or wrong, the draws themselves are not needed.
    """
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    units, few = len(rows), 8 * len(distinct) <= len(rows)
    step = max(1, _CHUNK // (len(distinct) if few else units))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        if few:
            totals = rng.multinomial(units, counts / units, size=size) @ distinct
        else:
            drawn = rng.integers(0, units, size=(size, units), dtype=np.int32)
            totals = np.column_stack([column[drawn].sum(axis=1) for column in rows.T])
        yield totals[:, 0] / totals[:, 1]
