"""Weights of the reader without a language model, and where they come from.

Fitted by scripts that were not kept, with the features, losses, penalties and groups that
`benchmarks.quoting` has, on the first half of each set of questions and all of the samples'. Unlike
it they took the first 1,500 abstracts of SciFact alone, and every second of XQuAD's questions put
to another field's collection. Bias and threshold were rounded by hand, the threshold being chosen
by hand too. ``python -m benchmarks.quoting --fit`` makes weights anew; nobody has compared those
with these.

Data: XQuAD (English; Artetxe et al. 2020, https://arxiv.org/abs/1910.11856, CC BY-SA 4.0), SciFact,
Cranfield, OpenStax's questions and the samples. No text of theirs is in here. The cosines are those
of the bundled MiniLM; another encoder's cosines are spread otherwise, and then fewer or more
questions than meant are answered. docs/benchmarks.md tells what is reached.
"""

from typing import Final

QUOTING: Final = {
    "cosine": 6.943,
    "coverage": 3.606,
    "context_coverage": 3.261,
    "passage_coverage": 2.925,
    "pairs": 0.872,
    "names": -0.353,
    "answer_type": 0.582,
    "lacks_type": -0.998,
    "novelty": 0.7,
    "length": 0.297,
    "leans": -0.194,
    "row": 0.0,
    "rank": 2.015,
}
"""Of `generation.evidence.FEATURES`, for a conditional logit over sentences."""

ANSWERABILITY: Final = {
    "cosine": 6.18,
    "cosines": 8.53,
    "spread": 0.32,
    "context": 3.96,
    "passage": 2.15,
    "gap": 2.08,
    "matched": -0.01,
    "terms": 2.59,
    "names": -0.16,
    "pairs": 2.28,
    "lacks_type": 0.13,
}
"""Of `generation.answerability.SIGNS`, for a logistic regression."""
BIAS: Final = -14.8
THRESHOLD: Final = 0.27
"""Probability from which the passages are taken to answer the question."""
