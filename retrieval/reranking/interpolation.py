"""Grades and retriever scores to one order.

Pointwise grades are coarse, so many passages share one; the retriever's score tells them apart
(ReasonIR, https://arxiv.org/abs/2504.20595, breaks ties so).
"""

import math
from collections.abc import Sequence
from typing import Literal

Normalise = Literal["none", "minmax"]
"""What is done to the retriever's scores: nothing, or the list's lowest to 0 and highest to 1."""


def interpolate(
    grades: Sequence[float | None],
    scores: Sequence[float | None],
    weight: float,
    normalise: Normalise,
) -> list[float]:
    """Final scores, weight x grade + (1 - weight) x retriever score, [n].

    A passage without a grade is taken to deserve the mean of the others' grades: nothing is known
    against it, so a slow or failing server moves it neither up nor down, and where no passage has a
    grade the retriever's order stands.

    Args:
        grades: [n], from 0 (not relevant) to 1; None where there is no grade.
        scores: [n], of the retriever; None counts as 0.
        weight: share of the grade, from 0 to 1.
        normalise: how the retriever's scores are brought to the scale of the grades.

    Raises:
        ValueError: the lengths differ, or a number is infinite or not a number.
    """
    known = [grade for grade in grades if grade is not None]
    neutral = math.fsum(known) / len(known) if known else 0.0
    found = [score or 0.0 for score in scores]
    if not all(map(math.isfinite, (*known, *found))):
        raise ValueError("only finite grades and scores can be ranked")
    if normalise == "minmax":
        found = _minmax(found)
    return [
        weight * (neutral if grade is None else grade) + (1 - weight) * score
        for grade, score in zip(grades, found, strict=True)
    ]


def order(finals: Sequence[float]) -> list[int]:
    """Positions by falling score; equal scores stay in the retriever's order."""
    return sorted(range(len(finals)), key=lambda at: -finals[at])


def _minmax(scores: Sequence[float]) -> list[float]:
    """To 0..1; all 0 where all are equal."""
    low = min(scores, default=0.0)
    span = max(scores, default=0.0) - low
    return [(score - low) / span if span > 0 else 0.0 for score in scores]
