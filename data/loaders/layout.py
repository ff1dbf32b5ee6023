"""From the words of a page to its lines, paragraphs and tables in reading order.

The page is cut at the white gutter that runs furthest down, again and again: into columns of
running text, which are read one after the other, or into the columns of a table that is printed
without lines (`data.loaders.ruled_tables` finds those with lines first).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from data.loaders.aligned_tables import aligned_grid
from data.loaders.grids import Grid
from data.loaders.page import Page, Piece, is_right_to_left, pieces_of
from data.loaders.ruled_tables import ruled_grids

_GAP = 0.5
"""White space of this many letter heights parts pieces of a line."""

_MAX_PIECES = 1500
"""A page of more pieces (a map, a drawing) is read from top to bottom, without columns."""

_MAX_GUTTERS = 150

Item = Piece | Grid


@dataclass(slots=True)
class Line:
    """A line of running text; `flow` counts the columns that the page is read in."""

    pieces: list[Piece]
    flow: int
    left: float = field(init=False)
    top: float = field(init=False)
    right: float = field(init=False)
    bottom: float = field(init=False)
    size: float = field(init=False)
    """The usual height of its letters."""
    text: str = field(init=False)
    measure: float = field(init=False, default=0.0)
    """Where lines of its column end on the right."""

    def __post_init__(self) -> None:
        self.left = min(piece.left for piece in self.pieces)
        self.top = min(piece.top for piece in self.pieces)
        self.right = max(piece.right for piece in self.pieces)
        self.bottom = max(piece.bottom for piece in self.pieces)
        self.size = max(self.pieces, key=lambda piece: len(piece.words)).size
        self.text = " ".join(piece.text for piece in self.pieces)

    @property
    def bold(self) -> bool:
        """Whether all its words are bold."""
        return all(piece.bold for piece in self.pieces)

    @property
    def parted(self) -> bool:
        """Whether it ends in a hyphen that the line's end asked for."""
        return self.pieces[-1].words[-1].parted


def read_layout(page: Page) -> list[Line | Grid]:
    """The lines and tables of a page in the order in which a person reads them."""
    grids, words = ruled_grids(page.words, page.rules)
    pieces = pieces_of(words, _GAP)
    items: list[Item] = [*pieces, *grids]
    if len(items) > _MAX_PIECES:
        return list(_Flows(page).rows(items))
    return list(_Flows(page).arrange(items))


