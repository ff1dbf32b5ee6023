"""Tables as text: Markdown for reading, "header: value" rows for indexing.

The Markdown of a table has one header row: header cells of several rows become one, "Summer plan /
Aides". So a passage's Markdown alone tells what its index text is, and nothing else is stored.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from data.blocks import Block, Box, Table

_DASHES = re.compile(r":?-+:?")
_BAR = re.compile(r"(?<!\\)\|")


def table_block(
    table: Table, page: int | None = None, boxes: tuple[Box, ...] = (), *, continues: bool = False
) -> Block:
    """A table as a block: its title, its header and its rows, one a line.

    A loader may give a long table in several blocks of the same header; those that continue one
    hold rows alone.
    """
    lines = list(row_lines(table))
    if not continues:
        lines = [*header_lines(table), *lines]
    return Block(
        "table", "\n".join(lines), page, boxes, table=table, joint="\n" if continues else None
    )


def header_lines(table: Table) -> Iterator[str]:
    """The lines above the rows: the title with a blank line, column names, the separator."""
    if table.title:
        yield from (table.title, "")
    columns = len(table.rows[0]) if table.rows else 0
    yield markdown_row(headers(table))
    yield markdown_row(["---"] * columns)


def row_lines(table: Table) -> Iterator[str]:
    """A line of Markdown for each row below the header."""
    return (markdown_row(row) for row in table.rows[table.header_rows :])


def headers(table: Table) -> list[str]:
    """The full name of each column: the header cells above it, outermost first."""
    columns = zip(*table.rows[: table.header_rows], strict=True)
    if not table.header_rows:
        return [""] * (len(table.rows[0]) if table.rows else 0)
    return [" / ".join(_distinct(cell.strip() for cell in column)) for column in columns]


def index_text(text: str) -> str:
    """A passage's text as engines index it: rows of Markdown tables become "header: value"."""
    if "|" not in text or "--" not in text:
        return text
    lines = text.split("\n")
    shown: list[str] = []
    names: list[str] | None = None
    for line in lines:
        if shown and "|" in shown[-1] and is_separator(line):
            names = cells(shown.pop())
        elif names is not None and "|" in line:
            shown.append(named_row(names, cells(line)))
        else:
            names = None
            shown.append(line)
    return "\n".join(shown)


def named_row(names: Sequence[str], values: Sequence[str]) -> str:
    """One row as "header: value; header: value"; cells without text are left out."""
    padded = [*names, *[""] * len(values)]
    return "; ".join(
        f"{name}: {value}" if name and name != value else value
        for name, value in zip(padded, values, strict=False)
        if value
    )


def cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table."""
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(inner)]


def cell_spans(line: str) -> list[tuple[int, int]]:
    """Where the cells of a line of a Markdown table lie in it, without white space around them."""
    bars = [match.start() for match in _BAR.finditer(line)]
    edges = [-1, *bars, len(line)]
    spans = [(a + 1, b) for a, b in pairwise(edges)]
    if spans and not line[slice(*spans[0])].strip():
        spans = spans[1:]
    if spans and not line[slice(*spans[-1])].strip():
        spans = spans[:-1]
    return [
        (a + len(line[a:b]) - len(line[a:b].lstrip()), a + len(line[a:b].rstrip()))
        if line[a:b].strip()
        else (a, a)
        for a, b in spans
    ]


def is_separator(line: str) -> bool:
    """Whether a line parts the header of a Markdown table from its rows."""
    return "|" in line and "-" in line and all(map(_DASHES.fullmatch, cells(line)))


def markdown_row(row: Iterable[str]) -> str:
    """Cells as one line of a Markdown table."""
    inner = (" ".join(cell.split()).replace("|", "\\|") for cell in row)
    return f"| {' | '.join(inner)} |"


def _distinct(names: Iterable[str]) -> list[str]:
    """Names without empty ones and without repeats of the one before."""
    kept: list[str] = []
    for name in names:
        if name and name not in kept[-1:]:
            kept.append(name)
    return kept
