"""From the lines of a page to headings, paragraphs, list items, captions and footnotes."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from data.blocks import Kind
from data.loaders.grids import Grid
from data.loaders.layout import Line
from data.loaders.page import without_spaces

_BULLET = re.compile(r"[•●▪■◦‣·∙➢✓✔*o–—-]\s")
_NUMBERED = re.compile(
    r"(?:\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\([a-z0-9ivx]{1,5}\)|§\s?\d+\w?|"
    r"\d{1,2}(?:\.\d{1,3})+\.?(?=\s[^\W\d_a-z]))\s"
)
_COUNTED = re.compile(r"(\d{1,3})\s+[^\W\d_a-z]")
_SECTION = re.compile(r"(?:(\d{1,2}(?:\.\d{1,3}){0,4})\.?|[IVX]{1,5}\.|[A-Z]\.)\s+\S")
_NUMBERING = re.compile(r"[\w.]{1,12}\s+(?=\S)")
_CAPTION = re.compile(
    r"(?:Table|Tab\.|Tabelle|Tableau|Tabla|Tabella|Figure|Fig\.|Abbildung|Abb\.|Listing|Chart)"
    r"\s*[A-Z]?\d+",
    re.IGNORECASE,
)
_NOTE_MARK = re.compile(r"([⁰¹²³⁴⁵⁶⁷⁸⁹]+|[*†‡§]{1,3}|\d{1,3}[.)]?(?=\s))\s*")
_ENDED = re.compile(r"[.!?:;…。！？][\"'”’»)\]]*[⁰¹²³⁴⁵⁶⁷⁸⁹*†‡]*$")
_KEPT = ("self-", "well-", "non-", "ex-")
"""What goes before a hyphen of its own rather than one of a line's end."""

_DASHED = re.compile(r"\w—$")
_HANGING = re.compile(r"(?:und|oder|bzw\.|and|or|et|ou|y|o|e|en|of)\s")


@dataclass(slots=True)
class Draft:
    """A block in the making: what it is, where it stands, and what its type looks like."""

    kind: Kind
    text: str
    box: tuple[float, float, float, float]
    size: float
    flow: int = 0
    bold: bool = False
    level: int = 0
    grid: Grid | None = None
    parted: bool = False
    alone: bool = True
    mark: str = ""

    @property
    def open(self) -> bool:
        """Whether its last sentence goes on."""
        return self.kind in {"paragraph", "list_item", "note"} and not _ENDED.search(self.text)


@dataclass(slots=True)
class Type:
    """The usual type of a document, learned page by page, and the hyphened words it has."""

    sizes: Counter[float] = field(default_factory=Counter)
    compounds: set[str] = field(default_factory=set)

    def learn(self, lines: Iterable[Line]) -> None:
        """Count the letters of lines by size, and note compounds inside them."""
        for line in lines:
            text = line.text
            self.sizes[round(line.size * 2) / 2] += len(text)
            for word in text.split()[:-1]:
                if "-" in word[1:-1]:
                    self.compounds.add(word.strip(".,;:()\"'").lower())

    @property
    def body(self) -> float:
        """The size that most letters have."""
        return self.sizes.most_common(1)[0][0] if self.sizes else 10.0


class Titles:
    """Titles that a document's outline names on a page, with their levels."""

    def __init__(self, titles: Sequence[tuple[str, int]], depth: int = 0) -> None:
        self._left = [(_plain_title(title), title, level) for title, level in titles]
        self.depth = depth

    def found(self, lines: Sequence[Line]) -> tuple[int, int] | None:
        """How many of these lines are a title, and its level; each title is found once."""
        text = ""
        for count, line in enumerate(lines[:3], 1):
            text = f"{text} {line.text}".strip()
            plain = _plain_title(text)
            for entry in self._left:
                if entry[0] in {plain, plain.rstrip(" 0123456789")}:
                    self._left.remove(entry)
                    return count, entry[2]
            if not any(entry[0].startswith(plain) for entry in self._left):
                return None
        return None

    def missing(self) -> list[tuple[str, int]]:
        """The titles that stand nowhere on the page, with their levels."""
        return [(title, level) for _, title, level in self._left]


