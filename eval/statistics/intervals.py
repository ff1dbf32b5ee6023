"""Confidence intervals of a share and of a mean."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, in the unit of what was measured."""

    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """In another unit, such as points (100) of shares."""
        return Interval(self.low * factor, self.high * factor)

    def clipped(self, low: float = 0.0, high: float = 1.0) -> "Interval":
        """Cut off where no value can lie."""
        return Interval(max(self.low, low), min(self.high, high))

    def pair(self) -> list[float]:
        """As files of results hold it."""
        return [self.low, self.high]


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Score interval of a share (Wilson, JASA 1927), good for small n and shares near 0 and 1.

    Nothing seen (n = 0) leaves all of 0 to 1 open.

    Raises:
        ValueError: successes are not of 0 ... n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} cannot be")
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # The ends are exact at 0 and n successes; floating point would miss them by 1e-17.
    return Interval(middle - half if successes else 0.0, middle + half if successes < n else 1.0)


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of a mean; boundless for fewer than two values."""
    from scipy import special

    n = len(values)
    if n < 2:
        return Interval(-math.inf, math.inf)
    mean = statistics.fmean(values)
    error = statistics.stdev(values, mean) / math.sqrt(n)
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    return Interval(mean - half, mean + half)
