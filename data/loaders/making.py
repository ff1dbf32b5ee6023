"""Making blocks out of what the libraries for file formats give."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from data.blocks import Block, Loaded, Table
from data.cleaning import clean, inline
from data.tables import table_block

_SLICE = 32_768
"""Running text comes in paragraphs of at most so many characters, so that it flows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as a format stores it: once, with the rows and columns that it covers."""

    text: str
    columns: int = 1
    rows: int = 1
    header: bool = False


_MOST_COLUMNS = 1000
_MOST_ROWS = 100_000


def heading(level: int, text: str, page: int | None = None) -> Block:
    """A heading; `level` 0 is the document's title, 1 the topmost heading."""
    return Block("heading", inline(text), page, level=level)


def paragraph(text: str, page: int | None = None) -> Block:
    """A paragraph."""
    return Block("paragraph", text, page)


def item(text: str, page: int | None = None, level: int = 0) -> Block:
    """A list item, with its bullet or number."""
    return Block("list_item", text, page, level=level)


def note(text: str, page: int | None = None) -> Block:
    """A foot- or endnote, a comment, a speaker's note."""
    return Block("note", text, page)


def line(text: str, page: int | None = None) -> Block:
    """A line that stands close to its neighbours: a header of a message, a line of a log."""
    return Block("line", text, page)


def tidied(loaded: Iterable[Loaded]) -> Iterator[Loaded]:
    """The blocks without controls and without white space around them; empty ones are dropped.

    Blocks with a `joint` are left as they are: their loaders account for every character.
    """
    for one in loaded:
        if isinstance(one, Block) and (one.joint, one.table, one.passage_id) == (None, None, None):
            text = clean(one.text).strip("\n").rstrip()
            if text:
                yield one if text == one.text else replace(one, text=text)
        else:
            yield one


def slices(text: str) -> Iterator[Block]:
    """Paragraphs that are `text` exactly, one behind the other."""
    for begin in range(0, len(text), _SLICE):
        yield Block("paragraph", text[begin : begin + _SLICE], joint="")


def grid(rows: Iterable[Iterable[Cell]]) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Rows of one length with the spans of their cells filled in, and how many are headers.

    A cell that spans rows or columns stands in each place that it covers (HTML 5, §4.9.12.1).
    Header rows are the first ones whose cells are all marked as such.
    """
    filled: list[list[str]] = []
    hanging = _Hanging()
    header_rows, only_headers = 0, True
    for row in islice(rows, _MOST_ROWS):
        line: list[str] = []
        hanging.next_row()
        for cell in row:
            hanging.fill(line)
            text = inline(cell.text)
            for _ in range(max(1, min(cell.columns, _MOST_COLUMNS - len(line)))):
                hanging.hang(len(line), cell.rows - 1, text)
                line.append(text)
            only_headers = only_headers and cell.header
        hanging.fill(line, to_end=True)
        if line:
            header_rows += only_headers
            filled.append(line)
    width = max(map(len, filled), default=0)
    return tuple(tuple(line + [""] * (width - len(line))) for line in filled), header_rows


class _Hanging:
    """What spans of earlier rows put into the row at hand, by column."""

    def __init__(self) -> None:
        self._here: dict[int, tuple[int, str]] = {}
        self._below: dict[int, tuple[int, str]] = {}

    def next_row(self) -> None:
        """Go on to the next row."""
        self._here, self._below = self._below, {}

    def hang(self, column: int, rows: int, text: str) -> None:
        """Let a text stand in a column of the next rows too."""
        if rows > 0:
            self._below[column] = (rows, text)

    def fill(self, line: list[str], *, to_end: bool = False) -> None:
        """Append what hangs from above where the row has come to, or all that is left of it."""
        if to_end and self._here:
            line += [""] * (max(self._here) + 1 - len(line))
            for column in list(self._here):
                line[column] = self._take(column)
        while len(line) in self._here:
            line.append(self._take(len(line)))

    def _take(self, column: int) -> str:
        rows, text = self._here.pop(column)
        self.hang(column, rows - 1, text)
        return text


def table(
    rows: tuple[tuple[str, ...], ...],
    header_rows: int | None = None,
    title: str = "",
    page: int | None = None,
) -> Iterator[Block]:
    """A grid as a table, without its empty rows and columns; nothing where all are empty.

    Unless known, the header is what `guessed_header` says.
    """
    kept = [at for at in range(len(rows[0]) if rows else 0) if any(row[at] for row in rows)]
    above = rows[: header_rows or 0]
    body = [tuple(row[at] for at in kept) for row in rows if any(row)]
    if not body:
        return
    count = sum(any(row) for row in above) if header_rows is not None else guessed_header(body)
    if count >= len(body):
        count = max(0, len(body) - 1)
    if len(body[0]) == 1:  # a frame around text
        yield from (paragraph(row[0], page) for row in body)
    else:
        yield table_block(Table(tuple(body), count, 1, inline(title)), page)


def guessed_header(rows: list[tuple[str, ...]]) -> int:
    """How many of the first rows name the columns."""
    first = rows[0]
    if len(rows) < 2 or not all(first) or any(map(is_value, first)):
        return 1 if len(rows) > 1 and not any(map(is_value, first)) else 0
    return 1


def is_value(text: str) -> bool:
    """Whether a cell holds a number, a date or the like rather than words."""
    digits = sum(character.isdigit() for character in text)
    return digits > 0 and 2 * digits >= sum(character.isalnum() for character in text)