def _plain_title(text: str) -> str:
    return _NUMBERING.sub("", " ".join(text.split())).casefold()


def read_paragraphs(
    layout: Sequence[Line | Grid], kind: Type, size: tuple[float, float], titles: Titles
) -> list[Draft]:
    """The blocks of a page of that width and height; captions are joined with their tables."""
    width, height = size
    lines = [item for item in layout if isinstance(item, Line)]
    kind.learn(lines)
    _measure(lines, width)
    drafts: list[Draft] = []
    for group, level in _titled(layout, titles):
        if isinstance(group, Grid):
            drafts.append(_table(group))
        else:
            drafts.append(_block(group, kind, height))
            if level is not None:
                drafts[-1].kind, drafts[-1].level = "heading", level
    _mark_headings(drafts, kind, titles.depth)
    return _with_captions(_joined_columns(drafts, kind))


def _measure(lines: Sequence[Line], width: float) -> None:
    """Note for each line how far those around it reach; on a nearly empty page the margins say."""
    for index, line in enumerate(lines):
        around = [
            other.right for other in lines[max(0, index - 8) : index + 9] if other.flow == line.flow
        ]
        margin = width - min(other.left for other in lines)
        line.measure = max([*around, margin] if len(lines) < 4 else around)


def _table(grid: Grid) -> Draft:
    box = (grid.left, grid.top, grid.right, grid.bottom)
    return Draft("table", "", box, grid.size, grid=grid)


def _titled(
    layout: Sequence[Line | Grid], titles: Titles
) -> Iterator[tuple[list[Line] | Grid, int | None]]:
    """Groups of lines and tables; with a level those that the outline names as headings."""
    begin = at = 0
    while at < len(layout):
        lines = [item for item in layout[at : at + 3] if isinstance(item, Line)]
        found = titles.found(lines) if isinstance(layout[at], Line) else None
        if found is None:
            at += 1
            continue
        for group in _groups(layout[begin:at]):
            yield group, None
        yield lines[: found[0]], found[1]
        begin = at = at + found[0]
    for group in _groups(layout[begin:]):
        yield group, None


