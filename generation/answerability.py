"""Whether the passages answer a question at all: a probability, and where to draw the line."""

import math
from typing import Final

import numpy as np

from generation.evidence import FEATURES, Array, Evidence
from generation.fitted_weights import ANSWERABILITY, BIAS, THRESHOLD

SIGNS: Final = (
    "cosine", "cosines", "spread", "context", "passage", "gap", "matched", "terms", "names",
    "pairs", "lacks_type",
)  # fmt: skip
"""Names of the numbers in `describe`."""

_COLUMN: Final = {name: i for i, name in enumerate(FEATURES)}


def describe(evidence: Evidence) -> Array:
    """Put in numbers, in the order of ``SIGNS``, how well the best of the evidence fits.

    The cosine of the best sentence, the mean of the best three, and their distance from the ninth;
    the share of the question's idf near the best sentence, in the best passage, and how far the
    second passage is behind; the idf matched there and the number of terms asked for, as
    logarithms; the share of the question's names and of its pairs of words; whether what kind of
    answer it wants is missing.
    """
    features = evidence.features
    if not len(features):
        return np.zeros(len(SIGNS))
    cosines = np.sort(features[:, _COLUMN["cosine"]])[::-1]
    held = [*sorted(evidence.passage_coverage, reverse=True), 0.0]
    asked = math.fsum(evidence.wanted.values())
    fit = features[:, [_COLUMN[name] for name in ("cosine", "coverage", "passage_coverage")]]
    best = features[int(np.argmax(fit.sum(axis=1)))]
    return np.array(
        [
            cosines[0],
            cosines[:3].mean(),
            cosines[0] - cosines[min(8, len(cosines) - 1)],
            best[_COLUMN["context_coverage"]],
            held[0],
            held[0] - held[1],
            math.log1p(asked * held[0]),
            math.log1p(len(evidence.wanted)),
            features[:, _COLUMN["names"]].max(),
            features[:, _COLUMN["pairs"]].max(),
            best[_COLUMN["lacks_type"]],
        ]
    )


def answerability(evidence: Evidence) -> float | None:
    """The probability, from 0 to 1, that the passages answer the question; 0 without evidence.

    None where no encoder took part, since words alone do not tell. A logistic regression of
    `describe`; as a probability it holds for collections that answer half of the questions.
    """
    if not len(evidence.features):
        return 0.0
    if evidence.vectors is None:
        return None
    value = float(describe(evidence) @ np.array([ANSWERABILITY[name] for name in SIGNS])) + BIAS
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, value)))), 4)


def is_answered(probability: float | None) -> bool:
    """Whether that is enough to be shown as an answer; what nobody knows is."""
    return probability is None or probability >= THRESHOLD
