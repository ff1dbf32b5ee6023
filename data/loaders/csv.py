"""CSV and TSV: one table, whatever its delimiter; every row has the names of its columns."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from data.blocks import Loaded, LoadWarning, Table
from data.cleaning import inline
from data.loaders.encodings import decode
from data.loaders.making import cut_table, guessed_header, is_value, line, paragraph, spread_header

_DELIMITERS = ",;\t|"
_SAMPLE = 200
_MOST_COLUMNS = 2000
_LONGEST_CELL = 1_000_000


def load(path: Path) -> Iterator[Loaded]:
    """A table in blocks; lines above it that are no rows, or have one text alone, are paragraphs.

    The delimiter is the one by which most lines have the same number of cells. The first row names
    the columns unless it holds values. Rows that are too long or too short are filled up, which a
    warning says.
    """
    decoded = decode(path.read_bytes(), path.name)
    yield from decoded.warnings
    text = decoded.text
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        delimiter, text = first.strip()[4], rest
    else:
        delimiter = guess_delimiter(text)
    if not delimiter:
        yield from (line(each) for each in text.split("\n"))
        return
    for _, numbered in groupby(_numbered(_rows(text, delimiter)), key=itemgetter(0)):
        yield from _table(row for _, row in numbered)


def _numbered(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its table.

    A row without a value, behind an empty line that stands behind a row with values, names anew.
    """
    number, before, apart = 0, list[str](), False
    for row in rows:
        if not any(cell.strip() for cell in row):
            apart = any(map(is_value, before))
            continue
        number += apart and not any(is_value(inline(cell)) for cell in row)
        before, apart = row, False
        yield number, row


def guess_delimiter(text: str) -> str:
    """What parts the cells of a text; nothing where there is one column."""
    best, found = (0.0, 0), ""
    for delimiter in _DELIMITERS:
        lengths = Counter(
            len(row) for row in islice(_rows(text[:200_000], delimiter), _SAMPLE) if any(row)
        )
        total = sum(lengths.values())
        lengths.pop(1, 0)
        if not lengths:
            continue
        width, count = lengths.most_common(1)[0]
        score = (round(count / total, 1), width)
        if score > best:
            best, found = score, delimiter
    return found if best[0] >= 0.5 else ""


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        yield from reader
    except csv.Error:  # a quotation mark that is never closed: read it as a letter
        plain = csv.reader(io.StringIO(text), delimiter=delimiter, quoting=csv.QUOTE_NONE)
        yield from islice(plain, reader.line_num, None)


def _table(rows: Iterator[list[str]]) -> Iterator[Loaded]:
    sample = list(islice(rows, _SAMPLE))
    widths = Counter(len(row) for row in sample)
    width = min(widths.most_common(1)[0][0], _MOST_COLUMNS)
    if width == 1 and len(sample) < _SAMPLE:
        yield from (paragraph("; ".join(map(inline, row))) for row in sample)
        return
    titles = _titles(sample)
    yield from (paragraph(inline(row[0])) for row in sample[:titles])
    sample = sample[titles:]
    if not sample:
        return
    header = 1 if len(sample) > 1 and _names(sample[0], sample[1:]) else 0
    if header and guessed_header([_fitted(row, width) for row in sample[:20]]) == 2:
        header = 2
    names = spread_header([tuple(_fitted(row, width)) for row in sample[:header]])
    odd, begun = 0, False
    batch: list[tuple[str, ...]] = []
    for number, row in enumerate(_chained(sample[header:], rows)):
        odd += len(row) != width
        batch.append(tuple(_fitted(row, width)))
        if len(batch) == 500:
            yield from _part(names, batch, begun=begun)
            batch, begun = [], number >= 0
    if batch:
        yield from _part(names, batch, begun=begun)
    if odd:
        yield LoadWarning(f"{odd} rows have more or fewer cells than the others")


def _titles(rows: list[list[str]]) -> int:
    """How many of the first rows are lines of text, in their first cell alone, above a table."""
    count = next((at for at, row in enumerate(rows) if any(map(str.strip, row[1:]))), len(rows))
    headless = len(rows[0]) > 1 and is_value(inline(rows[0][0]))
    return 0 if headless or count == _SAMPLE else count


def _part(
    names: list[tuple[str, ...]], rows: list[tuple[str, ...]], *, begun: bool
) -> Iterator[Loaded]:
    from data.tables import table_block

    whole = Table((*names, *rows), len(names))
    if begun:
        yield table_block(whole, continues=True)
    else:
        yield from cut_table(whole)


def _chained(first: list[list[str]], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield from first
    yield from rest


def _names(row: list[str], below: list[list[str]]) -> bool:
    cells = [inline(cell) for cell in row if cell.strip()]
    distinct = len(set(cells)) == len(cells)
    valued = not any(map(is_value, cells)) and any(
        is_value(cell) for other in below[:20] for cell in other
    )
    return (
        (distinct or valued)
        and not any(is_value(cell) and not cell.isalnum() for cell in cells)
        and any(not is_value(cell) for cell in cells)
    )


def _fitted(row: list[str], width: int) -> list[str]:
    cells = [inline(cell) for cell in row]
    if len(cells) > width:
        cells = [*cells[: width - 1], "; ".join(cell for cell in cells[width - 1 :] if cell)]
    return cells + [""] * (width - len(cells))
