"""The rewrite stage for questions of several steps: each part is searched by itself.

A question that needs facts of several documents (multi-hop) is near to none of them; each of its
sub-questions is near to one, and the rankings are fused.
"""

import asyncio
import contextlib
import json
import logging
import re
from typing import Final

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms import LLM

from data.arguments import above_zero, at_least
from data.text import well_formed
from data.thinking import part_thoughts
from retrieval.llm_calls import answer, failures, reason
from retrieval.rewriting import Feedback, Rewritten, inert

_LONGEST: Final = 400
_TOKENS: Final = 512
_LOGGER: Final = logging.getLogger(__name__)
_MARK: Final = re.compile(
    r"\s*(?:[-*•]\s+|\(?\d{1,2}[.):])?\s*(?:\**(?:sub-?)?question(?: \d{1,2})?\s*:\**)?\s*",
    re.IGNORECASE,
)
_AROUND: Final = " \t\"'`*_“”„,"
_SYSTEM: Final = """\
You split questions for a search engine. Write the sub-questions whose answers are needed for \
the user's question, at most {parts}, one a line and nothing else. Each must be understood by \
itself: repeat names, and describe what is not known yet ("the company that ..."). A question that \
asks for a single fact is repeated as it is. Keep its language; do not answer."""


class LLMDecomposer:
    """Searches the question and the sub-questions that a language model makes of it.

    A server that fails, hangs or writes nothing is no error: the question is searched as it is.

    Args:
        parts: most sub-questions, at least 2; what the model writes beyond them is left out.

    Raises:
        ValueError: an argument is out of its range.
    """

    name = "decompose"

    def __init__(
        self, llm: LLM, *, parts: int = 4, deadline: float = 30.0, temperature: float = 0.0
    ) -> None:
        at_least(2, parts=parts)
        above_zero(deadline=deadline)
        at_least(0, temperature=temperature)
        self._llm, self._parts, self._deadline = llm, parts, deadline
        self._temperature = temperature

    async def rewrite(
        self,
        question: str,
        feedback: Feedback | None = None,  # noqa: ARG002
    ) -> Rewritten:
        """See `Rewriter.rewrite`; the question comes first."""
        try:
            async with asyncio.timeout(self._deadline):
                parts = await self._ask(question)
        except failures() as error:
            why = reason(error, self._deadline)
            _LOGGER.warning("decomposing a question: %s", why)
            return Rewritten((question,), {"parts": 0, "fallback": why})
        return Rewritten(tuple(dict.fromkeys([question, *parts])), {"parts": len(parts)})

    async def _ask(self, question: str) -> list[str]:
        """The sub-questions; none where the question is one itself. Raises as `failures` says."""
        messages = [
            ChatMessage(role=MessageRole.SYSTEM, content=_SYSTEM.format(parts=self._parts)),
            ChatMessage(role=MessageRole.USER, content=inert(" ".join(question.split()))),
        ]
        asked = self._llm.achat(messages, temperature=self._temperature, max_tokens=_TOKENS)
        response = await answer(asked)
        _, text = part_thoughts(well_formed(response.message.content or ""))
        lines = [_MARK.sub("", line, count=1).strip(_AROUND) for line in _lines(text)]
        parts = [line for line in lines if _has_words(line)]
        if not parts:
            raise ValueError("the model wrote no sub-question")
        return [part for part in dict.fromkeys(parts[: self._parts]) if part != question]


def _lines(text: str) -> list[str]:
    """The lines of a text, or the strings of a JSON list, which some models write."""
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            return [one for one in json.loads(text) if isinstance(one, str)]
    return text.splitlines()


def _has_words(line: str) -> bool:
    """Whether a line is more than a fence, or an introduction such as "Here they are:"."""
    spoken = len(line) <= _LONGEST and any(map(str.isalpha, line))
    return spoken and not line.endswith((":", "："))