class _Flows:
    """Cuts a page recursively and counts the columns that it is read in."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._flow = 0

    def arrange(self, items: Sequence[Item], depth: int = 0) -> Iterator[Line | Grid]:
        """The items in reading order."""
        cut = _best_cut(items) if depth < 40 else None
        if cut is None:
            yield from self.rows(items)
            return
        yield from self.arrange(cut.above, depth + 1)
        bands = _bands(cut)
        if len(bands) > 1:
            for band in bands:
                yield from self.arrange(band, depth + 1)
        elif _are_columns(cut.left, cut.right):
            sides = (cut.left, cut.right)
            if is_right_to_left(" ".join(_texts([*cut.left, *cut.right]))):
                sides = (cut.right, cut.left)
            for side in sides:
                self._flow += 1
                yield from self.arrange(side, depth + 1)
            self._flow += 1
        else:
            yield from self._table(cut, depth)
        yield from self.arrange(cut.below, depth + 1)

    def _table(self, cut: "_Cut", depth: int) -> Iterator[Line | Grid]:
        """A table without lines where the cut part is one, else its rows."""
        inside = sorted([*cut.left, *cut.right], key=lambda item: (item.middle, item.left))
        pieces = [item for item in inside if isinstance(item, Piece)]
        if len(pieces) < len(inside):  # a ruled table beside something: one after the other
            for side in (cut.left, cut.right):
                yield from self.arrange(side, depth + 1)
            return
        found = aligned_grid(pieces, self._page.rules)
        if found is None:
            yield from self.rows(inside)
            return
        yield from self.arrange(found.above, depth + 1)
        yield found.grid
        yield from self.arrange(found.below, depth + 1)

    def rows(self, items: Sequence[Item]) -> Iterator[Line | Grid]:
        """Items line by line, from the top."""
        row: list[Piece] = []
        for item in sorted(items, key=lambda item: (item.middle, item.left)):
            if isinstance(item, Grid):
                yield from self._line(row)
                row = []
                yield item
            elif row and _on_line(row[-1], item):
                row.append(item)
            else:
                yield from self._line(row)
                row = [item]
        yield from self._line(row)

    def _line(self, row: list[Piece]) -> Iterator[Line]:
        if row:
            backwards = is_right_to_left(" ".join(piece.text for piece in row))
            yield Line(sorted(row, key=lambda p: -p.right if backwards else p.left), self._flow)


def _on_line(first: Piece, second: Piece) -> bool:
    overlap = min(first.bottom, second.bottom) - max(first.top, second.top)
    return overlap > 0.5 * min(first.size, second.size)


@dataclass(slots=True)
class _Cut:
    """Items beside a gutter, and those above and below that it does not run between."""

    above: list[Item]
    left: list[Item]
    right: list[Item]
    below: list[Item]


def _best_cut(items: Sequence[Item]) -> _Cut | None:
    """The cut at the gutter that has most beside it; None where no gutter runs between lines."""
    if len(items) < 4:
        return None
    ordered = sorted(items, key=lambda item: (item.middle, item.left))
    best: tuple[float, float, int, int, float] | None = None
    edges = Counter(round(item.left) for item in ordered)
    for x in sorted(left - 1.5 for left, _ in edges.most_common(_MAX_GUTTERS)):
        for begin, end in _runs(ordered, x):
            score = _score(ordered[begin:end], x)
            if score is not None and (best is None or score > best[:2]):
                best = (*score, begin, end, x)
    if best is None:
        return None
    _, _, begin, end, x = best
    return _trimmed(ordered, begin, end, x)


def _runs(ordered: Sequence[Item], x: float) -> Iterator[tuple[int, int]]:
    """Spans of items that do not cross the height `x`."""
    begin = 0
    for index, item in enumerate(ordered):
        if item.left < x - 0.5 and item.right > x + 0.5:
            if index > begin:
                yield begin, index
            begin = index + 1
    if begin < len(ordered):
        yield begin, len(ordered)


def _score(run: Sequence[Item], x: float) -> tuple[float, float] | None:
    """How far down the gutter at `x` has something on both sides, and how wide it is."""
    left = [item for item in run if item.right <= x + 0.5]
    right = [item for item in run if item.left >= x - 0.5]
    if len(left) < 2 or len(right) < 2:
        return None
    low = max(min(item.top for item in left), min(item.top for item in right))
    high = min(max(item.bottom for item in left), max(item.bottom for item in right))
    wide = min(item.left for item in right) - max(item.right for item in left)
    size = median(item.size for item in run)
    if high - low < 1.8 * size or wide < 0.5 * size:
        return None
    return round((high - low) / size), wide


def _trimmed(ordered: Sequence[Item], begin: int, end: int, x: float) -> _Cut:
    """The cut at `x`, without what stands apart above or below on one side alone."""
    run = list(ordered[begin:end])
    left = [item for item in run if item.right <= x + 0.5]
    right = [item for item in run if item.left >= x - 0.5]
    above, below = list(ordered[:begin]), list(ordered[end:])
    for side, other in ((left, right), (right, left)):
        start = min(item.top for item in other)
        stop = max(item.bottom for item in other)
        while len(side) > 2 and side[0].bottom < start and _apart(side[0], side[1]):
            above.append(side.pop(0))
        while len(side) > 2 and side[-1].top > stop and _apart(side[-2], side[-1]):
            below.append(side.pop())
    return _Cut(above, left, right, below)


def _apart(upper: Item, lower: Item) -> bool:
    """Whether more than a line's white space parts two items, one below the other."""
    return lower.top - upper.bottom > 0.9 * min(upper.size, lower.size)


