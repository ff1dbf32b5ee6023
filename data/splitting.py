"""Packing the blocks of a document into passages that a reader can find again in it."""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from data.blocks import Block, Box, Loaded, Table, place
from data.sentences import split_sentences
from data.tables import cell_spans, header_lines, headers, index_text, markdown_row, named_row

MAX_TITLE = 200
"""Characters of a heading that the passages below it repeat; its own text is whole."""
MAX_DEPTH = 12
"""Headings above a passage that it repeats: the innermost ones."""
MAX_BOXES = 64
"""Rectangles that a passage keeps."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, for which `document_text[char_start:char_end] == text[repeated:]`.

    The first `repeated` characters stand further above in the document: the title and header of a
    table that is cut, or what a list began with. `page` is where it begins, `index` counts the
    passages of one `split` from 0.
    """

    text: str
    index: int
    page: int | None
    char_start: int
    char_end: int
    heading_path: tuple[str, ...] = ()
    passage_id: str | None = None
    boxes: tuple[Box, ...] = ()
    repeated: int = 0


@dataclass(slots=True)
class _Unit:
    """An indivisible span [start, end) of the document, without white space around it.

    Units of one `group` (0: none) stay in one passage where they fit. `prefix` is repeated where a
    passage begins with this unit. A unit that is `apart` shares its passage with no other one,
    and only one that `overlaps` is repeated at the start of the next passage; one that `sticks` is
    always, if it is short.
    """

    start: int
    end: int
    cost: int
    ends_paragraph: bool
    prefix: str = ""
    group: int = 0
    overlaps: bool = True
    apart: bool = False
    sticks: bool = False


_LONGEST_SEGMENT = 65_536
"""Running text without a block's end is cut into units once there is more of it."""

_KEPT_BEHIND = 4096
"""Characters of text that a run keeps though passages hold them already: cutting costs as well."""

_CHARS_PER_TOKEN = 16
"""More characters than this count as a token of their own, see `Splitter`."""

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_SEAMS = (re.compile(r"\n\s*"), re.compile(r"[,;:–—]\s+"), re.compile(r"\s+"))
_RUNNING = frozenset({"heading", "paragraph", "note", "caption"})


