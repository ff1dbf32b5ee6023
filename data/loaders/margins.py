"""Running heads, feet and page numbers: lines at a page's edge that its neighbours have too."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.loaders.page import Page, Piece, Word, pieces_of

_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?:(?:page|seite|p\.|s\.|pág(?:ina|\.)|pagina|strana|side|sida|sivu|стр\.?)\s*)?"
    r"[-–—|\[(]*\s*(?:\d{1,4}|[ivxlc]{1,7})\s*[-–—|\])]*"
    r"(?:\s*(?:of|/|von|de|sur|di|z|av|af|из)\s*\d{1,4})?",
    re.IGNORECASE,
)
_ZONE = 0.12
"""Share of the page's height, at either end, in which running lines are looked for."""

_MOST = 3


@dataclass(frozen=True, slots=True)
class Edge:
    """A line at the upper or lower edge of a page; `key` is its text without its numbers."""

    upper: bool
    key: str
    text: str
    height: float
    words: tuple[Word, ...]
    number: bool


def edges(page: Page) -> list[Edge]:
    """The lines of a page's edges that stand apart from what follows, outermost first."""
    found: list[Edge] = []
    for upper in (True, False):
        lines = _lines(_outer(page, upper=upper))
        if not upper:
            lines.reverse()
        for index, line in enumerate(lines[:_MOST]):
            text = _text(line)
            number = _NUMBER.fullmatch(text) is not None
            inside = _depth(line, page, upper=upper) < _ZONE
            beside = lines[index + 1] if index + 1 < len(lines) else None
            if not (inside or number) or not _stands_apart(line, beside, upper=upper):
                break
            words = tuple(word for piece in line for word in piece.words)
            found.append(Edge(upper, _DIGITS.sub("#", text), text, line[0].middle, words, number))
    return found


def _outer(page: Page, *, upper: bool) -> list[Word]:
    """The words of the upper or lower part of a page."""
    if upper:
        return [word for word in page.words if word.middle < 0.3 * page.height]
    return [word for word in page.words if word.middle > 0.7 * page.height]


def _depth(line: Sequence[Piece], page: Page, *, upper: bool) -> float:
    """How far from the page's edge a line stands, as a share of its height."""
    share = line[0].middle / max(1.0, page.height)
    return share if upper else 1 - share


def running(edge: Edge, neighbours: Sequence[Sequence[Edge]]) -> bool:
    """Whether an edge's line runs on through the document, or is a page number alone."""
    if edge.number:
        return True
    return any(
        other.upper == edge.upper and other.key == edge.key and abs(other.height - edge.height) < 6
        for found in neighbours
        for other in found
    )


def _text(line: Sequence[Piece]) -> str:
    return " ".join(piece.text for piece in line)


def _lines(words: list[Word]) -> list[list[Piece]]:
    lines: list[list[Piece]] = []
    for piece in pieces_of(words):
        if lines and abs(lines[-1][0].middle - piece.middle) < 0.4 * piece.size:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return lines


def _stands_apart(line: Sequence[Piece], beside: Sequence[Piece] | None, *, upper: bool) -> bool:
    """Whether more white than between lines of text parts a line from the one further in."""
    if beside is None:
        return True
    edge = max(p.bottom for p in line) if upper else min(p.top for p in line)
    near = min(p.top for p in beside) if upper else max(p.bottom for p in beside)
    gap = near - edge if upper else edge - near
    size = line[0].size
    return gap > 0.5 * size or abs(size - beside[0].size) > 0.15 * size
