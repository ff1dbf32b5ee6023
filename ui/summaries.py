"""What a document is about, in a few lines: its first sentences and its topmost headings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from data.blocks import Block
from data.sentences import split_sentences

QUESTION: Final = "What is this document about? Say it in three sentences."
"""A language model's summary is its answer to this, from this document alone."""
_SENTENCES: Final = 2
_WORTH: Final = 60
"""Characters of a paragraph that says something; shorter ones are dates, names and the like."""
_LONGEST: Final = 400
_HEADINGS: Final = 8


@dataclass(frozen=True, slots=True)
class Summary:
    """A document in short.

    Attributes:
        opening: its first sentences; empty where it has no paragraph that says something.
        headings: its topmost ones, in their order.
    """

    opening: str
    headings: tuple[str, ...]


def summarise(blocks: Sequence[Block]) -> Summary:
    """The summary of a document as it was read."""
    levels = [block.level for block in blocks if block.kind == "heading" and block.level > 0]
    top = min(levels, default=0)
    headings = [
        block.title or block.text
        for block in blocks
        if block.kind == "heading" and block.level == top
    ]
    paragraphs = (
        block.text for block in blocks if block.kind == "paragraph" and len(block.text) >= _WORTH
    )
    first = " ".join(next(paragraphs, "").split())
    ends = [end for _, end in split_sentences(first)][:_SENTENCES]
    opening = first[: ends[-1]].strip() if ends else ""
    if len(opening) > _LONGEST:
        opening = f"{opening[: _LONGEST - 1].rstrip()}…"
    return Summary(opening, tuple(headings[:_HEADINGS]))