def _bands(cut: _Cut) -> list[list[Item]]:
    """The parts of what stands beside a gutter that white space across both sides separates.

    Columns of running text are parted from tables alone, tables from each other where the white
    between them is wider than that between their rows.
    """
    items = sorted([*cut.left, *cut.right], key=lambda item: item.top)
    size = median(item.size for item in items)
    left = {id(item) for item in cut.left}
    gaps: list[float] = []
    end = items[0].bottom
    for item in items:
        if item.top > end:
            gaps.append(item.top - end)
        end = max(end, item.bottom)
    wide = max(1.5 * size, 2.5 * median(gaps)) if gaps else 1.5 * size
    bands: list[list[Item]] = [[]]
    end = items[0].bottom
    for item in items:
        if item.top - end > (wide if len(gaps) > 2 else 3 * size):
            bands.append([])
        bands[-1].append(item)
        end = max(end, item.bottom)
    joined: list[list[Item]] = []
    was_prose = False
    for band in bands:
        sides = [[i for i in band if (id(i) in left) == first] for first in (True, False)]
        prose = _are_columns(*sides) if all(sides) else was_prose
        if joined and prose and was_prose:
            joined[-1] += band
        else:
            joined.append(band)
        was_prose = prose
    return joined


def _are_columns(left: Sequence[Item], right: Sequence[Item]) -> bool:
    """Whether what stands beside a gutter is running text in columns rather than a table."""
    if any(isinstance(item, Grid) for item in (*left, *right)):
        return True
    one, two = _rows(left), _rows(right)
    if _start_together(one, two):
        return False
    if _is_prose(one) and _is_prose(two):
        return True
    tops = [row[0].middle for row in two]
    aligned = sum(any(abs(row[0].middle - top) < 2.5 for top in tops) for row in one)
    few = min(len(one), len(two))
    return few >= 4 and aligned < 0.5 * few and (_is_prose(one) or _is_prose(two))


def _rows(items: Sequence[Item]) -> list[list[Piece]]:
    rows: list[list[Piece]] = []
    for item in sorted(items, key=lambda item: (item.middle, item.left)):
        if isinstance(item, Piece):
            if rows and _on_line(rows[-1][-1], item):
                rows[-1].append(item)
            else:
                rows.append([item])
    return rows


def _is_prose(rows: list[list[Piece]]) -> bool:
    """Whether lines are filled with words, as those of running text are."""
    if not rows:
        return False
    left = min(piece.left for row in rows for piece in row)
    right = max(piece.right for row in rows for piece in row)
    filled = [
        sum(piece.right - piece.left for piece in row) / max(1.0, right - left) for row in rows
    ]
    long = [len(piece.text) / (1 if len(piece.words) > 3 else 2) for row in rows for piece in row]
    return median(filled) > 0.55 and median(long) >= 18


def _start_together(one: list[list[Piece]], two: list[list[Piece]]) -> bool:
    """Whether three or more entries begin at the same heights on both sides, as rows do."""
    first, second = _entries(one), _entries(two)
    if min(len(first), len(second)) < max(3, 0.25 * len(one)):
        return False
    shared = sum(any(abs(top - other) < 3 for other in second) for top in first)
    return shared >= 0.8 * max(len(first), len(second))


def _entries(rows: list[list[Piece]]) -> list[float]:
    """Heights at which lines begin that stand apart from the line before."""
    tops = [row[0].middle for row in rows]
    steps = [after - before for before, after in pairwise(tops)]
    if not steps:
        return tops
    typical = min(steps)
    far = [tops[index + 1] for index, step in enumerate(steps) if step > 1.3 * typical]
    return [tops[0], *far]


def _texts(items: Sequence[Item]) -> Iterator[str]:
    return (item.text for item in items if isinstance(item, Piece))
