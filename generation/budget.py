"""The token budget: what is sent fits into the model's context window, whole or not at all."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import NodeWithScore

from generation.errors import QuestionTooLong
from generation.prompts import build_messages, format_passage, new_tag

_TOKENS_PER_MESSAGE: Final = 8
_SINGLE: Final = re.compile(r"[^\w\s]|\d|_")
_WORD_BYTES_PER_TOKEN: Final = 3.2


def estimate_tokens(text: str) -> int:
    """Estimate, rather too high than too low, how many tokens ``text`` has for any tokeniser.

    For use where the model's tokeniser is not at hand. Each digit and each punctuation mark counts
    as a token, as tokenisers at worst treat them; letters count one token per 3.2 bytes of UTF-8.
    Beside OpenAI's cl100k and o200k it gives 1.4 times as many for English prose and for code
    (1.06 at the least over 900 passages of BEIR), and 0.7 to 2.7 times for other scripts.
    """
    singles, letters = _SINGLE.subn("", text)
    words = "".join(singles.split())
    return letters + math.ceil(len(words.encode(errors="replace")) / _WORD_BYTES_PER_TOKEN)


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
        self, question: str, passages: Sequence[NodeWithScore], *, tag: str | None = None
    ) -> list[NodeWithScore]:
        """Return the passages that fit together with ``question``, in the order given.

        Args:
            question: A stand-alone question.
            passages: The candidates, best first.
            tag: The tag that ``build_messages`` will be given, so that the count is of what is
                sent; another one makes a difference of a few tokens.

        Raises:
            QuestionTooLong: The instructions and the question alone exceed the budget.
        """
        tag = tag or new_tag()
        room = self.prompt_tokens - self._frame_tokens(question, passages, tag)
        if room < 0:
            raise QuestionTooLong(
                f"The question has about {self.count_tokens(question)} tokens and does not fit",
                cause=(
                    f"with the instructions it exceeds by {-room} the {self.prompt_tokens} tokens "
                    f"that the context window of {self.context_window} has beside the answer's "
                    f"{self.max_answer_tokens}"
                ),
                way_out="Ask a shorter question or use a model with a larger context window.",
            )
        fitting: list[NodeWithScore] = []
        for passage in passages:
            # one for the line break that joins it to its neighbours
            needed = self.count_tokens(format_passage(len(fitting) + 1, passage, tag)) + 1
            if needed <= room:
                fitting.append(passage)
                room -= needed
        return fitting

    def count_messages(self, messages: Sequence[ChatMessage]) -> int:
        """Count the tokens of a chat, its template's share estimated at 8 a message."""
        return sum(self.count_tokens(m.content or "") + _TOKENS_PER_MESSAGE for m in messages)

    def _frame_tokens(self, question: str, passages: Sequence[NodeWithScore], tag: str) -> int:
        """Count the chat without its passages; the larger of the two prompts if there are any."""
        closed_book = self.count_messages(build_messages(question, []))
        if not passages:
            return closed_book
        grounded = self.count_messages(build_messages(question, passages[:1], tag=tag))
        first = self.count_tokens(format_passage(1, passages[0], tag))
        return max(closed_book, grounded - first)
