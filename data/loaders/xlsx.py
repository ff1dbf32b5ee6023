"""Excel workbooks: one page a sheet, one line a row."""

import datetime
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from data.blocks import Block
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.making import heading, line, paragraph

Row = dict[int, tuple[str, bool]]
"""The cells of a row that have a value, by column index from 0: text, and whether it is one."""


def load(path: Path) -> Iterator[Block]:
    """Blocks of each worksheet, numbered as in the workbook; the sheet's name is the heading.

    A run of neighbouring cells that are all texts and all differ names its columns where a table
    can begin: at the top, after an empty row, or above columns without names when values stand
    right below. Rows beneath become lines "column: value; column: value", without names cells are
    parted by " | ". Formulas count by their stored values. Raises UnreadableFile for a damaged
    file.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not a workbook"
        ) from error
    try:
        for number, name in enumerate(book.sheetnames, start=1):
            sheet = book[name]
            if hasattr(sheet, "iter_rows"):  # a chart sheet has no rows
                yield from _sheet(sheet, number, inline(name))
    finally:
        book.close()


def _sheet(sheet: Any, number: int, name: str) -> Iterator[Block]:
    sheet.reset_dimensions()  # what the file says about its extent may be wrong
    rows = (
        {
            at: (text, isinstance(value, str))
            for at, value in enumerate(row)
            if value is not None and (text := _shown(value))
        }
        for row in sheet.iter_rows(values_only=True)
    )
    yield heading(1, name, number)
    for block in _lines(rows):
        yield replace(block, page=number)


def _lines(rows: Iterator[Row]) -> Iterator[Block]:
    """A line for each row that is not empty; a line of column names begins a new block."""
    columns: dict[int, str] = {}
    above: Row = {}
    for row, below in pairwise(chain(rows, [{}])):
        if not row:
            above = row
            continue
        starts = not above or (len(above) == 1 and not columns)
        named = {
            at: row[at][0]
            for group in _groups(row)
            if _names_columns(group, row, below, columns, starts=starts)
            for at in group
        }
        if starts and not (named or row.keys() <= columns.keys()):
            columns = {}
        columns = columns | named
        text = _line(row, {at: name for at, name in columns.items() if at not in named})
        yield paragraph(text) if named.keys() == row.keys() else line(text)
        above = row


def _groups(row: Row) -> Iterator[list[int]]:
    """Neighbouring columns that have a value, as lists of indices."""
    group: list[int] = []
    for at in row:
        if group and at != group[-1] + 1:
            yield group
            group = []
        group.append(at)
    yield group


def _names_columns(
    group: list[int], row: Row, below: Row, columns: dict[int, str], *, starts: bool
) -> bool:
    if len(group) < 2 or not all(row[at][1] for at in group):
        return False
    if len({row[at][0] for at in group}) < len(group):
        return False
    if starts and columns.keys().isdisjoint(group):
        return True
    valued = any(at in below and not below[at][1] for at in group)
    return valued and (starts or columns.keys().isdisjoint(group))


def _line(row: Row, columns: dict[int, str]) -> str:
    if columns.keys().isdisjoint(row):
        return " | ".join(text for text, _ in row.values())
    return "; ".join(
        f"{columns[at]}: {text}" if at in columns else text for at, (text, _) in row.items()
    )


def _shown(value: Any) -> str:
    """A cell as text: whole numbers without ".0", dates as ISO 8601."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return inline(str(value))
