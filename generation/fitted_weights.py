"""Weights of the reader without a language model, and where they come from.

Made by ``python -m benchmarks.quoting --fit`` on the first half of each set of questions and all of
the samples'; nothing was rounded or chosen by hand, the threshold included.

Data: XQuAD (English; Artetxe et al. 2020, https://arxiv.org/abs/1910.11856, CC BY-SA 4.0), SciFact,
Cranfield, OpenStax's questions and the samples. No text of theirs is in here. The cosines are those
of the bundled MiniLM; another encoder's cosines are spread otherwise, and then fewer or more
questions than meant are answered. docs/benchmarks.md tells what is reached.
"""

from typing import Final

QUOTING: Final = {
    "cosine": 6.885,
    "coverage": 3.582,
    "context_coverage": 3.237,
    "passage_coverage": 2.897,
    "pairs": 0.86,
    "names": -0.32,
    "answer_type": 0.596,
    "lacks_type": -1.021,
    "novelty": 0.605,
    "length": 0.316,
    "leans": -0.073,
    "row": 0.0,
    "rank": 2.033,
}
"""Of `generation.evidence.FEATURES`, for a conditional logit over sentences."""

ANSWERABILITY: Final = {
    "cosine": 5.402,
    "cosines": 8.541,
    "spread": 2.249,
    "context": 5.075,
    "passage": 1.519,
    "gap": 2.204,
    "matched": -0.489,
    "terms": 3.298,
    "names": 0.171,
    "pairs": 2.462,
    "lacks_type": 0.155,
}
"""Of `generation.answerability.SIGNS`, for a logistic regression."""
BIAS: Final = -15.733
THRESHOLD: Final = 0.2648
"""Probability from which the passages are taken to answer the question."""