def _groups(layout: Sequence[Line | Grid]) -> Iterator[list[Line] | Grid]:
    """Lines that make a block together, and tables, in order."""
    pitches = _pitches(layout)
    group: list[Line] = []
    for index, item in enumerate(layout):
        if isinstance(item, Grid):
            if group:
                yield group
            group = []
            yield item
            continue
        if group and _begins(group, item, layout[index + 1 : index + 2], pitches):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _pitches(layout: Sequence[Line | Grid]) -> dict[tuple[int, float], float]:
    """The usual distance from line to line, by column and size of type."""
    steps: dict[tuple[int, float], list[float]] = {}
    for one, two in pairwise(layout):
        if isinstance(one, Line) and isinstance(two, Line) and one.flow == two.flow:
            step = two.top - one.top
            if 0 < step < 2.0 * one.size and abs(one.size - two.size) < 0.15 * one.size:
                steps.setdefault((one.flow, round(one.size)), []).append(step)
    return {key: sorted(found)[len(found) // 3] for key, found in steps.items()}


def _begins(
    group: list[Line],
    line: Line,
    following: Sequence[Line | Grid],
    pitches: dict[tuple[int, float], float],
) -> bool:
    """Whether a line begins a block rather than going on with `group`."""
    first, last = group[0], group[-1]
    if _stands_apart(last, line, pitches):
        return True
    dash = line.text[0] in "-–—o" and not _is_item(first, line)
    if _BULLET.match(line.text) or last.parted:
        return not last.parted and not dash
    ended = _ENDED.search(last.text) is not None or _is_short(last, line)
    if _NUMBERED.match(line.text):
        return ended or _is_marked(first.text)
    if _is_counted(first, line):
        return ended or _COUNTED.match(first.text) is not None
    return _begins_paragraph(group, line, following)


def _stands_apart(last: Line, line: Line, pitches: dict[tuple[int, float], float]) -> bool:
    """Whether its column, its type or white space part a line from the one before."""
    typical = pitches.get((last.flow, round(last.size)), 1.3 * last.size)
    return (
        line.flow != last.flow
        or line.top < last.top - last.size
        or abs(line.size - last.size) > 0.13 * last.size
        or line.top - last.top > 1.3 * typical + 1
        or line.bold != last.bold
    )


def _begins_paragraph(group: list[Line], line: Line, following: Sequence[Line | Grid]) -> bool:
    """Whether a line is indented as a first one is, or comes behind a short last one."""
    last = group[-1]
    after = following[0] if following and isinstance(following[0], Line) else None
    back = after is None or after.left < line.left - 0.5 * line.size
    indented = line.left > last.left + 0.8 * line.size and back and len(group) > 1
    whole = _ENDED.search(last.text) is not None
    if indented and (whole or _is_short(last, line)):
        return True
    hanging = _is_marked(group[0].text) and line.left > group[0].left + 1
    short = whole and _is_short(last, line) and not line.text[:1].islower()
    return short and not hanging and not indented and len(group) > 1


def _is_item(first: Line, line: Line) -> bool:
    """Whether a dash at a line's start is a bullet: it stands where the first line's does."""
    return (
        _BULLET.match(first.text) is None
        or abs(first.left - line.left) < 2
        or (line.left > first.left)
    )


def _is_marked(text: str) -> bool:
    return bool(_BULLET.match(text) or _NUMBERED.match(text))


def _is_counted(first: Line, line: Line) -> bool:
    """Whether a bare number at a line's start counts on from the item before it."""
    here, before = _COUNTED.match(line.text), _COUNTED.match(first.text)
    if here is None or abs(first.left - line.left) > 2:
        return False
    if before is None:
        return here[1] == "1"
    return int(here[1]) in {int(before[1]) + 1, 1, int(before[1])}


def _is_short(last: Line, line: Line) -> bool:
    """Whether the first word of a line would have had room behind the line before."""
    word = line.pieces[0].words[0]
    return last.right + (word.right - word.left) + 0.5 * last.size < last.measure


def _block(group: list[Line], kind: Type, height: float) -> Draft:
    text = join_lines(group, kind)
    box = (
        min(line.left for line in group),
        group[0].top,
        max(line.right for line in group),
        max(line.bottom for line in group),
    )
    size = median(line.size for line in group)
    draft = Draft(
        "paragraph",
        text,
        box,
        size,
        group[0].flow,
        all(line.bold for line in group),
        parted=group[-1].parted,
    )
    draft.alone = len(group) <= 3
    mark = _NOTE_MARK.match(text)
    small = size < 0.92 * kind.body
    if mark and small and group[0].top > 0.45 * height:
        draft.kind, draft.mark = "note", mark[1].rstrip(".)")
    elif _is_marked(text) or _COUNTED.match(text):
        draft.kind = "list_item"
    elif _CAPTION.match(text) and len(group) <= 6:
        draft.kind = "caption"
    return draft


def join_lines(lines: Sequence[Line], kind: Type) -> str:
    """Lines as running text: hyphens of line ends removed, breaks that were meant kept."""
    text = ""
    for index, line in enumerate(lines):
        piece = line.text.strip()
        if not text:
            text = piece
        elif _is_short(lines[index - 1], line) and not _flows(text, piece):
            text = f"{text}\n{piece}"
        else:
            text = join_texts(text, piece, kind)
    return text


def _flows(text: str, piece: str) -> bool:
    """Whether a line plainly goes on with the sentence of the one before."""
    return piece[:1].islower() or text.endswith(("-", ","))


def join_texts(before: str, after: str, kind: Type) -> str:
    """Two runs of text as one, by the rules of line ends."""
    head, joint = seam(before, after, kind)
    return head + joint + after


def seam(before: str, after: str, kind: Type) -> tuple[str, str]:
    """The first run, without a hyphen that the line's end asked for, and what follows it."""
    if before[-1:] in {"-", "\u2010"} and before[-2:-1].isalnum():
        last = before.rsplit(maxsplit=1)[-1]
        following = after.split(maxsplit=1)[0] if after.split() else ""
        if _HANGING.match(after):
            return before, " "
        whole = f"{last}{following}".strip(".,;:()\"'").lower()
        compound = (
            not after[:1].islower()
            or "-" in last[:-1]
            or whole in kind.compounds
            or last.lower() in _KEPT
        )
        return (before, "") if compound else (before[:-1], "")
    if without_spaces(before, after) or _DASHED.search(before):
        return before, ""
    return before, " "


def _mark_headings(drafts: list[Draft], kind: Type, depth: int) -> None:
    """Find headings by their type; the level follows their number, else their size."""
    for index, draft in enumerate(drafts):
        if draft.kind not in {"paragraph", "list_item"} or not draft.alone:
            continue
        ratio = draft.size / kind.body
        following = drafts[index + 1] if index + 1 < len(drafts) else None
        heavy = draft.bold and (following is None or not following.bold or ratio > 1.05)
        if not (ratio > 1.12 or heavy) or len(draft.text) > 200:
            continue
        if draft.text.endswith((".", ",", ";")) and ratio < 1.25:
            continue
        if not any(character.isalpha() for character in draft.text) or _BULLET.match(draft.text):
            continue
        draft.kind = "heading"
        draft.text = " ".join(draft.text.split())
        section = _SECTION.match(draft.text)
        if section and section[1]:
            draft.level = section[1].count(".") + 1
        else:
            draft.level = 1 if ratio > 1.5 else 2 if ratio > 1.25 else 3 if ratio > 1.12 else 4
        draft.level += depth


def _joined_columns(drafts: list[Draft], kind: Type) -> list[Draft]:
    """Paragraphs that go on in the next column as one; notes of a column stay behind it."""
    joined: list[Draft] = []
    for draft in drafts:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.flow != draft.flow
            and last.kind == "paragraph"
            and draft.box[1] < last.box[3] - last.size  # it stands at the top of another column
            and goes_on(last, draft)
        ):
            last.text = join_texts(last.text, draft.text, kind)
            last.parted = draft.parted
            last.box = _around(last.box, draft.box)
            last.flow = draft.flow
        else:
            joined.append(draft)
    return joined


def goes_on(before: Draft, after: Draft) -> bool:
    """Whether a block is the rest of the one that ended a column or a page."""
    if after.kind != "paragraph" or not before.open or before.grid or after.grid:
        return False
    if abs(before.size - after.size) > 0.1 * before.size or before.bold != after.bold:
        return False
    if before.kind == "list_item" and before.alone and not after.text[:1].islower():
        return len(before.text) > 60
    return before.parted or len(before.text) > 25 or after.text[:1].islower()


def _around(one: tuple[float, ...], two: tuple[float, ...]) -> tuple[float, float, float, float]:
    return min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3])


def _with_captions(drafts: list[Draft]) -> list[Draft]:
    """Tables with the captions that stand directly above or below them as their titles."""
    kept: list[Draft] = []
    skip = -1
    for index, draft in enumerate(drafts):
        if index == skip:
            continue
        if draft.grid is not None:
            above = kept[-1] if kept else None
            below = drafts[index + 1] if index + 1 < len(drafts) else None
            if above is not None and _is_caption(above) and draft.box[1] - above.box[3] < 30:
                _entitle(draft, kept.pop())
            elif below is not None and _is_caption(below) and below.box[1] - draft.box[3] < 30:
                _entitle(draft, below)
                skip = index + 1
        kept.append(draft)
    return kept


def _is_caption(draft: Draft) -> bool:
    return bool(_CAPTION.match(draft.text)) and draft.kind in {"caption", "heading", "paragraph"}


def _entitle(table: Draft, caption: Draft) -> None:
    assert table.grid is not None  # noqa: S101
    title = " ".join(caption.text.split())
    table.grid.title = f"{title} {table.grid.title}".strip()
    table.box = _around(table.box, caption.box)
