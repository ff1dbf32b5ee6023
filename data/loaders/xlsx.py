"""Excel workbooks: one page a sheet, its tables with merged cells and formats resolved."""

import contextlib
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from data.blocks import Block, Loaded, LoadWarning, Table
from data.cleaning import inline
from data.errors import UnreadableFile
from data.limits import MIB
from data.loaders.making import (
    cut_table,
    guessed_header,
    heading,
    is_page_number,
    is_value,
    line,
    note,
    paragraph,
    picture,
    table,
)
from data.loaders.number_format import shown
from data.loaders.scripts import lowered, raised, with_fractions
from data.loaders.xlsx_parts import Parts

Row = dict[int, str]
"""The cells of a row that have a text, by column from 0."""

_WHOLE_BYTES = 24 * MIB
"""Sheets of larger XML are read row by row, without merged cells, comments and hidden rows."""
_NAMED = 5
_LONGEST_RUN = 2000
_UNIT = re.compile(r"[\d\s.,'’()+–-]+")
"""Of a value, all but what it is counted in."""
_CODE = re.compile(r'&(?:"[^"]*"|K[0-9A-F]{6}|\d+|[A-Z])')
"""Of running heads: fonts and colours, and what is counted or looked up when it is printed."""


def load(path: Path) -> Iterator[Loaded]:
    """Blocks of each visible worksheet, numbered as in the workbook; its name is the heading.

    Tables are regions of cells between empty rows and columns. Values look as their formats show
    them, with dates as ISO 8601; comments, text boxes and running heads follow their sheet. Hidden
    sheets, rows and columns are left out, and formulas without a stored value shown as formulas,
    which warnings say. Raises UnreadableFile for a damaged file.
    """
    with path.open("rb") as stream:
        yield from _book(path, stream)


def _book(path: Path, stream: BinaryIO) -> Iterator[Loaded]:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    whole = _largest_sheet(path) <= _WHOLE_BYTES
    try:
        archive = zipfile.ZipFile(path)
        book = openpyxl.load_workbook(  # of a stream, as the path of an attachment has no ending
            stream, read_only=not whole, data_only=True, keep_links=False, rich_text=True
        )
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not a workbook"
        ) from error
    with archive, contextlib.closing(book):
        parts = Parts(archive)
        for number, name in enumerate(book.sheetnames, start=1):
            sheet = book[name]
            if not hasattr(sheet, "iter_rows"):  # a chart sheet has no rows
                continue
            if sheet.sheet_state != "visible":
                yield LoadWarning(f'the hidden sheet "{inline(name)}" is left out', number)
                continue
            yield from _sheet(sheet, number, parts, whole=whole)