class Splitter:
    """Packs whole sentences, rows and lines into passages of at most `chunk_tokens`.

    Consecutive passages under one heading share up to `overlap_tokens` of whole sentences or
    lines. A passage never crosses a heading, nor a page unless a block goes on there; it ends with
    a paragraph where one ends in its second half. Headings stand in one passage with what follows
    them, even on the next page; short ones go on top of `chunk_tokens`. A table and a list stay
    whole where they fit; else they are cut between rows and items, and each piece repeats the
    table's title and header, or the line that the list began with. A sentence that is too long is
    cut at a line, a comma, a space, else anywhere. All text but white space is in some passage,
    and no passage is empty. Passages that come with an id stay whole.

    Tokens are those of a passage's index text. `count_tokens` counts without special tokens and is
    called about once a sentence and once a passage. Some tokenisers see one unknown token in a
    word of any length, so 16 characters count as one token at least. Raises ValueError for
    chunk_tokens < 1 or an overlap outside 0 .. chunk_tokens - 1. Why not a library:
    docs/decisions/0004-own-chunker.md.
    """

    def __init__(
        self, count_tokens: Callable[[str], int], chunk_tokens: int = 200, overlap_tokens: int = 32
    ) -> None:
        if chunk_tokens < 1:
            raise ValueError(f"chunk_tokens must be at least 1, got {chunk_tokens}")
        if not 0 <= overlap_tokens < chunk_tokens:
            raise ValueError(
                f"overlap_tokens must be 0 to {chunk_tokens - 1}, got {overlap_tokens}"
            )
        self._count = count_tokens
        self._limit = chunk_tokens
        self._overlap = overlap_tokens

    @property
    def identity(self) -> dict[str, str | int]:
        """What decides where passages begin and end, for the fingerprint of an index."""
        return {
            "name": "block-packer",
            "version": 2,
            "chunk_tokens": self._limit,
            "overlap_tokens": self._overlap,
        }

    def split(
        self, loaded: Iterable[Loaded], on_count: Callable[[], None] = lambda: None
    ) -> Iterator[Passage]:
        """The passages of one document's blocks, in order; holds little text at a time.

        Args:
            on_count: called before tokens are counted; what it raises ends the work, even within a
                block.
        """
        for index, passage in enumerate(self._passages(loaded, on_count)):
            yield replace(passage, index=index)

    def _passages(
        self, loaded: Iterable[Loaded], on_count: Callable[[], None]
    ) -> Iterator[Passage]:
        def cost(text: str) -> int:
            on_count()
            return self._cost(text)

        trail: list[tuple[int, str]] = []
        run: _Run | None = None
        before: Block | None = None
        for start, gap, block in place(loaded):
            if run is not None and _begins_run(before, block):
                yield from run.passages(last=True)
                run = None
            if block.kind == "heading":
                while trail and trail[-1][0] >= block.level:
                    trail.pop()
                if title := _capped(block.title or block.text):
                    trail.append((block.level, title))
            path = tuple(title for _, title in trail[-MAX_DEPTH:])
            if block.passage_id is not None:
                yield from _whole(block, start, path)
            else:
                run = run or _Run(self._limit, self._overlap, cost, start)
                run.path = path
                run.add(block, start, gap)
                yield from run.passages(last=False)
            before = block
        if run is not None:
            yield from run.passages(last=True)

    def _cost(self, text: str) -> int:
        """Tokens of a text's index text, at least one for each 16 characters.

        Texts that are too long for one passage anyway are not counted.
        """
        least = -(-len(text) // _CHARS_PER_TOKEN)
        return least if least > self._limit else max(least, self._count(index_text(text)))


def _begins_run(before: Block | None, block: Block) -> bool:
    """Whether no passage holds both this block and the one before it."""
    if block.passage_id is not None or before is None or before.passage_id is not None:
        return True
    if block.kind == "heading":  # a chapter's title stays with that of its first section
        return not (before.kind == "heading" and block.level > before.level)
    return block.page != before.page and block.joint is None and before.kind != "heading"


def _whole(block: Block, start: int, path: tuple[str, ...]) -> Iterator[Passage]:
    """A passage that was cut by its author."""
    if block.text.strip():
        title = _capped(block.title)
        path = (*path, title) if title else path
        end = start + len(block.text)
        yield Passage(block.text, 0, block.page, start, end, path, block.passage_id, block.boxes)


def _capped(title: str) -> str:
    title = " ".join(title[: 4 * MAX_TITLE].split())
    return title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1].rstrip()}…"


