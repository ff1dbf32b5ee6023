"""One query searched by one system: the unit that is stored, resumed and counted."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RetrievalSample:
    """What a system found for a query.

    Attributes:
        hits: document ids with scores, best first, each document once, excluded ones left out.
        query_tokens: tokens of the query that the encoder read; 0 where there is none.
    """

    system: str
    query: str
    hits: tuple[tuple[str, float], ...]
    state: Literal["ok", "error"] = "ok"
    detail: str = ""
    query_tokens: int = 0
    flops: float = 0.0
    milliseconds: float = 0.0


def key(system: str, query: str) -> str:
    """The name of a sample in the log."""
    return f"{system}\t{query}"