def _largest_sheet(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [m.file_size for m in archive.infolist() if "worksheets/" in m.filename]
    except (zipfile.BadZipFile, OSError):
        return 0
    return max(sizes, default=0)


def _running_heads(sheet: Any) -> Iterator[str]:
    """What is printed above and below a sheet, but for page numbers and the like."""
    for part in (sheet.oddHeader, sheet.oddFooter):
        for place in (part.left, part.center, part.right):
            text = inline(_CODE.sub("", place.text or ""))
            if not is_page_number(text):
                yield text


def _sheet(sheet: Any, number: int, parts: Parts, *, whole: bool) -> Iterator[Loaded]:
    name, formulas = inline(sheet.title), parts.formulas(sheet.title)
    if not whole:
        sheet.reset_dimensions()  # what the file says about its extent may be wrong
        yield LoadWarning(
            "the sheet is large: merged cells, comments and hidden rows are as they are stored",
            number,
        )
    if formulas:
        some = ", ".join(list(formulas)[:_NAMED]) + (" ..." if len(formulas) > _NAMED else "")
        yield LoadWarning(f"formulas without a stored value: {some}", number)
    reader = _Rows(sheet, formulas, parts.threads(sheet.title), whole=whole)
    blocks = _Regions(number, name).blocks(reader.rows())
    first = next(blocks, None)
    beside = [*parts.text_boxes(sheet.title), *(_running_heads(sheet) if whole else ())]
    if first is not None or reader.comments or beside:
        yield heading(1, name, number)
    if first is not None:
        yield first
        yield from blocks
    for text in (*reader.comments, *beside):
        yield note(text, number)
    for text in parts.pictures(sheet.title):
        yield from picture(text, number)
    if reader.hidden:
        yield LoadWarning(f"hidden {' and '.join(sorted(reader.hidden))} are left out", number)


class _Rows:
    """The visible rows of a sheet as texts, and the comments on them."""

    def __init__(
        self, sheet: Any, formulas: dict[str, str], threads: dict[str, str], *, whole: bool
    ) -> None:
        self._sheet, self._formulas, self._whole = sheet, formulas, whole
        self._threads = threads
        self.comments: list[str] = []
        self.hidden: set[str] = set()

    def rows(self) -> Iterator[Row]:
        """Each row, empty ones too, merged cells in every place that they cover."""
        merged = self._merged() if self._whole else {}
        columns = self._hidden_columns() if self._whole else frozenset()
        label = ""
        for at, cells in self._stored():
            if (
                self._whole
                and at in self._sheet.row_dimensions
                and self._sheet.row_dimensions[at].hidden
            ):
                self.hidden.add("rows")
                continue
            row: Row = {}
            for place, cell in cells:
                if place in columns:
                    if cell.value is not None:
                        self.hidden.add("columns")
                    continue
                text = merged.get((at, place)) or self._text(cell)
                if text:
                    row[place] = text
                    merged_from = getattr(cell, "comment", None)
                    if merged_from is not None and self._whole:
                        label = next(iter(row.values())) if len(row) > 1 else ""
                        about = f" ({label})" if label else ""
                        self.comments.append(self._comment(cell, merged_from, about, text))
            yield row

    def _comment(self, cell: Any, comment: Any, about: str, text: str) -> str:
        """A comment with its author, whose name Excel writes before a note too."""
        author = str(comment.author or "")
        said = inline(str(comment.text).removeprefix(f"{author}:"))
        by = f" by {author}" if author else ""
        if thread := self._threads.get(cell.coordinate):
            by, said = "", thread
        return f"Comment{by} on {cell.coordinate}{about} = {text}: {said}"

    def _stored(self) -> Iterator[tuple[int, Iterable[tuple[int, Any]]]]:
        """Each row's number, and its cells by their columns from 0.

        Where all is at hand, those alone that are stored: one far away makes no table as large.
        """
        if not self._whole:
            for cells in self._sheet.iter_rows():
                at = next((cell.row for cell in cells if getattr(cell, "row", None)), 0)
                yield at, enumerate(cells)
            return
        stored: dict[int, list[tuple[int, Any]]] = defaultdict(list)
        for (row, column), cell in sorted(self._sheet._cells.items()):
            stored[row].append((column - 1, cell))
        for at in range(1, max(stored, default=0) + 1):
            yield at, stored.get(at, ())

    def _text(self, cell: Any) -> str:
        value = getattr(cell, "value", None)
        if value is None:
            if not self._formulas or not hasattr(cell, "coordinate"):
                return ""
            return self._formulas.get(cell.coordinate, "")
        if isinstance(value, list):  # rich text: pieces with fonts of their own
            text = with_fractions("".join(map(_scripted, value)))
        else:
            text = shown(value, getattr(cell, "number_format", "General"))
        link = getattr(getattr(cell, "hyperlink", None), "target", None)
        address = re.sub(r"^mailto:", "", inline(link or ""))
        return inline(f"{text} ({address})" if text and address not in text else text)

    def _merged(self) -> dict[tuple[int, int], str]:
        places: dict[tuple[int, int], str] = {}
        for area in islice(self._sheet.merged_cells.ranges, 20_000):
            top, left = area.min_row, area.min_col
            text = self._text(self._sheet.cell(top, left))
            if text and area.size["rows"] * area.size["columns"] <= _LONGEST_RUN:
                for row in range(top, area.max_row + 1):
                    for column in range(left, area.max_col + 1):
                        places[row, column - 1] = text
        return places

    def _hidden_columns(self) -> frozenset[int]:
        hidden: set[int] = set()
        for dimension in self._sheet.column_dimensions.values():
            if dimension.hidden and dimension.min and dimension.max:
                hidden.update(range(dimension.min - 1, min(dimension.max, 16_384)))
        return frozenset(hidden)


def _scripted(piece: Any) -> str:
    """A piece of rich text, raised or lowered as its font says."""
    place = getattr(getattr(piece, "font", None), "vertAlign", None)
    text = str(getattr(piece, "text", piece))
    return raised(text) if place == "superscript" else lowered(text) if place else text


@dataclass(frozen=True, slots=True)
class _Named:
    """A header, and for each of its columns what kinds of cells the rows below it hold."""

    header: tuple[tuple[str, ...], ...]
    kinds: list[set[str]]

    def names(self, rows: Sequence[tuple[str, ...]]) -> bool:
        """Whether rows behind an empty row are alike in each column to those above it."""
        return not any(
            above and below and above.isdisjoint(below)
            for above, below in zip(self.kinds, _kinds(rows), strict=True)
        )


class _Regions:
    """Finds the tables of a sheet: bands of rows, and in them groups of columns.

    An empty row ends a table. Rows below it that are alike in every column go on with its header,
    and a header of several lines waits for its rows.
    """

    def __init__(self, page: int, sheet: str) -> None:
        self._page, self._sheet = page, sheet
        self._named: dict[tuple[int, int], _Named] = {}
        self._waiting: dict[tuple[int, int], list[tuple[str, ...]]] = {}

    def blocks(self, rows: Iterator[Row]) -> Iterator[Block]:
        """The blocks of the rows, in order."""
        band: list[Row] = []
        for row in rows:
            if row:
                band.append(row)
            elif band:
                yield from self._band(band)
                band = []
        if band:
            yield from self._band(band)
        for extent in list(self._waiting):
            yield from self._region(self._waiting.pop(extent), extent)

    def _band(self, band: Sequence[Row]) -> Iterator[Block]:
        extents = self._extents(sorted({column for row in band for column in row}))
        for extent in [each for each in self._waiting if each not in extents]:
            yield from self._region(self._waiting.pop(extent), extent)
        for left, right in extents:
            rows = [tuple(row.get(at, "") for at in range(left, right + 1)) for row in band]
            rows = self._waiting.pop((left, right), []) + [row for row in rows if any(row)]
            if _is_header(rows):
                self._waiting[left, right] = rows
            else:
                yield from self._region(rows, (left, right))

    def _extents(self, used: Sequence[int]) -> list[tuple[int, int]]:
        """The first and last of columns that stand side by side, or below a header that waits."""
        extents: list[tuple[int, int]] = []
        for column in used:
            above = (each for each in self._waiting if each[0] <= column <= each[1])
            left, right = next(above, (column, column))
            if extents and left <= extents[-1][1] + 1:
                extents[-1] = (extents[-1][0], max(right, extents[-1][1]))
            else:
                extents.append((left, right))
        return extents

    def _region(self, rows: list[tuple[str, ...]], extent: tuple[int, int]) -> Iterator[Block]:
        if extent[0] == extent[1]:
            for (text,) in rows:
                yield line(text, self._page) if len(rows) > 1 else paragraph(text, self._page)
            return
        title, rows = _titled(rows)
        count = guessed_header(rows)
        known = self._named.get(extent)
        valued = any(is_value(cell) for cell in sum(rows[count:], ()))
        if known and not (count and valued) and known.names(rows):
            if title:
                yield paragraph(title, self._page)
            whole = Table((*known.header, *rows), len(known.header), 1)
            yield from cut_table(whole, self._page)
            return
        if count:
            self._named[extent] = _Named(tuple(rows[:count]), _kinds(rows[count:]))
        if len(rows) == 1:
            yield paragraph(" | ".join(cell for cell in rows[0] if cell), self._page)
            return
        yield from table(tuple(rows), count, title, self._page)


def _titled(rows: list[tuple[str, ...]]) -> tuple[str, list[tuple[str, ...]]]:
    """The title of a table, which rows of one text at its top are, and its other rows."""
    title = ""
    while len(rows) > 1 and _only(rows[0]):
        title = f"{title}: {_only(rows[0])}" if title else _only(rows[0])
        rows = rows[1:]
    return title, rows


def _is_header(rows: list[tuple[str, ...]]) -> bool:
    """Whether rows are but a header of several lines, maybe below a title."""
    lines = _titled(rows)[1]
    values = ("0",) * len(rows[0])
    return len(lines) > 1 and guessed_header([*lines, values]) == len(lines)


def _kinds(rows: Sequence[tuple[str, ...]]) -> list[set[str]]:
    """What the cells of each column are: words, or values with what stands beside the digits."""
    return [
        {_UNIT.sub("", cell) if is_value(cell) else "words" for cell in column if cell}
        for column in zip(*rows, strict=True)
    ]


def _only(row: Sequence[str]) -> str:
    """The text of a row that has but one, in one cell or merged over several."""
    texts = {cell for cell in row if cell}
    return texts.pop() if len(texts) == 1 else ""
