"""Multiple choice without a language model: a small linear model over evidence from passages.

A choice's score is the dot product of its evidence (`generation.option_evidence.NAMES`) with
weights; the probability of a choice is the softmax over the choices (conditional logit, McFadden
1974). Without passages the same model sees the same columns, those of the passages being 0.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase
from typing import Final

import numpy as np
import numpy.typing as npt
from llama_index.core.schema import NodeWithScore

from generation.citations import defuse_markers
from generation.multiple_choice import Chosen
from generation.option_evidence import NAMES, Comparison, Evidence, Share, Terms

Vectors = npt.NDArray[np.float32]

WEIGHTS: Final[Mapping[str, float]] = {
    "cosine": 1.322,
    "statement": 1.108,
    "length": 0.084,
    "words": 0.137,
    "shared": -0.373,
    "all": 1.993,
    "none": -0.398,
    "near": 2.112,
    "sum": 0.879,
    "passages": -1.511,
    "context": 0.951,
    "phrase": 0.606,
    "sentence": 1.523,
    "sentences": 2.763,
    "product": 5.663,
    "choice": -1.515,
    "passage": 3.489,
    "passage_choice": -2.237,
}
"""Fitted by ``python -m benchmarks.open_book_choice --fit``, for the bundled encoder.

Columns differ in scale, so their weights cannot be compared by size. Where a choice is near to
passages whatever the question is, that counts against it.
"""


class ScoringChooser:
    """Chooses by evidence alone.

    Args:
        embed: Texts to unit vectors ``(n, dimension)`` of the encoder that ``WEIGHTS`` are for; see
            `VectorMemory`. Texts seen lately are not encoded again.
        share: The share of the collection's passages that hold a stem, such as `TermShares`; None
            weighs all stems alike, at a cost of 1 to 2 points.

    Raises:
        ValueError: The language is unknown, or a weight is missing or of no column.
    """

    name = "scored"

    def __init__(
        self,
        embed: Callable[[Sequence[str]], Vectors],
        *,
        encoder: str,
        language: str = "english",
        share: Share | None = None,
        shares: str = "",
        weights: Mapping[str, float] = WEIGHTS,
    ) -> None:
        if set(weights) != set(NAMES):
            raise ValueError(f"weights must be for {', '.join(NAMES)}; got {', '.join(weights)}")
        self._weights = np.array([weights[name] for name in NAMES])
        self._comparison = Comparison(embed, Terms(language), share)
        self._parts = {"encoder": encoder, "language": language, "shares": shares}

    @property
    def identity(self) -> dict[str, str | int | float | bool]:
        """See `Chooser.identity`."""
        weights = hashlib.sha256(self._weights.tobytes()).hexdigest()[:16]
        return {"chooser": self.name, "weights": weights, **self._parts}

    def queries(self, question: str, choices: Sequence[str]) -> list[str]:
        """The question, and the question with each choice, since each has passages of its own."""
        return list(dict.fromkeys([question, *(f"{question} {choice}" for choice in choices)]))

    def evidence(
        self, question: str, choices: Sequence[str], passages: Sequence[NodeWithScore] = ()
    ) -> Evidence:
        """What the weights are multiplied with, in the order of the choices.

        Raises:
            ValueError: There are not 2 to 26 choices.
        """
        if not 2 <= len(choices) <= len(ascii_uppercase):
            raise ValueError(f"there must be 2 to 26 choices, got {len(choices)}")
        # computed in an order of their own, so that not even rounding depends on the given one
        order = sorted(range(len(choices)), key=lambda n: choices[n])
        found = self._comparison.of(question, [choices[n] for n in order], passages)
        back = np.argsort(order)
        best = tuple(found.best[n] for n in back) if found.best else ()
        return Evidence(found.features[back], best)

    async def choose(
        self, question: str, choices: Sequence[str], passages: Sequence[NodeWithScore] = ()
    ) -> Chosen:
        """See `Chooser.choose`. The text is the sentence nearest to question and choice.

        Of equal scores the choice that comes first in the alphabet wins, wherever it stands.

        Raises:
            ValueError: There are not 2 to 26 choices.
        """
        return await asyncio.to_thread(self._choose, question, choices, passages)

    def _choose(
        self, question: str, choices: Sequence[str], passages: Sequence[NodeWithScore]
    ) -> Chosen:
        found = self.evidence(question, choices, passages)
        scores = found.features @ self._weights
        index = min(range(len(choices)), key=lambda n: (-scores[n], choices[n]))
        text = ""
        if found.best:
            nearest = found.best[index]
            text = f"Closest to this choice: {defuse_markers(nearest.text)} [{nearest.passage}]"
        return Chosen(
            letter=ascii_uppercase[index],
            index=index,
            text=text,
            state="scored",
            truncated=False,
            passages_used=len(passages),
            passages_given=len(passages),
            prompt_tokens=0,
            completion_tokens=0,
        )
