"""Rank1: a model that reasons about one passage before it says whether it is relevant.

Prompt and scoring follow https://github.com/orionw/rank1 (rank1.py; MIT License, Copyright (c) 2025
Orion Weller) for its models ``jhu-clsp/rank1-*``; the paper: https://arxiv.org/abs/2502.18418.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from llama_index.core.base.llms.types import CompletionResponse, LogProb
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import LLM

from data.arguments import at_least
from retrieval.llm_calls import answer
from retrieval.reranking.definitions import relevance
from retrieval.reranking.pointwise import Graded, Grading, PointwiseReranker

END: Final = "</think>"
_ALTERNATIVES: Final = 20
_VERDICT: Final[Mapping[str, Any]] = {
    "max_tokens": 1,
    "structured_outputs": {"choice": [" true", " false"]},
}
_WHOLE_SENTENCES: Final = re.compile(r".*[.!?]", re.DOTALL)


class Rank1Reranker(PointwiseReranker):
    """Lets the model think, then reads P(true) / (P(true) + P(false)) of the token that follows.

    Two calls a passage: the thoughts alone, and one token behind them. The authors read the same
    odds from one call that asks for the odds of every token of the thoughts, which are megabytes.
    Thoughts that reach their limit are cut to whole sentences and ended, as the authors do.

    Args:
        completions: a client of vLLM's ``/v1/completions``: `OpenAILike` with
            ``is_chat_model=False``.
        definition: put behind the query: a name of `retrieval.reranking.definitions`, or a text.
            Empty, as published for general search, adds nothing.
        thinking_tokens: most tokens of thoughts a passage.
        grading: see `PointwiseReranker`.

    Raises:
        ValueError: an argument is out of its range, or `completions` is a chat
            model.
    """

    name: ClassVar[str] = "rank1"
    # the weight is published, and so is a context of 16,000 tokens
    default_grading: ClassVar[Grading] = Grading(weight=1.0, passage_tokens=4096, deadline=120.0)
    _llm: LLM = PrivateAttr()
    _definition: str = PrivateAttr()
    _thinking: Mapping[str, Any] = PrivateAttr()

    def __init__(
        self,
        completions: LLM,
        *,
        definition: str = "",
        thinking_tokens: int = 8192,
        grading: Grading = default_grading,
    ) -> None:
        super().__init__(grading)
        if completions.metadata.is_chat_model:
            raise ValueError("rank1 needs raw completions: a model with is_chat_model=False")
        at_least(1, thinking_tokens=thinking_tokens)
        self._llm = completions
        self._definition = relevance(definition) if definition.strip() else ""
        # The mark may be a special token, which a server leaves out of texts unless told.
        self._thinking = {"max_tokens": thinking_tokens, "skip_special_tokens": False}

    async def _grade(self, query: str, passages: Sequence[str]) -> list[Graded]:
        (passage,) = passages
        asked = prompt(f"{query} {self._definition}".strip(), passage)
        thoughts = await self._complete(asked, self._thinking, stop=[END])
        verdict = await self._complete(asked + _ended(thoughts), _VERDICT, logprobs=_ALTERNATIVES)
        grade = true_share(verdict.logprobs or [])
        return [Graded(grade, "missing" if grade is None else "ok")]

    async def _complete(
        self, asked: str, body: Mapping[str, Any], **arguments: Any
    ) -> CompletionResponse:
        call = self._llm.acomplete(
            asked, formatted=True, temperature=0.0, extra_body=dict(body), **arguments
        )
        return await answer(call)


def prompt(query: str, passage: str) -> str:
    """The published prompt; it ends where the thoughts begin."""
    return (
        "Determine if the following passage is relevant to the query. "
        "Answer only with 'true' or 'false'.\n"
        f"Query: {query}\nPassage: {passage}\n<think>"
    )


def true_share(positions: Sequence[Sequence[LogProb]]) -> float | None:
    """P(true) / (P(true) + P(false)) at the first token of an answer.

    Args:
        positions: of each token, the likeliest tokens with natural logarithms of their
            probabilities.

    Returns:
        From 0 to 1; None where neither word is there.
    """
    odds = {"true": 0.0, "false": 0.0}
    for entry in positions[0] if positions else ():
        word = entry.token.strip().lower()
        if word in odds and entry.logprob <= 0:
            odds[word] += math.exp(entry.logprob)
    total = sum(odds.values())
    return odds["true"] / total if total > 0 else None


def _ended(thoughts: CompletionResponse) -> str:
    """The thoughts, ended by the mark; those that reached their limit after a whole sentence."""
    choices = getattr(thoughts.raw, "choices", None)
    if not choices or choices[0].finish_reason != "length":
        return thoughts.text + END
    text = thoughts.text.strip()
    whole = _WHOLE_SENTENCES.match(text)
    return f"\n{whole[0] if whole else text}\n{END}"
