"""The condense stage: a follow-up question and its history become one stand-alone question."""

from collections.abc import Sequence
from typing import Protocol

from llama_index.core.base.llms.types import ChatMessage


class Condenser(Protocol):
    """Makes a question that can be understood without what was said before."""

    name: str

    async def condense(self, question: str, history: Sequence[ChatMessage]) -> str:
        """The stand-alone question."""
        ...


class NoCondenser:
    """Takes every question as it is."""

    name = "none"

    async def condense(self, question: str, history: Sequence[ChatMessage]) -> str:  # noqa: ARG002
        """The question itself."""
        return question
