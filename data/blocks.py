"""What loaders yield: the blocks of a document in reading order.

A block is a heading, a paragraph, a list item, a table and so on, with the page and the rectangles
where it stands. The splitter (`data.splitting`) packs blocks into passages.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "heading",
    "paragraph",
    "list_item",  # its number or bullet is part of the text: "2.2 Scope"
    "table",
    "code",
    "note",  # foot- and endnotes, comments, speaker notes: behind the block that refers to them
    "form_field",
    "caption",
    "page_header",  # running heads and feet are kept apart and not searched
    "page_footer",
]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in points (1/72 inch) from the page's upper left corner."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


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

    `page` counts from 1 (a PDF page, a slide, a sheet); None where the format has no pages.
    `level` is 0 for a document's title and 1 for its topmost headings; for list items, how deep
    they are nested. `table` is set for tables alone, whose `text` is then their Markdown.
    """

    kind: Kind
    text: str
    page: int | None = None
    boxes: tuple[Box, ...] = ()
    level: int = 0
    table: Table | None = None
