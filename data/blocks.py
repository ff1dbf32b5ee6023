"""What loaders yield: the blocks of a document in reading order, and warnings about it.

A block is a heading, a paragraph, a list item, a table and so on, with the page and the rectangles
where it stands. Joined by `gap`, the texts of the searched blocks are the document's text, which
all offsets count in (`document_text`). The splitter (`data.splitting`) packs blocks into passages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "heading",
    "paragraph",
    "list_item",  # its number or bullet is part of the text: "2.2 Scope"
    "line",  # of a log or a chat
    "table",
    "code",
    "note",  # foot- and endnotes, comments, speaker notes: behind the block that refers to them
    "form_field",
    "caption",
    "page_header",  # running heads and feet are kept apart and not searched
    "page_footer",
]
KINDS: frozenset[str] = frozenset(get_args(Kind))

UNSEARCHED: frozenset[str] = frozenset({"page_header", "page_footer"})
"""Kinds that are shown but are no part of the document's text."""

_TIGHT = frozenset({"list_item", "line", "form_field"})
"""Kinds that stand on lines of their own without a blank line between them."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in points (1/72 inch) from the page's upper left corner."""

    page: int
    left: float
    top: float
    right: float
    bottom: float

    def as_list(self) -> list[float]:
        """Page, left, top, right, bottom, to a tenth of a point."""
        edges = (self.left, self.top, self.right, self.bottom)
        return [self.page, *(round(edge, 1) for edge in edges)]


@dataclass(frozen=True, slots=True)
class Table:
    """A grid of texts with spans resolved: a merged cell stands in every place that it covers.

    `rows[:header_rows]` are the header; row labels are the first `label_columns` columns. All rows
    are of one length. `title` is the table's caption or the name of its sheet, or empty.
    """

    rows: tuple[tuple[str, ...], ...]
    header_rows: int = 1
    label_columns: int = 1
    title: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document that stands by itself.

    Attributes:
        kind: what it is.
        text: its words. `data.tables.table_block` makes that of a table.
        page: from 1 (a PDF page, a slide, a sheet); None where the format has no pages.
        boxes: where it stands on its pages.
        level: 0 for a document's title, 1 for its topmost headings; for list items, how deep they
            are nested.
        table: set for tables alone.
        joint: what parts it from the block before in the document's text; None means a blank line,
            or a line feed between two list items, lines or form fields. A paragraph that goes on
            behind a page break is a block of its own with the joint " " (or "" amid a word); a
            loader whose text is its file's gives the white space that stands there.
        title: a heading without its marks, where `text` has some; of a passage with an id, its own.
        passage_id: of a passage that was cut by its author; it is never cut again.
    """

    kind: Kind
    text: str
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    level: int = 0
    table: Table | None = None
    joint: str | None = None
    title: str = ""
    passage_id: str | None = None


@dataclass(frozen=True, slots=True)
class LoadWarning:
    """Something of a document that could not be read, or was guessed; `page` counts from 1."""

    reason: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """Page `page` (from 1) of `pages` will now be read as a picture, which takes seconds.

    The parser gives the file more time for it (`data.limits`) and hands it to nobody.
    """

    page: int
    pages: int


Loaded = Block | LoadWarning
"""What a document consists of."""


def gap(before: Block | None, block: Block) -> str:
    """What parts a block from the one before it (None: it is the first) in the document's text."""
    if block.joint is not None:
        return block.joint
    if before is None:
        return ""
    return "\n" if before.kind == block.kind and block.kind in _TIGHT else "\n\n"


def place(loaded: Iterable[Loaded]) -> Iterator[tuple[int, str, Block]]:
    """Offset, gap before it, and block, of every searched block in order."""
    position, before = 0, None
    for block in loaded:
        if isinstance(block, Block) and block.kind not in UNSEARCHED:
            between = gap(before, block)
            position += len(between)
            yield position, between, block
            position, before = position + len(block.text), block


def document_text(loaded: Iterable[Loaded]) -> str:
    """The text of a document: what the offsets of its passages count in."""
    return "".join(part for _, between, block in place(loaded) for part in (between, block.text))