@dataclass(slots=True)
class _Run:
    """Blocks that share passages, and the units that are not in a passage yet.

    `text` is the document's text from `base` on. Units up to `covered` are in a passage already
    and stay only to be repeated.
    """

    limit: int
    overlap: int
    cost: Callable[[str], int]
    base: int
    path: tuple[str, ...] = ()
    text: str = ""
    blocks: list[tuple[int, Block]] = field(default_factory=list)
    units: list[_Unit] = field(default_factory=list)
    covered: int = 0
    pending: int = 0
    running: int | None = None
    group: int = 0
    lead: str = ""
    body: int = 0

    def add(self, block: Block, start: int, gap: str) -> None:
        """Add the next block, which begins at `start`; `gap` parts it from the one before."""
        listed = block.kind == "list_item" and self._last_kind() == "list_item"
        if block.kind not in _RUNNING:
            self._end_running()
            if block.kind == "list_item" and not listed:
                self._begin_list()
        self.text = f"{self.text}{gap}{block.text}" if self.blocks else block.text
        self.blocks.append((start, block))
        if block.kind == "heading":
            self.body = start + len(block.text)
        if block.kind in _RUNNING:
            self.running = start if self.running is None else self.running
            if len(self.text) - (self.running - self.base) > _LONGEST_SEGMENT:
                self._end_running(hold=True)
        elif block.table is not None:
            self._add_table(block, block.table, start)
        elif block.kind == "list_item":
            self._add_whole(block, start, self.lead, self.group)
        else:
            self._add_lines(block, start)

    def passages(self, *, last: bool) -> Iterator[Passage]:
        """The passages that are certain by now; all of them the last time."""
        if last:
            self._end_running()
        while self.covered < len(self.units) and (last or self.pending > 3 * self.limit):
            stop = self._stop()
            if stop <= self.covered:  # together they count more than each alone
                del self.units[: self.covered]
                self.covered = 0
                continue
            yield self._passage(stop)
            self.pending -= sum(unit.cost for unit in self.units[self.covered : stop])
            begin = self._restart(stop)
            del self.units[:begin]
            self.covered = stop - begin
            self._forget()

    def _passage(self, stop: int) -> Passage:
        start, end = self.units[0].start, self.units[stop - 1].end
        prefix = self.units[0].prefix
        at = bisect_right(self.blocks, start, key=lambda row: row[0]) - 1
        boxes: dict[Box, None] = {}
        for begin, block in self.blocks[at:]:
            if begin >= end or len(boxes) >= MAX_BOXES:
                break
            boxes.update(dict.fromkeys(block.boxes))
        return Passage(
            text=prefix + self._slice(start, end),
            index=0,
            page=self.blocks[at][1].page,
            char_start=start,
            char_end=end,
            heading_path=self.path,
            boxes=tuple(boxes)[:MAX_BOXES],
            repeated=len(prefix),
        )

    def _stop(self) -> int:
        """Index behind the last unit of the passage that begins with the first unit."""
        units, prefix = self.units, self.units[0].prefix
        stop, spent, paragraph = 0, self.cost(prefix) if prefix else 0, 0
        while stop < len(units) and (not stop or spent + units[stop].cost <= self.limit):
            if units[stop].apart:
                stop = stop or 1
                break
            spent += units[stop].cost
            stop += 1
            if units[stop - 1].ends_paragraph and 2 * spent >= self.limit:
                paragraph = stop
        if stop < len(units):
            if paragraph > self.covered:
                stop = paragraph
            stop = self._before_group(stop)
        start, least = units[0].start, max(1, self.covered)
        while stop > least and (
            self.cost(prefix + self._slice(start, units[stop - 1].end)) > self.limit
        ):
            stop -= 1
        return self._behind_headings(stop)

    def _behind_headings(self, stop: int) -> int:
        """A later stop where a passage would be short headings alone."""
        if stop == len(self.units) or not self._are_headings(self.units[:stop]):
            return stop
        return stop if self.units[stop].end <= self.body else stop + 1

    def _are_headings(self, units: Sequence[_Unit]) -> bool:
        """Whether these are headings, short enough to go on top of a full passage."""
        if not units or units[-1].end > self.body:
            return False
        return sum(unit.cost for unit in units) <= self.limit // 4

    def _before_group(self, stop: int) -> int:
        """An earlier stop where this one would part a group that fits into a passage."""
        group = self.units[stop].group
        if not group or self.units[stop - 1].group != group:
            return stop
        begin = stop
        while begin > 0 and self.units[begin - 1].group == group:
            begin -= 1
        if begin <= self.covered:
            return stop
        size = sum(unit.cost for unit in self.units[begin:] if unit.group == group)
        return begin if size <= self.limit else stop

    def _restart(self, stop: int) -> int:
        """Index of the first unit of the next passage, which repeats the end of this one."""
        if stop == len(self.units) or self.units[stop].apart:
            return stop
        room = min(self.overlap, self.limit - self.units[stop].cost)
        begin = stop
        if self.units[stop - 1].sticks:  # an answer stays with the line that it answers
            room = max(room, min(self.units[stop - 1].cost, self.limit // 3))
        while begin > 1 and self.units[begin - 1].cost <= room:
            unit = self.units[begin - 1]
            if not unit.overlaps or unit.apart:
                break
            begin -= 1
            room -= unit.cost
        return begin

    def _slice(self, start: int, end: int) -> str:
        return self.text[start - self.base : end - self.base]

    def _forget(self) -> None:
        """Let go of the text before the first unit that is still needed."""
        needed = self.running
        if self.units:
            needed = self.units[0].start
        if needed is None or needed - self.base < _KEPT_BEHIND:
            return
        self.text = self.text[needed - self.base :]
        self.base = needed
        at = bisect_right(self.blocks, needed, key=lambda row: row[0]) - 1
        del self.blocks[: max(0, at)]

    def _last_kind(self) -> str:
        return self.blocks[-1][1].kind if self.blocks else ""

    # --- units -------------------------------------------------------------------------------

    def _end_running(self, *, hold: bool = False) -> None:
        """Cut the running text into units; `hold` keeps the last one, which may go on."""
        if self.running is None:
            return
        start = self.running
        units = list(self._sentences(self._slice(start, self.base + len(self.text)), start))
        if hold and len(units) > 1:
            self.running = units.pop().start
        else:
            self.running = None
        self._put(units)

    def _put(self, units: Iterable[_Unit]) -> None:
        for unit in units:
            if unit.apart and self._are_headings(self.units):
                headings = self._slice(self.units[0].start, self.units[-1].end)
                unit.prefix = f"{headings}\n\n{unit.prefix}"
                self.units.clear()
                self.pending = 0
            self.units.append(unit)
            self.pending += unit.cost

    def _begin_list(self) -> None:
        """Join the list that begins now with the short paragraph above it, if there is one."""
        self.group += 1
        self.lead = ""
        if not self.blocks or self.blocks[-1][1].kind != "paragraph":
            return
        start, block = self.blocks[-1]
        lines = [unit for unit in self.units if unit.start >= start]
        if lines and sum(unit.cost for unit in lines) <= self.limit // 4:
            self.lead = block.text.strip() + "\n"
            for unit in lines:
                unit.group = self.group

    def _add_whole(self, block: Block, start: int, prefix: str = "", group: int = 0) -> None:
        """A block as one unit where it fits, else as its sentences."""
        text = block.text.strip()
        begin = start + len(block.text) - len(block.text.lstrip())
        if not text:
            return
        room = self.limit - (self.cost(prefix) if prefix else 0)
        cost = self.cost(text)
        if cost <= room:
            unit = _Unit(begin, begin + len(text), cost, True, prefix, group)
            unit.sticks = block.kind == "line"
            self._put([unit])
            return
        for unit in self._sentences(block.text, start):
            unit.group = group
            unit.prefix = prefix if unit.cost <= room else ""
            self._put([unit])

    def _add_lines(self, block: Block, start: int) -> None:
        """A block whose lines stay whole: code, lines of logs and chats, form fields."""
        if self.cost(block.text) <= self.limit:
            self._add_whole(block, start)
            return
        at = start
        for line in block.text.splitlines(keepends=True):
            self._put(self._fit(line, 0, len(line), not line.strip(), at))
            at += len(line)

    def _add_table(self, block: Block, table: Table, start: int) -> None:
        """A table's rows as units; its title and header belong to the first one."""
        lines = block.text.split("\n")
        rows = table.rows[table.header_rows :]
        heading = len(lines) - len(rows)
        if not rows or heading < 0:
            self._add_lines(block, start)
            return
        if heading or len(self.blocks) < 2 or self.blocks[-2][1].kind != "table":
            self.group += 1
        prefix = "\n".join(header_lines(table)) + "\n"
        if len(prefix) > _CHARS_PER_TOKEN * self.limit // 2:  # a header without end
            prefix = ""
        title, names = self.cost(table.title) if table.title else 0, headers(table)
        at = start + sum(len(line) + 1 for line in lines[:heading])
        first = heading > 0
        for row, line in zip(rows, lines[heading:], strict=True):
            shown = named_row(names, row)
            cost = self.cost(shown)
            if shown and cost + title <= self.limit:
                unit = _Unit(at, at + len(line.rstrip()), cost, False, prefix, self.group, False)
                if first:
                    unit.start, unit.cost, unit.prefix = start, cost + title, ""
                self._put([unit])
                first = False
            elif shown:
                self._put(self._wide_row(table, names, row, at, line))
            at += len(line) + 1
        if self.units:
            self.units[-1].ends_paragraph = True

    def _wide_row(
        self, table: Table, names: Sequence[str], row: Sequence[str], at: int, line: str
    ) -> Iterator[_Unit]:
        """A row that is too long for a passage: some of its cells at a time, behind its label."""
        labels = range(min(table.label_columns, len(row) - 1))
        if self.cost(" ".join(row[i] for i in labels)) > self.limit // 4:
            labels = range(0)
        spans = cell_spans(line)
        todo = deque(index for index in range(min(len(row), len(spans))) if row[index])
        while todo:
            packed = self._cells_that_fit(names, row, labels, todo)
            columns = _with_labels(labels, packed)
            begin, end = at + spans[packed[0]][0], at + spans[packed[-1]][1]
            shown = named_row([names[i] for i in columns], [row[i] for i in columns])
            before = columns[: len(columns) - len(packed)]
            if (cost := self.cost(shown)) <= self.limit:
                prefix = "".join(
                    f"{part}\n"
                    for part in (
                        markdown_row([names[i] for i in columns]),
                        markdown_row(["---"] * len(columns)),
                    )
                ) + (markdown_row([row[i] for i in before]) + " " if before else "| ")
                yield _Unit(begin, end, cost, True, prefix, overlaps=False, apart=True)
                continue
            label = [row[i] for i in before] + [_capped(names[i]) for i in packed]
            prefix = f"{', '.join(part for part in label if part)}: "
            for unit in self._sentences(line[begin - at : end - at], begin):
                unit.prefix, unit.overlaps, unit.apart = prefix, False, True
                yield unit

    def _cells_that_fit(
        self, names: Sequence[str], row: Sequence[str], labels: range, todo: deque[int]
    ) -> list[int]:
        """Takes adjacent cells from `todo`, one or more, as many as fit a passage with the label.

        Their costs are added up first: to count them together for each cell more is the square.
        """

        def cost(columns: Sequence[int]) -> int:
            return self.cost(named_row([names[i] for i in columns], [row[i] for i in columns]))

        def fits(columns: Sequence[int]) -> bool:
            return cost(_with_labels(labels, columns)) <= self.limit

        packed = [todo.popleft()]
        spent = cost(_with_labels(labels, packed))
        while (
            todo and todo[0] == packed[-1] + 1 and (spent := spent + cost([todo[0]])) <= self.limit
        ):
            packed.append(todo.popleft())
        while len(packed) > 1 and not fits(packed):
            todo.appendleft(packed.pop())
        while todo and todo[0] == packed[-1] + 1 and fits([*packed, todo[0]]):
            packed.append(todo.popleft())
        return packed

    def _sentences(self, text: str, base: int) -> Iterator[_Unit]:
        """Sentences, cut where they are too long, in order; white space is between them."""
        spans = split_sentences(text, longest=max(len(text), 20))
        for (begin, end), (following, _) in pairwise([*spans, (len(text), len(text))]):
            paragraph = following == len(text) or _BLANK_LINE.search(text, end, following)
            yield from self._fit(text, begin, end, bool(paragraph), base)

    def _fit(self, text: str, begin: int, end: int, paragraph: bool, base: int) -> Iterator[_Unit]:
        """The span as units that fit a passage, halved at the best seam until they do."""
        todo = [(begin, end, paragraph)]
        while todo:
            begin, end, paragraph = todo.pop()
            piece = text[begin:end]
            end -= len(piece) - len(piece.rstrip())
            begin += len(piece) - len(piece.lstrip())
            if begin >= end:
                continue
            cost = self.cost(text[begin:end])
            if cost <= self.limit or end - begin == 1:
                yield _Unit(base + begin, base + end, min(cost, self.limit), paragraph)
                continue
            middle = begin + _seam(text[begin:end])
            todo += [(middle, end, paragraph), (begin, middle, False)]


def _with_labels(labels: Iterable[int], columns: Sequence[int]) -> list[int]:
    return [*(label for label in labels if label not in columns), *columns]


def _seam(text: str) -> int:
    """Where to cut a text in two: near the middle behind a line, a comma or a space."""
    middle = len(text) // 2
    low, high = len(text) // 4, len(text) - len(text) // 4
    for seam in _SEAMS:
        cuts = [match.end() for match in seam.finditer(text, low, high)]
        if cuts:
            at = bisect_right(cuts, middle)
            return min(cuts[max(0, at - 1) : at + 1], key=lambda cut: abs(cut - middle))
    return max(1, middle)
