"""Tables on a page whose columns are parted by white space alone."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from data.loaders.grids import (
    YEAR,
    Cell,
    Found,
    Grid,
    build_grid,
    is_number,
    levels_of,
    overlap,
    slot,
)
from data.loaders.page import Piece, Rule, Word, join_words

_MARKER = re.compile(r"[^\w\s]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)]|\d{1,2}(?:\.\d{1,2})*\.?")
_LEADERS = re.compile(r"[.·_]{4,}|(?: \.){4,}")


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
        if lines and overlap(lines[-1][0].words[0], piece.words[0]):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [sorted(line, key=lambda piece: piece.left) for line in lines]


def _columns(lines: list[list[Piece]]) -> list[float]:
    """Boundaries of the columns: white gaps that nearly no line of the fuller ones crosses."""
    most = sorted(len(line) for line in lines)[int(0.8 * (len(lines) - 1))]
    full = [line for line in lines if len(line) >= max(2, 0.6 * most)]
    first = next(index for index, line in enumerate(full) if len(line) >= most)
    if len(full) - first > 2:  # names of groups stand above the gaps of their columns
        full = full[first:]
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
    left = min(piece.left for line in lines for piece in line)
    right = max(piece.right for line in lines for piece in line)
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
        column = slot(edges, (piece.left + piece.right) / 2)
        fits = edges[column] - 2 < piece.left and piece.right < edges[column + 1] + 2
        if not (near and fits and piece.left > edges[1] - 2):
            break
        end += 1
    return begin, end


def _ruled_header(lines: list[list[Piece]], edges: list[float], rules: Sequence[Rule]) -> int:
    """Lines above the first line that is drawn across under the top of the table; 0: none is."""
    wide = 0.6 * (edges[-1] - edges[0])
    top, bottom = min(p.top for p in lines[0]), max(p.bottom for p in lines[-1])
    heights = levels_of(
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
    header = known or (0 if _is_form(placed) else _header_lines(placed))
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
    grid = build_grid(cells, ys, edges, words, depth)
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
        first, last = slot(edges, piece.left + 1), slot(edges, piece.right - 1)
        cuts = edges[first + 1 : last + 1]
        crossed = [c for c in cuts if any(w.left < c - 1 and w.right > c + 1 for w in piece.words)]
        if first == last or crossed or len(piece.words) < 2:
            column = slot(edges, (piece.left + piece.right) / 2)
            span = (first, last + 1) if crossed else (column, column + 1)
            placed.setdefault(span, []).extend(piece.words)
            continue
        gaps = _gaps(piece)
        if min(gaps.get(cut, 0.0) for cut in [_nearest(gaps, c) for c in cuts]) < 0.45 * piece.size:
            placed.setdefault((first, last + 1), []).extend(piece.words)
            continue
        for word in piece.words:
            column = slot(edges, (word.left + word.right) / 2)
            placed.setdefault((column, column + 1), []).append(word)
    return placed


def _gaps(piece: Piece) -> dict[float, float]:
    """Middles of the white gaps in a piece, with their widths."""
    ordered = sorted(piece.words, key=lambda word: word.left)
    return {(a.right + b.left) / 2: b.left - a.right for a, b in pairwise(ordered)}


def _nearest(gaps: dict[float, float], cut: float) -> float:
    return min(gaps, key=lambda middle: abs(middle - cut))


def _is_form(placed: list[Placed]) -> bool:
    """Whether its labels stand at the left: "Due date: | 3 May"."""
    labels = [join_words(words) for line in placed if (words := line.get((0, 1)))]
    return 2 * sum(label.endswith(":") for label in labels) > len(labels)


def _header_lines(placed: list[Placed]) -> int:
    """How many lines at the top are the header, by type and kind of content."""
    bold = 0
    while bold < min(5, len(placed) - 1) and all(
        word.bold for words in placed[bold].values() for word in words
    ):
        bold += 1
    if bold and not all(w.bold for line in placed for words in line.values() for w in words):
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
    return len(shown) > 1 and all(YEAR.fullmatch(text) for text in shown)


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
        covered = {c for cell in row for c in range(cell.column, cell.behind)}
        yield row + [Cell(0, c, 1, c + 1, []) for c in range(columns) if c not in covered]
    if any(rest):
        yield [Cell(0, c, 1, c + 1, words) for c, words in enumerate(rest)]


def _spans(
    line: Placed, edges: list[float], rules: Sequence[Rule]
) -> dict[tuple[int, int], tuple[int, int]]:
    """The columns that each group header of a line stands over."""
    columns = len(edges) - 1
    places = sorted(line)
    found: dict[tuple[int, int], tuple[int, int]] = {}
    if len(line) >= columns:
        return found
    for index, place in enumerate(places):
        words = line[place]
        left, right = min(w.left for w in words), max(w.right for w in words)
        low = places[index - 1][1] if index else (1 if place[0] > 0 else 0)
        high = places[index + 1][0] if index + 1 < len(places) else columns
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
        if rows and (
            not starts[index] if starts else _goes_on(cells, rows[-1], first_text, others)
        ):
            for cell, words in zip(rows[-1], cells, strict=True):
                cell.extend(words)
            continue
        if held is not None:
            for cell, words in zip(cells, held, strict=True):
                cell[:0] = words  # a list, changed in place
            held = None
        next_text = join_words(following.get((0, 1), []))
        alone = first_text and not others
        if not starts and alone and next_text[:1].islower() and len(following) > 1:
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
