"""A table on a page as a grid of texts, and what its cells say about it.

Words and lines are known with their places (`data.loaders.page`), so this serves PDF text and
scans alike. Measured against libraries: docs/decisions/0013-tables-in-pdf.md.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from data.loaders.page import Piece, Word, join_words, pieces_of

SNAP = 3.0
"""Lines closer than this many points are one."""
_NUMBER = re.compile(
    r"[\s(<>~±≈≤≥+\-−–$€£¥]*\d[\d.,'’\u00a0 /:x×–−-]*\s*"
    r"(?:[%‰°]|[^\W\d_][^\W\d_/²³.]{0,7})?\)?[*†‡¹²³]?"
)
_EMPTY = re.compile(r"[-–—.…/*]{1,3}|n/?a\.?", re.IGNORECASE)
YEAR = re.compile(r"(?:FY ?|Q[1-4] ?)?(?:19|20)\d\d(?:[/–-]\d{2,4})?")


@dataclass(slots=True)
class Cell:
    """Words that stand in rows `row` to `below` - 1 and columns `column` to `behind` - 1."""

    row: int
    column: int
    below: int
    behind: int
    words: list[Word] = field(default_factory=list)

    @property
    def lines(self) -> list[list[Word]]:
        """Its words line by line."""
        rows: list[list[Word]] = []
        for piece in pieces_of(self.words, 1e9):
            if rows and overlap(rows[-1][0], piece.words[0]):
                rows[-1] += piece.words
            else:
                rows.append(list(piece.words))
        return rows

    @property
    def text(self) -> str:
        """Its words, lines joined."""
        text = ""
        for line in self.lines:
            piece = join_words(line)
            if text.endswith("-") and line and text[-2:-1].isalpha() and piece[:1].islower():
                text = text[:-1] + piece
            else:
                text = f"{text} {piece}".strip()
        return text


@dataclass(slots=True)
class Grid:
    """A table with its place; every row has a text for each column, merged cells repeated.

    `edges` are the columns' boundaries from left to right. `sure` says that something beside the
    words (type, lines, merged cells) marks its header.
    """

    rows: list[list[str]]
    header_rows: int
    label_columns: int
    edges: list[float]
    left: float
    top: float
    right: float
    bottom: float
    size: float
    title: str = ""
    sure: bool = False

    @property
    def middle(self) -> float:
        """The height of its middle on the page."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Found:
    """A table among pieces, with those above and below it."""

    grid: Grid
    above: list[Piece]
    below: list[Piece]


