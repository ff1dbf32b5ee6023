"""A page as it is printed: words and ruled lines with their places, whoever read them.

Places are in points from the upper left corner of the page as a person reads it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data.blocks import Box

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")


@dataclass(slots=True)
class Word:
    """Characters without white space; `size` is the height of their font in points.

    `joined` says that no white space parts it from the word before it, `parted` that it ends in a
    hyphen that a line end asked for.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool = False
    joined: bool = False
    parted: bool = False

    @property
    def middle(self) -> float:
        """The height of its middle on the page."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line from (left, top) to (right, bottom), across or down the page."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def across(self) -> bool:
        """Whether it runs across the page."""
        return self.right - self.left >= self.bottom - self.top


@dataclass(slots=True)
class Page:
    """What a page shows, turned clockwise by `quarter` quarters so that its text is upright.

    Width and height are those of the turned page. `pictures` is the share of its area that
    pictures cover (0 to 1).
    """

    number: int
    width: float
    height: float
    words: list[Word] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    pictures: float = 0.0
    quarter: int = 0

    def box(self, left: float, top: float, right: float, bottom: float) -> Box:
        """A place on the turned page as a rectangle on the page as it is shown."""
        place = turn_box((left, top, right, bottom), self.width, self.height, -self.quarter)
        return Box(self.number, *(round(edge, 1) for edge in place))


@dataclass(slots=True)
class Piece:
    """Words that stand close together on one line, in the order in which they are read."""

    words: list[Word]
    left: float
    top: float
    right: float
    bottom: float
    size: float
    """The usual height of its letters."""

    @classmethod
    def of(cls, words: Sequence[Word]) -> "Piece":
        """The piece of these words (at least one)."""
        return cls(
            list(words),
            min(word.left for word in words),
            min(word.top for word in words),
            max(word.right for word in words),
            max(word.bottom for word in words),
            sorted(word.size for word in words)[len(words) // 2],
        )

    @property
    def bold(self) -> bool:
        """Whether all its words are bold."""
        return all(word.bold for word in self.words)

    @property
    def middle(self) -> float:
        """The height of its middle on the page."""
        return (self.top + self.bottom) / 2

    @property
    def text(self) -> str:
        """Its words as they are read."""
        return join_words(self.words)


def join_words(words: Iterable[Word]) -> str:
    """The text of words of one line."""
    parts: list[str] = []
    for word in words:
        if parts and not word.joined:
            parts.append(" ")
        parts.append(word.text)
    return "".join(parts)


def is_right_to_left(text: str) -> bool:
    """Whether most letters of a text are Hebrew, Arabic or the like."""
    return 2 * len(_RIGHT_TO_LEFT.findall(text)) > sum(map(str.isalpha, text))


def without_spaces(before: str, after: str) -> bool:
    """Whether a line that ends so and one that begins so are of a script without spaces."""
    return bool(_WITHOUT_SPACES.match(before[-1:]) and _WITHOUT_SPACES.match(after[:1]))


def pieces_of(words: Sequence[Word], gap: float = 0.75) -> list[Piece]:
    """Words as pieces of lines, in order of their lines from the top.

    Words that follow each other on one line make a piece until a gap wider than `gap` times
    their size. The order of words is kept, which is right for scripts that run from the right.
    """
    lines: list[list[Word]] = []
    for word in words:
        last = lines[-1][-1] if lines else None
        if last is not None and _same_line(last, word) and not last.parted:
            lines[-1].append(word)
        else:
            lines.append([word])
    pieces = [piece for line in lines for piece in _split(line, gap)]
    return _merge(sorted(pieces, key=lambda piece: (piece.middle, piece.left)), gap)


def _same_line(first: Word, second: Word) -> bool:
    overlap = min(first.bottom, second.bottom) - max(first.top, second.top)
    return overlap > 0.5 * min(first.size, second.size)


def _split(line: list[Word], gap: float) -> list[Piece]:
    """The pieces of a line, from left to right."""
    groups: list[list[tuple[int, Word]]] = []
    end = 0.0
    for place, word in sorted(enumerate(line), key=lambda item: item[1].left):
        if groups and word.left - end <= gap * word.size:
            groups[-1].append((place, word))
            end = max(end, word.right)
        else:
            groups.append([(place, word)])
            end = word.right
    return [
        Piece.of([word for _, word in sorted(group, key=lambda item: item[0])]) for group in groups
    ]


def _merge(pieces: list[Piece], gap: float) -> list[Piece]:
    """Pieces that touch on one line as one, though they were not printed one behind the other."""
    merged: list[Piece] = []
    for piece in pieces:
        for other in reversed(merged[-24:]):
            distance = max(piece.left - other.right, other.left - piece.right)
            same = min(piece.bottom, other.bottom) - max(piece.top, other.top)
            close = -0.2 * piece.size < distance <= gap * min(piece.size, other.size)
            if close and same > 0.6 * min(piece.size, other.size) and not other.words[-1].parted:
                forward = (piece.left > other.left) != is_right_to_left(piece.text)
                words = other.words + piece.words if forward else piece.words + other.words
                whole = Piece.of(words)
                other.words, other.left, other.right = whole.words, whole.left, whole.right
                other.top, other.bottom = whole.top, whole.bottom
                break
        else:
            merged.append(piece)
    return merged


def turn_box(
    box: tuple[float, float, float, float], width: float, height: float, quarter: int
) -> tuple[float, float, float, float]:
    """A box on a page of that size after the page is turned clockwise by quarters."""
    left, top, right, bottom = box
    if quarter % 4 == 1:
        return height - bottom, left, height - top, right
    if quarter % 4 == 2:
        return width - right, height - bottom, width - left, height - top
    if quarter % 4 == 3:
        return top, width - right, bottom, width - left
    return box
