"""Tables on a page: those drawn with lines, and those whose columns are white space alone.

Words and lines are known with their places (`data.loaders.page`), so this serves PDF text and
scans alike. Measured against libraries: docs/decisions/0013-tables-in-pdf.md.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from data.loaders.page import Piece, Rule, Word, join_words, pieces_of

_SNAP = 3.0
"""Lines closer than this many points are one."""

_MAX_RULES = 1500
_MAX_CELLS = 20_000

_NUMBER = re.compile(
    r"[\s(<>~±≈≤≥+\-−–$€£¥]*\d[\d.,'’\u00a0 /:x×–−-]*\s*"
    r"(?:[%‰°]|[^\W\d_][^\W\d_/²³.]{0,7})?\)?[*†‡¹²³]?"
)
_EMPTY = re.compile(r"[-–—.…/*]{1,3}|n/?a\.?", re.IGNORECASE)
_YEAR = re.compile(r"(?:FY ?|Q[1-4] ?)?(?:19|20)\d\d(?:[/–-]\d{2,4})?")
_MARKER = re.compile(r"[^\w\s]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)]|\d{1,2}(?:\.\d{1,2})*\.?")
_LEADERS = re.compile(r"[.·_]{4,}|(?: \.){4,}")


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
            if rows and _overlap(rows[-1][0], piece.words[0]):
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


# Lines to grids ---------------------------------------------------------------------------------


def _frames(rules: Sequence[Rule]) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """Groups of lines across and down that touch each other, the largest first."""
    across = _collinear([rule for rule in rules if rule.across])
    down = [_flip(rule) for rule in _collinear([_flip(r) for r in rules if not r.across])]
    parent = list(range(len(across) + len(down)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for i, one in enumerate(across):
        for j, two in enumerate(down, len(across)):
            if (
                one.left - _SNAP <= two.left <= one.right + _SNAP
                and two.top - _SNAP <= one.top <= two.bottom + _SNAP
            ):
                parent[root(i)] = root(j)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for index, rule in enumerate([*across, *down]):
        groups.setdefault(root(index), ([], []))[index >= len(across)].append(rule)
    whole = [group for group in groups.values() if len(group[0]) >= 2 and group[1]]
    return iter(sorted(whole, key=lambda group: -len(group[0]) - len(group[1])))


def _flip(rule: Rule) -> Rule:
    return Rule(rule.top, rule.left, rule.bottom, rule.right)


def _collinear(rules: Sequence[Rule]) -> list[Rule]:
    """Lines across with those that go on from one another joined."""
    joined: list[Rule] = []
    for level in _clusters((rule.top + rule.bottom) / 2 for rule in rules):
        same = sorted(
            (r for r in rules if level[0] <= (r.top + r.bottom) / 2 <= level[-1]),
            key=lambda rule: rule.left,
        )
        height = sum(level) / len(level)
        for rule in same:
            last = joined[-1] if joined else None
            if last is not None and last.top == height and rule.left <= last.right + _SNAP:
                joined[-1] = Rule(last.left, height, max(last.right, rule.right), height)
            else:
                joined.append(Rule(rule.left, height, rule.right, height))
    return joined


def _clusters(values: Iterable[float], near: float = _SNAP) -> list[list[float]]:
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][0] <= near:
            groups[-1].append(value)
        else:
            groups.append([value])
    return groups


def _levels(values: Iterable[float]) -> list[float]:
    return [sum(group) / len(group) for group in _clusters(values)]


def _ruled(
    across: list[Rule], down: list[Rule], words: Sequence[Word]
) -> tuple[Grid, set[int]] | None:
    """The table in a frame of lines, and the ids of its words; None where it is none."""
    ends = [rule.left for rule in across] + [rule.right for rule in across]
    tips = [rule.top for rule in down] + [rule.bottom for rule in down]
    xs = _levels([rule.left for rule in down])
    ys = _levels([rule.top for rule in across])
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
    grid = _grid(cells, ys, xs, inside)
    return (grid, {id(word) for word in inside}) if grid is not None else None


def _with_ends(levels: list[float], low: float, high: float) -> list[float]:
    if not levels or low < levels[0] - 2 * _SNAP:
        levels = [low, *levels]
    if high > levels[-1] + 2 * _SNAP:
        levels = [*levels, high]
    return levels


def _cells(xs: list[float], ys: list[float], across: list[Rule], down: list[Rule]) -> list[Cell]:
    """The cells of a grid, those without a line between them merged."""
    rows, columns = len(ys) - 1, len(xs) - 1
    parent = {(r, c): (r, c) for r in range(rows) for c in range(columns)}

    def root(place: tuple[int, int]) -> tuple[int, int]:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

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
        if abs(at - level) <= _SNAP:
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
        row = _slot(ys, word.middle)
        column = _slot(xs, (word.left + word.right) / 2)
        owner[row, column].words.append(word)


def _slot(levels: list[float], at: float) -> int:
    """Which interval of sorted levels a place falls in; the outer ones reach on."""
    return max(0, min(len(levels) - 2, sum(level <= at for level in levels) - 1))


def _split_rows(cells: list[Cell], ys: list[float]) -> tuple[list[Cell], list[float]]:
    """Rows that hold several lines of values one under the other as that many rows."""
    cuts: dict[int, list[float]] = {}
    for row in range(len(ys) - 1):
        alone = [cell for cell in cells if cell.row == row and cell.below == row + 1]
        filled = [(cell, cell.lines) for cell in alone if cell.words]
        many = [lines for _, lines in filled if len(lines) > 1]
        if not many:
            continue
        usual = len(max(many, key=len))
        same = [lines for lines in many if len(lines) == usual]
        values = [lines for lines in same if all(_is_value(join_words(line)) for line in lines)]
        if len(same) < 2 or len(same) < len(many) or not values:
            continue
        if len(values) < 2 and usual < 3:
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


def is_number(text: str) -> bool:
    """Whether a cell holds a number, maybe with a unit, or stands for one that is missing."""
    text = text.strip()
    return bool(_NUMBER.fullmatch(text) or _EMPTY.fullmatch(text))


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
        usual = max(set(counts), key=counts.count)
        rows = [sorted(p, key=lambda piece: piece.left) for p in lines if len(p) == usual]
        if usual < 2 or len(rows) < max(3, 0.6 * len(lines)):
            continue
        found = []
        for at in range(1, usual):
            end = max(row[at - 1].right for row in rows)
            start = min(row[at].left for row in rows)
            if end + 1 < start:
                found.append((end + start) / 2)
        if len(found) == usual - 1:
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
        places = {_slot(inner, (word.left + word.right) / 2) for word in cell.words}
        if (
            cell.column in cuts
            and cell.behind == cell.column + 1
            and not crossed
            and (len(places) > 1)
        ):
            split += [
                Cell(
                    cell.row,
                    begin + i,
                    cell.below,
                    begin + i + 1,
                    [w for w in cell.words if _slot(inner, (w.left + w.right) / 2) == i],
                )
                for i in range(end - begin)
            ]
        else:
            split.append(Cell(cell.row, begin, cell.below, end, cell.words))
    return split, levels


# Cells to tables --------------------------------------------------------------------------------


def _grid(
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
    numeric = [
        c
        for c in range(len(first))
        if 2 * sum(is_number(row[c]) for row in rest) > sum(1 for row in rest if row[c])
    ]
    if not numeric:
        ends = [row[0] for row in texts if row[0]]
        return len(first) == 2 and 2 * sum(text.endswith(":") for text in ends) > len(ends)
    shown = [first[c] for c in numeric if first[c]]
    if shown and all(_YEAR.fullmatch(text) for text in shown):
        return all(_YEAR.fullmatch(row[c]) for row in rest[:3] for c in numeric if row[c])
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


# Columns of white space -------------------------------------------------------------------------


def aligned_grid(pieces: Sequence[Piece], rules: Sequence[Rule]) -> Found | None:
    """The table that lines of pieces make whose columns stand under one another, if they do."""
    lines = _lines(pieces)
    several = [line for line in lines if len(line) > 1]
    if len(several) < 2 or any(_LEADERS.search(p.text) for line in several for p in line):
        return None
    edges = _columns(several)
    if len(edges) < 3 or (len(several) < 3 and len(edges) < 4):
        return None
    begin, end = _extent(lines, edges)
    if end - begin < 2:
        return None
    body = lines[begin:end]
    known = _ruled_header(body, edges, rules)
    table = _aligned(body, edges, rules, known)
    if table is None or _is_list(table):
        return None
    return Found(
        table,
        [p for line in lines[:begin] for p in line],
        [p for line in lines[end:] for p in line],
    )


def _lines(pieces: Sequence[Piece]) -> list[list[Piece]]:
    lines: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.middle, piece.left)):
        if lines and _overlap(lines[-1][0].words[0], piece.words[0]):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [sorted(line, key=lambda piece: piece.left) for line in lines]


def _overlap(one: Word, two: Word) -> bool:
    common = min(one.bottom, two.bottom) - max(one.top, two.top)
    return common > 0.5 * min(one.size, two.size)


def _columns(lines: list[list[Piece]]) -> list[float]:
    """Boundaries of the columns: white gaps that nearly no line of the fuller ones crosses."""
    most = sorted(len(line) for line in lines)[int(0.8 * (len(lines) - 1))]
    full = [line for line in lines if len(line) >= max(2, 0.6 * most)]
    size = median(piece.size for line in full for piece in line)
    allowed = len(full) // 8
    events = sorted(
        [(p.left, 1) for line in full for p in line]
        + [(p.right, -1) for line in full for p in line]
    )
    gaps: list[tuple[float, float]] = []
    depth = 0
    for (at, step), (following, _) in pairwise(events):
        depth += step
        if depth <= allowed and following > at:
            if gaps and gaps[-1][1] == at:
                gaps[-1] = (gaps[-1][0], following)
            else:
                gaps.append((at, following))
    cuts = [(a + b) / 2 for a, b in gaps if b - a >= 0.45 * size]
    left = min(piece.left for line in full for piece in line)
    right = max(piece.right for line in full for piece in line)
    edges = [left - 1, *cuts, right + 1]
    used = [
        sum(any(a < (p.left + p.right) / 2 < b for p in line) for line in full)
        for a, b in pairwise(edges)
    ]
    kept = [edges[0]]
    for index, count in enumerate(used):
        if count >= max(2, 0.25 * len(full)) or index == 0:
            kept.append(edges[index + 1])
        else:
            kept[-1] = edges[index + 1]
    return kept


def _extent(lines: list[list[Piece]], edges: list[float]) -> tuple[int, int]:
    """The lines, from and to, that belong to the table."""
    several = [index for index, line in enumerate(lines) if len(line) > 1]
    begin, end = several[0], several[-1] + 1
    while begin > 0:
        piece, below = lines[begin - 1][0], lines[begin]
        inside = piece.left > edges[1] - 2 and piece.right < edges[-1] + 4
        near = min(p.top for p in below) - piece.bottom < 0.9 * piece.size
        if not (inside and near and len(piece.words) <= 8):
            break
        begin -= 1
    while end < len(lines):
        piece, above = lines[end][0], lines[end - 1]
        near = piece.top - max(p.bottom for p in above) < 0.35 * piece.size
        column = _slot(edges, (piece.left + piece.right) / 2)
        fits = edges[column] - 2 < piece.left and piece.right < edges[column + 1] + 2
        if not (near and fits and piece.left > edges[1] - 2):
            break
        end += 1
    return begin, end


def _ruled_header(lines: list[list[Piece]], edges: list[float], rules: Sequence[Rule]) -> int:
    """Lines above the first line that is drawn across under the top of the table; 0: none is."""
    wide = 0.6 * (edges[-1] - edges[0])
    top, bottom = min(p.top for p in lines[0]), max(p.bottom for p in lines[-1])
    heights = _levels(
        rule.top
        for rule in rules
        if rule.across
        and min(rule.right, edges[-1]) - max(rule.left, edges[0]) > wide
        and top < rule.top < bottom
    )
    if not heights or len(heights) > max(3, len(lines) // 3):
        return 0
    above = sum(max(p.middle for p in line) < heights[0] for line in lines)
    return above if 0 < above <= min(5, len(lines) - 1) else 0


def _aligned(
    lines: list[list[Piece]], edges: list[float], rules: Sequence[Rule], known: int
) -> Grid | None:
    columns = len(edges) - 1
    placed = [_place(line, edges) for line in lines]
    header = known or _header_lines(placed)
    cells: list[Cell] = []
    tops: list[float] = []
    for row in _header_cells(placed[:header], edges, rules):
        tops.append(min(w.top for cell in row for w in cell.words))
        cells += [Cell(len(tops) - 1, c.column, len(tops), c.behind, c.words) for c in row]
    depth = len(tops)
    parts = _row_starts(lines[header:], edges, rules)
    rows = _body_rows(placed[header:], columns, parts)
    for texts in rows:
        tops.append(min(w.top for words in texts for w in words))
        cells += [Cell(len(tops) - 1, c, len(tops), c + 1, words) for c, words in enumerate(texts)]
    _fill_down(cells, depth, len(tops))
    words = [w for line in lines for piece in line for w in piece.words]
    ys = [*tops, max(word.bottom for word in words)]
    grid = _grid(cells, ys, edges, words, depth)
    if grid is None:
        return None
    grid.header_rows = depth if header else 0
    grid.sure = known > 0 or depth > 1
    grid.top = min(word.top for word in words)
    return grid


Placed = dict[tuple[int, int], list[Word]]
"""Words of a line by the columns, from and to, that they stand in."""


def _place(line: list[Piece], edges: list[float]) -> Placed:
    placed: Placed = {}
    for piece in line:
        first, last = _slot(edges, piece.left + 1), _slot(edges, piece.right - 1)
        cuts = edges[first + 1 : last + 1]
        crossed = [c for c in cuts if any(w.left < c - 1 and w.right > c + 1 for w in piece.words)]
        if first == last or crossed or len(piece.words) < 2:
            column = _slot(edges, (piece.left + piece.right) / 2)
            span = (first, last + 1) if crossed else (column, column + 1)
            placed.setdefault(span, []).extend(piece.words)
            continue
        gaps = _gaps(piece)
        if min(gaps.get(cut, 0.0) for cut in [_nearest(gaps, c) for c in cuts]) < 0.45 * piece.size:
            placed.setdefault((first, last + 1), []).extend(piece.words)
            continue
        for word in piece.words:
            column = _slot(edges, (word.left + word.right) / 2)
            placed.setdefault((column, column + 1), []).append(word)
    return placed


def _gaps(piece: Piece) -> dict[float, float]:
    """Middles of the white gaps in a piece, with their widths."""
    ordered = sorted(piece.words, key=lambda word: word.left)
    return {(a.right + b.left) / 2: b.left - a.right for a, b in pairwise(ordered)}


def _nearest(gaps: dict[float, float], cut: float) -> float:
    return min(gaps, key=lambda middle: abs(middle - cut))


def _header_lines(placed: list[Placed]) -> int:
    """How many lines at the top are the header, by type and kind of content."""
    bold = 0
    while bold < min(5, len(placed) - 1) and all(
        word.bold for words in placed[bold].values() for word in words
    ):
        bold += 1
    if 0 < bold < len(placed) - 1 or (bold and bold == len(placed) - 1):
        everything = all(w.bold for line in placed for words in line.values() for w in words)
        if not everything:
            return bold
    kinds = [_numbers(line) for line in placed]
    first = next(
        (i for i, (numbers, texts) in enumerate(kinds) if numbers >= max(1, texts - 1)), None
    )
    if first is None:
        return 1
    if first and _years(placed[first]) and first + 1 < len(placed):
        return first + 1
    if first == 0:
        return 1 if _years(placed[0]) else 0
    if first > 3:
        return 1
    return first


def _years(line: Placed) -> bool:
    texts = [join_words(words) for words in line.values()]
    shown = [text for text in texts if is_number(text)]
    return len(shown) > 1 and all(_YEAR.fullmatch(text) for text in shown)


def _numbers(line: Placed) -> tuple[int, int]:
    """How many cells of a line behind the first column are numbers, and how many are not."""
    texts = [join_words(words) for (column, _), words in line.items() if column > 0]
    numbers = sum(is_number(text) for text in texts)
    return numbers, len(texts) - numbers


def _header_cells(
    lines: list[Placed], edges: list[float], rules: Sequence[Rule]
) -> Iterator[list[Cell]]:
    """Rows of header cells: a row for each line that names groups of columns, one for the rest."""
    columns = len(edges) - 1
    rest: list[list[Word]] = [[] for _ in range(columns)]
    groups: list[list[Cell]] = []
    for index, line in enumerate(lines):
        spans = _spans(line, edges, rules) if index + 1 < len(lines) else {}
        row = []
        for (first, behind), words in line.items():
            span = spans.get((first, behind), (first, behind))
            if span[1] - span[0] > 1:
                row.append(Cell(0, span[0], 1, span[1], words))
            else:
                rest[first] += words
        if row:
            groups.append(row)
    for row in groups:
        taken = {c for cell in row for c in range(cell.column, cell.behind)}
        yield row + [Cell(0, c, 1, c + 1, []) for c in range(columns) if c not in taken]
    if any(rest):
        yield [Cell(0, c, 1, c + 1, words) for c, words in enumerate(rest)]


def _spans(
    line: Placed, edges: list[float], rules: Sequence[Rule]
) -> dict[tuple[int, int], tuple[int, int]]:
    """The columns that each group header of a line stands over."""
    columns = len(edges) - 1
    taken = sorted(line)
    found: dict[tuple[int, int], tuple[int, int]] = {}
    if len(line) >= columns:
        return found
    for index, place in enumerate(taken):
        words = line[place]
        left, right = min(w.left for w in words), max(w.right for w in words)
        low = taken[index - 1][1] if index else (1 if place[0] > 0 else 0)
        high = taken[index + 1][0] if index + 1 < len(taken) else columns
        under = [
            rule
            for rule in rules
            if rule.across
            and 0 <= rule.top - max(w.bottom for w in words) + 3 < 8
            and rule.left < right
            and rule.right > left
            and rule.right - rule.left < 0.9 * (edges[-1] - edges[0])
        ]
        if under:
            inside = [
                c
                for c in range(columns)
                if under[0].left - 3 < (edges[c] + edges[c + 1]) / 2 < under[0].right + 3
            ]
            if inside:
                found[place] = (inside[0], inside[-1] + 1)
                continue
        if place[0] == 0 and place[1] == 1:
            continue
        found[place] = _centred((left + right) / 2, place, (low, high), edges)
    return found


def _centred(
    middle: float, place: tuple[int, int], room: tuple[int, int], edges: list[float]
) -> tuple[int, int]:
    """The widest run of columns around `place` within `room` whose middle is `middle`."""
    best, error = place, abs((edges[place[0]] + edges[place[1]]) / 2 - middle)
    for first in range(room[0], place[0] + 1):
        for behind in range(place[1], room[1] + 1):
            off = abs((edges[first] + edges[behind]) / 2 - middle)
            wide = edges[behind] - edges[first]
            if behind - first > best[1] - best[0] and off < max(error * 0.7, 0.12 * wide):
                best, error = (first, behind), min(off, error)
    return best


def _row_starts(
    lines: list[list[Piece]], edges: list[float], rules: Sequence[Rule]
) -> list[bool] | None:
    """For each line whether a row begins with it, where lines or white space between rows say so.

    None where they do not: most lines that would go on with a row have a label of their own.
    """
    tops = [min(p.top for p in line) for line in lines]
    ends = [max(p.bottom for p in line) for line in lines]
    wide = 0.6 * (edges[-1] - edges[0])
    drawn = [
        rule.top
        for rule in rules
        if rule.across and min(rule.right, edges[-1]) - max(rule.left, edges[0]) > wide
    ]
    pairs = list(zip(tops[1:], tops, strict=False))
    by_rule = [True, *(any(above < y <= below + 2 for y in drawn) for below, above in pairs)]
    gaps = [top - end for top, end in zip(tops[1:], ends, strict=False)]
    size = median(piece.size for line in lines for piece in line)
    by_gap = [True] * len(lines)
    if gaps and max(gaps) - min(gaps) > 0.2 * size:
        level = (max(gaps) + min(gaps)) / 2
        by_gap = [True, *(gap > level for gap in gaps)]
    labelled = [line[0].left < edges[1] - 2 for line in lines]
    whole = [label and len(line) > 1 for label, line in zip(labelled, lines, strict=True)]
    for starts in (by_rule, by_gap):
        rest = [label for label, start in zip(whole, starts, strict=True) if not start]
        begun = [label for label, start in zip(labelled, starts, strict=True) if start]
        if sum(starts) < 2 or not rest:
            continue
        if sum(rest) <= 0.4 * len(rest) and sum(begun) >= 0.7 * len(begun):
            return starts
    return None


def _body_rows(
    lines: list[Placed], columns: int, starts: list[bool] | None
) -> list[list[list[Word]]]:
    """Lines as rows: those that only go on with the cells of the row before join it."""
    rows: list[list[list[Word]]] = []
    held: list[list[Word]] | None = None
    for index, line in enumerate(lines):
        cells: list[list[Word]] = [[] for _ in range(columns)]
        for (first, _), words in line.items():
            cells[first] += words
        first_text = join_words(cells[0])
        others = [words for words in cells[1:] if words]
        following = lines[index + 1] if index + 1 < len(lines) else {}
        joins = (
            not starts[index]
            if starts
            else (bool(rows) and _goes_on(cells, rows[-1], first_text, others))
        )
        if rows and joins:
            for cell, words in zip(rows[-1], cells, strict=True):
                cell.extend(words)
            continue
        if held is not None:
            for cell, words in zip(cells, held, strict=True):
                cell[:0] = words  # a list, changed in place
            held = None
        next_text = join_words(following.get((0, 1), []))
        if (
            not starts
            and first_text
            and not others
            and next_text[:1].islower()
            and (len(following) > 1)
        ):
            held = cells
            continue
        rows.append(cells)
    return rows if held is None else [*rows, held]


def _goes_on(
    cells: list[list[Word]], above: list[list[Word]], first: str, others: list[list[Word]]
) -> bool:
    """Whether a line holds no row of its own but the rest of texts of the row above."""
    words = [word for cell in cells for word in cell]
    last = max(word.bottom for cell in above for word in cell)
    apart = min(word.top for word in words) - last
    size = median(word.size for word in words)
    if apart > 0.8 * size:
        return False
    if first:
        return not others and first[:1].islower()
    numbers = sum(is_number(join_words(cell)) for cell in others)
    if numbers * 2 >= len(others):
        return False
    onto = all(above[c] for c, cell in enumerate(cells) if cell)
    return onto and (apart < 0.35 * size or len(others) == 1)


def _fill_down(cells: list[Cell], header: int, rows: int) -> None:
    """Give rows without a label that of the row above, as one label beside several rows has."""
    by_row: dict[int, Cell] = {
        cell.row: cell
        for cell in cells
        if cell.column == 0 and cell.behind == 1 and cell.row >= header
    }
    named = {cell.row for cell in cells if cell.column == 1 and cell.words}
    above: Cell | None = None
    for row in range(header, rows):
        cell = by_row.get(row)
        if cell is None:
            continue
        if cell.words or above is None:
            above = cell
        elif row in named:
            cell.words = above.words


def _is_list(grid: Grid) -> bool:
    """Whether the first of two columns holds nothing but bullets or numbers of a list."""
    body = [row[0] for row in grid.rows if row[0]]
    return len(grid.rows[0]) == 2 and all(_MARKER.fullmatch(text) for text in body)
