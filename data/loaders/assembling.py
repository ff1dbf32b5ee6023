"""From pages, in order, to the blocks of a document: what runs over page breaks joined."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data.blocks import Block, Box, Kind, Table
from data.loaders.grids import Grid
from data.loaders.layout import Line, read_layout
from data.loaders.margins import Edge, edges, running
from data.loaders.page import Page
from data.loaders.paragraphs import Draft, Titles, Type, goes_on, join_texts, read_paragraphs, seam
from data.tables import table_block

_BESIDE = 4
"""Pages before and behind a page in which its running lines are looked for."""


@dataclass(slots=True)
class _Sheet:
    """A page, its edges, the headings that an outline names on it, its fields and remarks."""

    page: Page
    edges: list[Edge]
    titles: Titles
    extra: Sequence[Draft]


@dataclass(slots=True)
class _Held:
    """The end of the page before, which may go on with the next one."""

    page: Page
    before: list[Draft] = field(default_factory=list)
    last: Draft | None = None
    notes: list[Draft] = field(default_factory=list)
    joint: str | None = None


class Assembler:
    """Takes the pages of a document in order and gives out their blocks, a few pages later.

    Running heads and feet become blocks of their own kind. A paragraph that runs over a page
    break is a block on each page, the second with a joint; a table that does is one that
    continues; a footnote that does is one block. `found` says whether any page had a block.
    """

    def __init__(self) -> None:
        self.found = False
        self._type = Type()
        self._behind: deque[list[Edge]] = deque(maxlen=_BESIDE)
        self._ahead: deque[_Sheet] = deque()
        self._held: _Held | None = None
        self._joint: str | None = None
        self._table: Table | None = None
        self._edges: list[float] = []

    def add(
        self, page: Page, titles: Titles | None = None, extra: Sequence[Draft] = ()
    ) -> Iterator[Block]:
        """Take a page with the titles on it, and with its fields and remarks."""
        self._ahead.append(_Sheet(page, edges(page), titles or Titles(()), extra))
        if len(self._ahead) > _BESIDE:
            yield from self._next()

    def end(self) -> Iterator[Block]:
        """The blocks of the last pages."""
        while self._ahead:
            yield from self._next()
        yield from self._release(None, [])

    def _next(self) -> Iterator[Block]:
        sheet = self._ahead.popleft()
        page = sheet.page
        neighbours = [*self._behind, *(other.edges for other in self._ahead)]
        self._behind.append(sheet.edges)
        apart = [edge for edge in sheet.edges if running(edge, neighbours)]
        yield from self._body(sheet, apart)
        for edge in apart:
            box = (
                min(w.left for w in edge.words),
                min(w.top for w in edge.words),
                max(w.right for w in edge.words),
                max(w.bottom for w in edge.words),
            )
            kind: Kind = "page_header" if edge.upper else "page_footer"
            yield Block(kind, edge.text, page.number, (page.box(*box),))

    def _body(self, sheet: _Sheet, apart: list[Edge]) -> Iterator[Block]:
        page = sheet.page
        left_out = {id(word) for edge in apart for word in edge.words}
        page.words = [word for word in page.words if id(word) not in left_out]
        layout = read_layout(page)
        table = self._held.last.grid if self._held and self._held.last else None
        if table is not None:
            layout = _with_last_rows(layout, table)
        drafts = read_paragraphs(layout, self._type, (page.width, page.height), sheet.titles)
        for extra in sheet.extra:
            drafts.insert(_place(extra, drafts), extra)
        missing = [
            Draft("heading", title, (0, 0, 0, 0), 0, level=level)
            for title, level in sheet.titles.missing()
        ]
        drafts = [*missing, *_anchored(self._continued(drafts, page))]
        if not drafts:
            return
        self.found = True
        yield from self._release(page, drafts)
        held = _Held(page)
        while drafts and drafts[-1].kind == "note":
            held.notes.insert(0, drafts.pop())
        if drafts:
            held.last = drafts.pop()
        held.before = drafts
        held.joint, self._joint = self._joint, None
        self._held = held

    def _continued(self, drafts: list[Draft], page: Page) -> list[Draft]:
        """Drafts without a leading rest of the last note of the page before, which takes it."""
        held = self._held
        notes = [d for d in [*held.before, *held.notes] if d.kind == "note"] if held else []
        note = max(notes, key=lambda draft: draft.box[1], default=None)
        if note is None or not note.open:
            return drafts
        for index, draft in enumerate(drafts):
            small = draft.size < 0.95 * self._type.body
            if (
                draft.kind == "paragraph"
                and small
                and abs(draft.size - note.size) < 0.1 * note.size
                and draft.box[1] > 0.45 * page.height
            ):
                note.text = join_texts(note.text, draft.text, self._type)
                return [*drafts[:index], *drafts[index + 1 :]]
        return drafts

    def _release(self, page: Page | None, drafts: list[Draft]) -> Iterator[Block]:
        """The held end of the page before; what goes on with it is the first of `drafts`.

        Where notes were held, that first draft is given out here, before them.
        """
        held, self._held = self._held, None
        if held is None:
            return
        self._joint = held.joint
        yield from self._blocks(held.before, held.page)
        joint: str | None = None
        if held.last is not None and page is not None and goes_on(held.last, drafts[0]):
            held.last.text, joint = seam(held.last.text, drafts[0].text, self._type)
        if held.last is not None:
            yield from self._blocks([held.last], held.page)
        self._joint = joint
        if page is not None and joint is not None and held.notes:
            yield from self._blocks([drafts.pop(0)], page)
        yield from self._blocks(held.notes, held.page)

    def _blocks(self, drafts: Sequence[Draft], page: Page) -> Iterator[Block]:
        """Blocks of drafts; the first takes the joint that waits for it."""
        for draft in drafts:
            joint, self._joint = self._joint, None
            boxes = (page.box(*draft.box),) if any(draft.box) else ()
            if draft.grid is not None:
                yield self._table_block(draft.grid, page, boxes)
                continue
            if draft.kind != "note":
                self._table = None
            yield Block(draft.kind, draft.text, page.number, boxes, draft.level, joint=joint)

    def _table_block(self, grid: Grid, page: Page, boxes: tuple[Box, ...]) -> Block:
        """A table, or the rest of the one before."""
        before = self._table
        rows = [tuple(row) for row in grid.rows]
        if before is not None and _same_columns(self._edges, grid):
            header = before.rows[: before.header_rows]
            top = tuple(rows[: grid.header_rows])
            if top == header or not grid.sure:
                body = rows[before.header_rows :] if top == header else rows
                table = Table(
                    (*header, *body), before.header_rows, before.label_columns, before.title
                )
                return table_block(table, page.number, boxes, continues=True)
        self._table = Table(tuple(rows), grid.header_rows, grid.label_columns, grid.title)
        self._edges = [*grid.edges, grid.right]
        return table_block(self._table, page.number, boxes)


def _with_last_rows(layout: list[Line | Grid], table: Grid) -> list[Line | Grid]:
    """The layout, its first lines as a table where they fill columns of the one before."""
    edges = [*table.edges, table.right + 1]
    rows: list[list[str]] = []
    count = 0
    for item in layout:
        row = _row(item, edges) if isinstance(item, Line) else None
        if row is None:
            break
        rows.append(row)
        count += 1
    if not rows:
        return layout
    lines = [item for item in layout[:count] if isinstance(item, Line)]
    top, bottom = lines[0].top, lines[-1].bottom
    grid = Grid(rows, 0, 1, table.edges, table.left, top, table.right, bottom, table.size)
    return [grid, *layout[count:]]


def _row(line: Line, edges: list[float]) -> list[str] | None:
    """The cells of a line whose pieces stand in two or more columns, one in each at most."""
    row = [""] * (len(edges) - 1)
    for piece in line.pieces:
        middle = (piece.left + piece.right) / 2
        column = sum(edge <= middle for edge in edges) - 1
        if not 0 <= column < len(row) or row[column] or piece.left < edges[column] - 3:
            return None
        row[column] = piece.text
    return row if sum(map(bool, row)) > 1 else None


def _same_columns(before: list[float], grid: Grid) -> bool:
    """Whether a table's columns stand where those of the table before did."""
    here = [*grid.edges, grid.right]
    if len(here) != len(before):
        return False
    wide = max(here[-1] - here[0], before[-1] - before[0]) / (len(here) - 1)
    return all(abs(a - b) < 0.5 * wide for a, b in zip(here, before, strict=True))


def _place(extra: Draft, drafts: list[Draft]) -> int:
    """Where a field or remark belongs: behind the last block that begins above its middle."""
    middle = (extra.box[1] + extra.box[3]) / 2
    best = 0
    for index, draft in enumerate(drafts):
        beside = draft.box[0] < extra.box[2] + 200 and draft.box[2] > extra.box[0] - 200
        if draft.box[1] <= middle and beside:
            best = index + 1
    return best


def _anchored(drafts: list[Draft]) -> list[Draft]:
    """Footnotes behind the block that refers to them; those nothing refers to stay at the end."""
    notes = [draft for draft in drafts if draft.kind == "note" and draft.mark]
    if not notes:
        return drafts
    rest = [draft for draft in drafts if draft not in notes]
    marks = {id(note): note.mark.translate(_RAISE) for note in notes}
    ordered: list[Draft] = []
    for draft in rest:
        ordered.append(draft)
        text = draft.text or " ".join(
            cell for row in (draft.grid.rows if draft.grid else []) for cell in row
        )
        for note in list(notes):
            if marks[id(note)] in text:
                ordered.append(note)
                notes.remove(note)
    return [*ordered, *notes]


_RAISE = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
