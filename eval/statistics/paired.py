"""Tests of two systems on the same queries, of which each has a score by each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_EXACT = 16
"""Up to so many differences, all 65,536 ways to flip them are tried."""
_CHUNK = 4_000_000
_EQUAL = 1e-9
"""Scores closer than that are the same but for rounding."""


@dataclass(frozen=True, slots=True)
class PairedT:
    """Student's paired t test: t, degrees of freedom, two-sided p."""

    t: float
    degrees: int
    p: float


@dataclass(frozen=True, slots=True)
class Randomisation:
    """Two-sided p of a randomisation test, and whether all cases were tried or drawn ones."""

    p: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Queries on which the first system is better, equal, worse."""

    wins: int
    ties: int
    losses: int


def paired_t(first: Sequence[float], second: Sequence[float]) -> PairedT:
    """Whether the mean difference is other than 0, were differences normal (Student 1908).

    Fewer than two pairs, or no difference anywhere, show nothing: p is 1. Differences that are all
    the same, but not 0, have an infinite t and a p of 0.
    """
    from scipy import special

    differences = _differences(first, second)
    n = len(differences)
    if n < 2 or not differences.any():
        return PairedT(0.0, max(n - 1, 0), 1.0)
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n)
    if error < _EQUAL * abs(mean):
        return PairedT(math.copysign(math.inf, mean), n - 1, 0.0)
    t = mean / error
    return PairedT(t, n - 1, 2 * float(special.stdtr(n - 1, -abs(t))))


def sign_flip(
    first: Sequence[float], second: Sequence[float], *, flips: int = 100_000, seed: int = 0
) -> Randomisation:
    """Fisher's randomisation test of the mean difference (Smucker et al., CIKM 2007).

    Were the systems alike, swapping their scores on any query would change nothing, so each
    difference could as well have the other sign. p is the share of sign patterns with a mean at
    least as far from 0 as the one seen. With more than 16 differences other than 0 patterns are
    drawn, and p = (1 + extreme) / (1 + flips), which is never 0 (Phipson and Smyth 2010).
    """
    differences = _differences(first, second)
    differences = differences[differences != 0]
    n = len(differences)
    seen = abs(float(differences.sum())) - _EQUAL
    if n <= _EXACT:
        patterns = np.arange(2**n)[:, None] >> np.arange(n) & 1
        return Randomisation(float(np.mean(_sums(patterns, differences) >= seen)), exact=True)
    rng = np.random.default_rng(seed)
    extreme, step, width = 0, max(1, _CHUNK // n), math.ceil(n / 8)
    for start in range(0, flips, step):
        size = min(step, flips - start)
        noise = np.frombuffer(rng.bytes(size * width), np.uint8).reshape(size, width)
        sums = _sums(np.unpackbits(noise, axis=1, count=n), differences)
        extreme += int(np.count_nonzero(sums >= seen))
    return Randomisation((1 + extreme) / (1 + flips), exact=False)


def outcomes(first: Sequence[float], second: Sequence[float]) -> Outcomes:
    """On how many queries the first is better, equal, worse."""
    differences = _differences(first, second)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Outcomes(wins, len(differences) - wins - losses, losses)


def _differences(first: Sequence[float], second: Sequence[float]) -> _Floats:
    if len(first) != len(second):
        raise ValueError(f"there are {len(first)} and {len(second)} scores; they must be paired")
    differences: _Floats = np.asarray(first, float) - np.asarray(second, float)
    differences[np.abs(differences) < _EQUAL] = 0.0
    return differences


def _sums(patterns: NDArray[Any], differences: _Floats) -> _Floats:
    """Absolute sums with the differences flipped where a pattern has 1."""
    sums: _Floats = differences.sum() - 2 * (patterns.astype(np.float64) @ differences)
    return np.abs(sums)
