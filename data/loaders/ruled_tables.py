"""Tables on a page that are drawn with lines."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from statistics import median
from typing import TypeVar

from data.loaders.grids import SNAP, Cell, Grid, build_grid, clusters, is_number, levels_of, slot
from data.loaders.page import Rule, Word, join_words, pieces_of

T = TypeVar("T")
_MAX_RULES = 1500
_MAX_CELLS = 20_000


def ruled_grids(words: Sequence[Word], rules: Sequence[Rule]) -> tuple[list[Grid], list[Word]]:
    """The tables that lines enclose, and the words that stand in none of them."""
    rest = list(words)
    grids: list[Grid] = []
    if len(rules) > _MAX_RULES or len(rules) < 3:
        return grids, rest
    for across, down in _frames(rules):
        built = _ruled(across, down, rest)
        if built is not None:
            grid, used = built
            grids.append(grid)
            rest = [word for word in rest if id(word) not in used]
    return grids, rest


def _frames(rules: Sequence[Rule]) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """Groups of lines across and down that touch each other, the largest first."""
    across = _collinear([rule for rule in rules if rule.across])
    down = [_flip(rule) for rule in _collinear([_flip(r) for r in rules if not r.across])]
    parent = {index: index for index in range(len(across) + len(down))}
    root = partial(_root, parent)

    for i, one in enumerate(across):
        for j, two in enumerate(down, len(across)):
            if (
                one.left - SNAP <= two.left <= one.right + SNAP
                and two.top - SNAP <= one.top <= two.bottom + SNAP
            ):
                parent[root(i)] = root(j)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for index, rule in enumerate([*across, *down]):
        groups.setdefault(root(index), ([], []))[index >= len(across)].append(rule)
    whole = [group for group in groups.values() if len(group[0]) >= 2 and group[1]]
    return iter(sorted(whole, key=lambda group: -len(group[0]) - len(group[1])))


def _root(parent: dict[T, T], one: T) -> T:
    """What stands for the group of things that one is in (union-find)."""
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one


def _flip(rule: Rule) -> Rule:
    return Rule(rule.top, rule.left, rule.bottom, rule.right)


def _collinear(rules: Sequence[Rule]) -> list[Rule]:
    """Lines across with those that go on from one another joined."""
    joined: list[Rule] = []
    for level in clusters((rule.top + rule.bottom) / 2 for rule in rules):
        same = sorted(
            (r for r in rules if level[0] <= (r.top + r.bottom) / 2 <= level[-1]),
            key=lambda rule: rule.left,
        )
        height = sum(level) / len(level)
        for rule in same:
            last = joined[-1] if joined else None
            if last is not None and last.top == height and rule.left <= last.right + SNAP:
                joined[-1] = Rule(last.left, height, max(last.right, rule.right), height)
            else:
                joined.append(Rule(rule.left, height, rule.right, height))
    return joined


def _ruled(
    across: list[Rule], down: list[Rule], words: Sequence[Word]
) -> tuple[Grid, set[int]] | None:
    """The table in a frame of lines, and the ids of its words; None where it is none."""
    ends = [rule.left for rule in across] + [rule.right for rule in across]
    tips = [rule.top for rule in down] + [rule.bottom for rule in down]
    xs = levels_of([rule.left for rule in down])
    ys = levels_of([rule.top for rule in across])
    xs = _with_ends(xs, min(ends), max(ends))
    ys = _with_ends(ys, min(tips), max(tips))
    inside = [
        word
        for word in words
        if xs[0] - 1 < (word.left + word.right) / 2 < xs[-1] + 1
        and ys[0] - 1 < word.middle < ys[-1] + 1
    ]
    if not inside or len(xs) < 3 or len(xs) * len(ys) > _MAX_CELLS:
        return None
    cells = _cells(xs, ys, across, down)
    _fill(cells, xs, ys, inside)
    cells, ys = _split_rows(cells, ys)
    cells, xs = _split_columns(cells, xs)
    full = [cell for cell in cells if cell.words]
    rows = {cell.row for cell in full}
    if len(full) < 4 or len(full) < 0.4 * len(cells) or len(rows) < 2:
        return None
    if len({cell.column for cell in full}) < 2:
        return None
    if len(full) <= 4 and max(len(cell.words) for cell in full) > 60:
        return None  # frames around running text
    grid = build_grid(cells, ys, xs, inside)
    return (grid, {id(word) for word in inside}) if grid is not None else None


def _with_ends(levels: list[float], low: float, high: float) -> list[float]:
    if not levels or low < levels[0] - 2 * SNAP:
        levels = [low, *levels]
    if high > levels[-1] + 2 * SNAP:
        levels = [*levels, high]
    return levels


def _cells(xs: list[float], ys: list[float], across: list[Rule], down: list[Rule]) -> list[Cell]:
    """The cells of a grid, those without a line between them merged."""
    rows, columns = len(ys) - 1, len(xs) - 1
    parent = {(r, c): (r, c) for r in range(rows) for c in range(columns)}

    root = partial(_root, parent)
    for r in range(rows):
        for c in range(columns):
            if c + 1 < columns and not _drawn(down, xs[c + 1], ys[r], ys[r + 1], upright=True):
                parent[root((r, c))] = root((r, c + 1))
            if r + 1 < rows and not _drawn(across, ys[r + 1], xs[c], xs[c + 1], upright=False):
                parent[root((r, c))] = root((r + 1, c))
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place in parent:
        groups.setdefault(root(place), []).append(place)
    return [cell for group in groups.values() for cell in _rectangles(group)]


def _drawn(rules: list[Rule], level: float, low: float, high: float, *, upright: bool) -> bool:
    """Whether lines at `level` cover most of the way from `low` to `high`."""
    covered = 0.0
    for rule in rules:
        at, begin, end = (
            (rule.left, rule.top, rule.bottom) if upright else (rule.top, rule.left, rule.right)
        )
        if abs(at - level) <= SNAP:
            covered += max(0.0, min(end, high) - max(begin, low))
    return covered > 0.6 * (high - low)


def _rectangles(group: list[tuple[int, int]]) -> Iterator[Cell]:
    """A merged cell, or a cell for each of its rows where it is no rectangle."""
    rows, columns = [r for r, _ in group], [c for _, c in group]
    height, width = max(rows) - min(rows) + 1, max(columns) - min(columns) + 1
    if height * width == len(group):
        yield Cell(min(rows), min(columns), max(rows) + 1, max(columns) + 1)
        return
    for row in sorted(set(rows)):
        for column in sorted(c for r, c in group if r == row):
            yield Cell(row, column, row + 1, column + 1)


def _fill(cells: list[Cell], xs: list[float], ys: list[float], words: Sequence[Word]) -> None:
    """Hand each word to the cell that its middle stands in."""
    owner = {
        (r, c): cell
        for cell in cells
        for r in range(cell.row, cell.below)
        for c in range(cell.column, cell.behind)
    }
    for word in words:
        row = slot(ys, word.middle)
        column = slot(xs, (word.left + word.right) / 2)
        owner[row, column].words.append(word)


def _split_rows(cells: list[Cell], ys: list[float]) -> tuple[list[Cell], list[float]]:
    """Rows that hold several lines of values one under the other as that many rows."""
    cuts: dict[int, list[float]] = {}
    for row in range(len(ys) - 1):
        alone = [cell for cell in cells if cell.row == row and cell.below == row + 1]
        filled = [(cell, cell.lines) for cell in alone if cell.words]
        many = [lines for _, lines in filled if len(lines) > 1]
        if not many:
            continue
        commonest = len(max(many, key=len))
        same = [lines for lines in many if len(lines) == commonest]
        values = [lines for lines in same if all(_is_value(join_words(line)) for line in lines)]
        if len(same) < 2 or len(same) < len(many) or not values:
            continue
        if len(values) < 2 and commonest < 3:
            continue
        middles = [[median(w.middle for w in line) for line in lines] for lines in same]
        if any(max(at) - min(at) > 4 for at in zip(*middles, strict=True)):
            continue
        first = middles[0]
        cuts[row] = [(a + b) / 2 for a, b in pairwise(first)]
    if not cuts:
        return cells, ys
    levels = sorted([*ys, *(cut for found in cuts.values() for cut in found)])
    split: list[Cell] = []
    for cell in cells:
        begin, end = levels.index(ys[cell.row]), levels.index(ys[cell.below])
        lines = cell.lines
        if cell.row in cuts and cell.below == cell.row + 1 and len(lines) == end - begin:
            split += [
                Cell(begin + i, cell.column, begin + i + 1, cell.behind, line)
                for i, line in enumerate(lines)
            ]
        else:
            split.append(Cell(begin, cell.column, end, cell.behind, cell.words))
    return split, levels


def _is_value(text: str) -> bool:
    """Whether a text is a number, a dash or a single word, as values are."""
    return is_number(text) or " " not in text.strip()


def _split_columns(cells: list[Cell], xs: list[float]) -> tuple[list[Cell], list[float]]:
    """Columns in which most lines hold several values side by side as that many columns."""
    cuts: dict[int, list[float]] = {}
    for column in range(len(xs) - 1):
        lines = [
            pieces
            for cell in cells
            if cell.column == column and cell.behind == column + 1
            for pieces in [pieces_of(line, 0.5) for line in cell.lines]
        ]
        if len(lines) < 3:
            continue
        counts = [len(pieces) for pieces in lines]
        commonest = max(set(counts), key=counts.count)
        rows = [sorted(p, key=lambda piece: piece.left) for p in lines if len(p) == commonest]
        if commonest < 2 or len(rows) < max(3, 0.6 * len(lines)):
            continue
        found = []
        for at in range(1, commonest):
            end = max(row[at - 1].right for row in rows)
            start = min(row[at].left for row in rows)
            if end + 1 < start:
                found.append((end + start) / 2)
        if len(found) == commonest - 1:
            cuts[column] = found
    if not cuts:
        return cells, xs
    levels = sorted([*xs, *(cut for found in cuts.values() for cut in found)])
    split: list[Cell] = []
    for cell in cells:
        begin, end = levels.index(xs[cell.column]), levels.index(xs[cell.behind])
        inner = levels[begin : end + 1]
        crossed = any(
            w.left < cut - 1 and w.right > cut + 1 for w in cell.words for cut in inner[1:-1]
        )
        places = {slot(inner, (word.left + word.right) / 2) for word in cell.words}
        single = cell.column in cuts and cell.behind == cell.column + 1
        if single and not crossed and len(places) > 1:
            split += [
                Cell(cell.row, begin + i, cell.below, begin + i + 1,
                     [w for w in cell.words if slot(inner, (w.left + w.right) / 2) == i])
                for i in range(end - begin)
            ]  # fmt: skip
        else:
            split.append(Cell(cell.row, begin, cell.below, end, cell.words))
    return split, levels
