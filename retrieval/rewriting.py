"""The rewrite stage: a question becomes the queries that are searched."""

from typing import Protocol


class Rewriter(Protocol):
    """Makes queries of a question."""

    name: str

    async def rewrite(self, question: str) -> str:
        """The query to search with."""
        ...


class NoRewriter:
    """Searches with the question as it is."""

    name = "none"

    async def rewrite(self, question: str) -> str:
        """The question itself."""
        return question
