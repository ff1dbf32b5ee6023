"""The token budget: what is sent fits into the model's context window, whole or not at all."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import MetadataMode, NodeWithScore

from data.tokens import estimate_tokens
from generation.errors import QuestionTooLong
from generation.prompts import Numbered, build_messages, format_passage, new_tag

BuildMessages = Callable[[str, Numbered], list[ChatMessage]]
"""Makes the prompt of a question and its passages."""

_TOKENS_PER_MESSAGE: Final = 8


class TokenBudget:
    """Decides which passages a prompt can hold.

    The prompt may have ``context_window * (1 - margin) - max_answer_tokens`` tokens. The margin
    covers what counting in parts and the server's chat template add. A passage that does not fit is
    left out whole, never cut, and a shorter one after it may still find room.

    Args:
        context_window: The model's context window in tokens.
        max_answer_tokens: Tokens kept free for the answer, at least 1.
        count_tokens: Counts the tokens of a text; ``estimate_tokens`` where there is no tokeniser.
        margin: Share of the window that is left unused, from 0 to below 1.

    Raises:
        ValueError: A number is out of its range, or the answer leaves no room for a prompt.
    """

    def __init__(
        self,
        context_window: int,
        max_answer_tokens: int,
        count_tokens: Callable[[str], int] = estimate_tokens,
        margin: float = 0.05,
    ) -> None:
        if max_answer_tokens < 1:
            raise ValueError(f"max_answer_tokens must be at least 1, got {max_answer_tokens}")
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be from 0 to below 1, got {margin}")
        self.context_window = context_window
        self.max_answer_tokens = max_answer_tokens
        self.count_tokens = count_tokens
        self.prompt_tokens = math.floor(context_window * (1 - margin)) - max_answer_tokens
        if self.prompt_tokens < 1:
            raise ValueError(
                f"max_answer_tokens {max_answer_tokens} leaves no room for a prompt in a context "
                f"window of {context_window} tokens"
            )

    def fit(
        self,
        question: str,
        passages: Sequence[NodeWithScore],
        *,
        tag: str | None = None,
        build: BuildMessages | None = None,
    ) -> dict[int, NodeWithScore]:
        """Return the passages that fit together with ``question``, best first, none of them twice.

        A passage whose words stand, in this order, in one that is kept (letter case and white
        space aside) adds nothing and is left out. One that holds kept ones takes the place of the
        best of them, if there is room for it.

        Args:
            tag: The tag that the prompt will enclose passages with, so that the count is of what
                is sent; another one makes a difference of a few tokens.

        Returns:
            Passages by number: their places, from 1, among those given.

        Raises:
            QuestionTooLong: The instructions and the question alone exceed the budget.
        """
        tag = tag or new_tag()
        build = build or partial(build_messages, tag=tag)
        room = self.prompt_tokens - self._frame_tokens(question, passages, tag, build)
        if room < 0:
            raise QuestionTooLong(
                f"The question has about {self.count_tokens(question)} tokens and does not fit",
                cause=(
                    f"with the instructions it exceeds by {-room} the {self.prompt_tokens} tokens "
                    f"that the context window of {self.context_window} has beside the answer's "
                    f"{self.max_answer_tokens}"
                ),
                hint="Ask a shorter question or use a model with a larger context window.",
            )
        kept: list[_Kept] = []
        for n, passage in enumerate(passages, start=1):
            # one for the line break that joins it to its neighbours
            tokens = self.count_tokens(format_passage(n, passage, tag)) + 1
            new = _Kept(n, passage, _words(passage), tokens)
            if any(new.words in other.words for other in kept):
                continue
            held = [other for other in kept if other.words in new.words]
            needed = tokens - sum(other.tokens for other in held)
            if needed <= room:
                kept.insert(kept.index(held[0]) if held else len(kept), new)
                kept = [one for one in kept if one not in held]
                room -= needed
        return {one.n: one.passage for one in kept}

    def count_messages(self, messages: Sequence[ChatMessage]) -> int:
        """Count the tokens of a chat, its template's share estimated at 8 a message."""
        return sum(self.count_tokens(m.content or "") + _TOKENS_PER_MESSAGE for m in messages)

    def _frame_tokens(
        self, question: str, passages: Sequence[NodeWithScore], tag: str, build: BuildMessages
    ) -> int:
        """Count the chat without its passages; the larger of the two prompts if there are any."""
        closed_book = self.count_messages(build(question, {}))
        if not passages:
            return closed_book
        grounded = self.count_messages(build(question, {1: passages[0]}))
        first = self.count_tokens(format_passage(1, passages[0], tag))
        return max(closed_book, grounded - first)


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A passage in the prompt: its number, its words between blanks, and its tokens."""

    n: int
    passage: NodeWithScore
    words: str
    tokens: int


def _words(passage: NodeWithScore) -> str:
    """Return the text by which passages are compared; the blanks keep words whole."""
    return f" {' '.join(passage.node.get_content(MetadataMode.NONE).casefold().split())} "
