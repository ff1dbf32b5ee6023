"""From a stream of headings, paragraphs and list items to sections with addresses."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data.sections import Section

SECTION_CHARS = 32_768
"""A section is closed after about this many characters, so that text flows instead of piling up;
the chunker joins what belongs together."""

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `level` 0 is the document's title, 1 the topmost heading."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """A list item or another line that stands close to its neighbours."""

    text: str


Block = Heading | Item | str
"""What a loader finds in document order; a plain string is a paragraph or a table."""


def clean(text: str) -> str:
    """Text with line feeds as line ends and without NUL, other controls and lone surrogates."""
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))


def inline(text: str) -> str:
    """Text on one line: every run of white space becomes one space."""
    return " ".join(clean(text).split())


def table_text(rows: Iterable[Iterable[str]]) -> str:
    """A table as lines, one a row, cells parted by " | "; rows without any text are left out."""
    lines = ([inline(cell) for cell in row] for row in rows)
    return "\n".join(" | ".join(cells) for cells in lines if any(cells))


def slices(text: str, start: int, path: tuple[str, ...]) -> Iterator[Section]:
    """Adjacent sections of at most SECTION_CHARS that cover `text` exactly, from offset `start`."""
    for begin in range(0, len(text), SECTION_CHARS):
        yield Section(text[begin : begin + SECTION_CHARS], None, path, start + begin)


class Outline:
    """Turns blocks into sections of one page: one section a heading, long ones in parts.

    Headings are part of the text where they stand and of `heading_path` for what is below them.
    A heading that is followed by a deeper one at once shares a section with it, so that no
    section holds a chapter's title alone.
    """

    def __init__(self, page: int | None = None) -> None:
        self._page = page
        self._path: list[Heading] = []
        self._parts: list[str] = []
        self._start = 0
        self._length = 0
        self._last: Block | None = None

    def sections(self, blocks: Iterable[Block]) -> Iterator[Section]:
        """The sections of `blocks`, in order; blocks without text are skipped."""
        for block in blocks:
            yield from self._add(block)
        yield from self._close()

    def _add(self, block: Block) -> Iterator[Section]:
        text = clean(block if isinstance(block, str) else block.text).strip("\n").rstrip()
        if isinstance(block, Heading):
            text = inline(text)
            if text:
                yield from self._open(Heading(block.level, text))
        elif text and self._length >= SECTION_CHARS:
            yield from self._close()
        if text:
            self._append(text, block)

    def _open(self, heading: Heading) -> Iterator[Section]:
        above = self._last if isinstance(self._last, Heading) else None
        if above is None or heading.level <= above.level:
            yield from self._close()
        while self._path and self._path[-1].level >= heading.level:
            self._path.pop()
        self._path.append(heading)

    def _append(self, text: str, block: Block) -> None:
        if self._parts:
            tight = isinstance(block, Item) and isinstance(self._last, Item)
            text = ("\n" if tight else "\n\n") + text
        self._parts.append(text)
        self._length += len(text)
        self._last = block

    def _close(self) -> Iterator[Section]:
        if self._parts:
            path = tuple(heading.text for heading in self._path)
            yield Section("".join(self._parts), self._page, path, self._start)
            self._start += self._length + 2
            self._parts, self._length, self._last = [], 0, None
