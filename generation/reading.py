"""What a reader is: a question and passages go in, a streamed answer with citations comes out."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import NodeWithScore

from generation.citations import Citation


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer's text, safe to show as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """The next piece of what the model thinks aloud: plain text, and no part of the answer.

    Attributes:
        retracts: Whether all text so far was thought as well, which ``text`` repeats: a model's
            template may open the thought, so that its end alone tells. The answer begins anew.
    """

    text: str
    retracts: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A finished answer.

    Attributes:
        text: The whole answer; equals the concatenated deltas since the last that retracts. Every
            ``[n]`` in it is a citation.
        citations: The cited passages in the order of their first use.
        passages_used: How many passages the reader looked at.
        passages_given: How many it was given; the rest did not fit.
        unknown_citations: Citations of passages that do not exist, removed from the text.
        model: The model that wrote the answer, ``""`` for none.
        prompt_tokens: Tokens read by the model, 0 without one.
        completion_tokens: Tokens written by the model, 0 without one.
        grounded: Whether passages were at hand; False for an answer from the model's own knowledge
            and where nothing relevant was found.
        truncated: Whether the answer broke off, at the token limit or with the connection.
        thinking_tokens: Those of ``completion_tokens`` that went into thinking aloud.
        coverage: Share of the answer's sentences that carry a citation, from 0 to 1; None where
            none is due (see ``citation_coverage``): no passages, or no answer in them.
        abstained: Whether the reader found no answer in what it was given and says so.
        used: The places, from 1, of the passages looked at among those given.
        answerability: The probability that the passages hold an answer, from 0 to 1, as it is
            estimated without a language model; None where nobody estimated it.
    """

    text: str
    citations: list[Citation]
    passages_used: int
    passages_given: int
    unknown_citations: int
    model: str
    prompt_tokens: int
    completion_tokens: int
    grounded: bool
    truncated: bool = False
    thinking_tokens: int = 0
    coverage: float | None = None
    abstained: bool = False
    answerability: float | None = None
    used: tuple[int, ...] = ()


ReadingEvent = TextDelta | ThinkingDelta | Reading
"""What a reader yields."""


@runtime_checkable
class Reader(Protocol):
    """Answers a stand-alone question from passages."""

    name: str

    def read(
        self,
        question: str,
        passages: Sequence[NodeWithScore],
        history: Sequence[ChatMessage] = (),
    ) -> AsyncGenerator[ReadingEvent, None]:
        """Stream the answer.

        Args:
            question: A question that needs no history to be understood.
            passages: Candidate passages, best first; none means that no document is consulted.
            history: What was said before, oldest first.

        Yields:
            Any number of ``TextDelta`` and ``ThinkingDelta``, and then exactly one ``Reading``,
            whose text is the concatenation of the ``TextDelta`` since the last ``ThinkingDelta``
            that retracts.

        Raises:
            GenerationError: The answer could not be written or finished.
        """
        ...