def clusters(values: Iterable[float], near: float = SNAP) -> list[list[float]]:
    """Values, sorted, in groups of those that lie close together."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][0] <= near:
            groups[-1].append(value)
        else:
            groups.append([value])
    return groups


def levels_of(values: Iterable[float]) -> list[float]:
    """The means of `clusters`."""
    return [sum(group) / len(group) for group in clusters(values)]


def slot(levels: list[float], at: float) -> int:
    """Which interval of sorted levels a place falls in; the outer ones reach on."""
    return max(0, min(len(levels) - 2, sum(level <= at for level in levels) - 1))


def is_number(text: str) -> bool:
    """Whether a cell holds a number, maybe with a unit, or stands for one that is missing."""
    text = text.strip()
    return bool(_NUMBER.fullmatch(text) or _EMPTY.fullmatch(text))


def build_grid(
    cells: list[Cell], ys: list[float], xs: list[float], words: Sequence[Word], header: int = 0
) -> Grid | None:
    """The table of these cells; `header` rows are known to be its header where above 0."""
    rows, columns = len(ys) - 1, len(xs) - 1
    texts = [[""] * columns for _ in range(rows)]
    cells = sorted(cells, key=lambda cell: (cell.row, cell.column))
    for cell in cells:
        text = cell.text
        for row in range(cell.row, cell.below):
            for column in range(cell.column, cell.behind):
                texts[row][column] = text
    title = ""
    top = next((cell for cell in cells if cell.row == 0), None)
    if top is not None and top.behind - top.column == columns and columns > 1 and top.below < rows:
        title = top.text
        cells = [_lifted(cell, top.below) for cell in cells if cell.row >= top.below]
        texts = texts[top.below :]
        header = max(0, header - top.below)
    empty = [all(not row[c] for row in texts) for c in range(columns)]
    sure = header > 0
    if not header:
        header, sure = _header(cells, texts)
    blank = [not any(row) for row in texts]
    header -= sum(blank[:header])
    kept = [
        [text for text, none in zip(row, empty, strict=True) if not none]
        for row, none in zip(texts, blank, strict=True)
        if not none
    ]
    if not kept or len(kept[0]) < 2 or len(kept) < 2:
        return None
    if header >= len(kept):
        header = 1
    labels = _label_columns(cells, kept, header)
    return Grid(
        kept,
        header,
        labels,
        [x for x, none in zip(xs[:-1], empty, strict=True) if not none],
        xs[0],
        ys[0],
        xs[-1],
        ys[-1],
        median(word.size for word in words),
        title,
        sure,
    )


def _lifted(cell: Cell, by: int) -> Cell:
    return Cell(cell.row - by, cell.column, cell.below - by, cell.behind, cell.words)


def _header(cells: list[Cell], texts: list[list[str]]) -> tuple[int, bool]:
    """How many rows are the header, and whether more than the words say so."""
    columns = len(texts[0])
    grouped = 0
    while any(
        cell.row <= grouped < cell.below
        and 1 < cell.behind - cell.column < columns
        and cell.words
        and not is_number(cell.text)
        for cell in cells
    ):
        grouped += 1
        if grouped >= min(4, len(texts) - 1):
            break
    bold = 0
    while bold < min(4, len(texts) - 1) and _is_bold(cells, bold):
        bold += 1
    if bold and all(_is_bold(cells, row) for row in range(len(texts))):
        bold = 0
    if grouped:
        deep = max((cell.below for cell in cells if cell.row == 0 and cell.words), default=1)
        return max(grouped + 1, bold, min(deep, 4)), True
    if bold:
        return bold, True
    return (0 if _is_data(texts) else 1), False


def _is_bold(cells: list[Cell], row: int) -> bool:
    found = [word for cell in cells if cell.row <= row < cell.below for word in cell.words]
    return bool(found) and all(word.bold for word in found)


def _is_data(texts: list[list[str]]) -> bool:
    """Whether the first row is of the kind of those below, so that no row is a header."""
    first, rest = texts[0], texts[1:]
    ends = [row[0] for row in texts if row[0]]
    if len(first) == 2 and 2 * sum(text.endswith(":") for text in ends) > len(ends):
        return True
    numeric = [
        c
        for c in range(len(first))
        if 2 * sum(is_number(row[c]) for row in rest) > sum(1 for row in rest if row[c])
    ]
    shown = [first[c] for c in numeric if first[c]]
    if shown and all(YEAR.fullmatch(text) for text in shown):
        return all(YEAR.fullmatch(row[c]) for row in rest[:3] for c in numeric if row[c])
    return bool(shown) and 2 * sum(map(is_number, shown)) >= len(numeric)


def _label_columns(cells: list[Cell], texts: list[list[str]], header: int) -> int:
    """How many columns at the left name the rows: two where the first is shared or only counts."""
    body = texts[header:]
    if len(texts[0]) < 3 or len(body) < 2:
        return 1
    second = [row[1] for row in body]
    if sum(map(is_number, second)) * 2 > len(second):
        return 1
    first = [row[0] for row in body]
    counts = [text.strip(".)") for text in first] == [str(n) for n in range(1, len(first) + 1)]
    shared = any(
        cell.column == 0 and cell.below - cell.row > 1 and cell.row >= header for cell in cells
    )
    return 2 if counts or shared else 1


def overlap(one: Word, two: Word) -> bool:
    """Whether two words stand on one line."""
    common = min(one.bottom, two.bottom) - max(one.top, two.top)
    return common > 0.5 * min(one.size, two.size)
