"""Making blocks out of what the libraries for file formats give."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from data.blocks import Block, Loaded, Scan, Table
from data.cleaning import clean, inline
from data.tables import table_block

_SLICE = 32_768
"""Running text comes in paragraphs of at most so many characters, so that it flows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as a format stores it: once, with the rows and columns that it covers."""

    text: str
    columns: int = 1
    rows: int = 1
    header: bool = False


_DEEPEST_QUOTE = 8
_MOST_COLUMNS = 1000
_MOST_ROWS = 100_000
_MOST_CELLS = 1_000_000


def heading(level: int, text: str, page: int | None = None) -> Block:
    """A heading; `level` 0 is the document's title, 1 the topmost heading."""
    return Block("heading", inline(text), page, level=level)


def paragraph(text: str, page: int | None = None) -> Block:
    """A paragraph."""
    return Block("paragraph", text, page)


def item(text: str, page: int | None = None, level: int = 0) -> Block:
    """A list item, with its bullet or number."""
    return Block("list_item", text, page, level=level)


def note(text: str, page: int | None = None) -> Block:
    """A foot- or endnote, a comment, a speaker's note."""
    return Block("note", text, page)


_FEWEST_WORDS = 3
_FILE_NAME = re.compile(r"\S*[\w)]\.\w{3,4}")


def picture(text: str, page: int | None = None) -> Iterator[Block]:
    """What an author says of a picture, as a note; nothing for names of files and lone words."""
    said = inline(text)
    if len(said.split()) >= _FEWEST_WORDS and not _FILE_NAME.fullmatch(said.split()[-1]):
        yield note(f"Picture: {said}", page)


def comment(text: str, author: str | None = "", page: int | None = None) -> Block:
    """A comment with who made it, where that is known."""
    by = f" by {inline(author)}" if author and author.strip() else ""
    return note(f"Comment{by}: {text}", page)


def quoted(text: str, depth: int) -> str:
    """Lines that somebody quotes, or that are answered to, as messages and Markdown mark them."""
    mark = "> " * min(depth, _DEEPEST_QUOTE)
    return mark + text.replace("\n", f"\n{mark}") if mark else text


def line(text: str, page: int | None = None) -> Block:
    """A line that stands close to its neighbours: a header of a message, a line of a log."""
    return Block("line", text, page)


def tidied(loaded: Iterable[Loaded | Scan]) -> Iterator[Loaded | Scan]:
    """The blocks without controls and without white space around them; empty ones are dropped.

    Blocks with a `joint` are left as they are: their loaders account for every character.
    """
    for one in loaded:
        if not isinstance(one, Block):
            yield one
            continue
        if (one.joint, one.table, one.passage_id) == (None, None, None):
            text = clean(one.text).strip("\n").rstrip()
            if not text:
                continue
            yield one if text == one.text else replace(one, text=text)
            continue
        yield one


def captioned(loaded: Iterable[Loaded | Scan]) -> Iterator[Loaded | Scan]:
    """The blocks, where a caption right above a table has become its title."""
    held: Block | None = None
    for one in loaded:
        titled: Loaded | Scan = one
        if held is not None and isinstance(one, Block):
            if one.table is not None and one.joint is None and not one.table.title:
                named = replace(one.table, title=inline(held.text))
                titled = table_block(named, one.page, one.boxes)
            else:
                yield held
            held = None
        if isinstance(titled, Block) and titled.joint is None and _is_caption(titled):
            held = titled
        else:
            yield titled
    if held is not None:
        yield held


_CAPTION = re.compile(
    r"(?:table|tab\.|tabelle|tableau|tabla|tabella|tabela|tabel|tabell|taulukko|表)\s*[\dIVX]+\b",
    re.IGNORECASE,
)


def _is_caption(block: Block) -> bool:
    if block.kind == "caption":
        return True
    short = block.kind == "paragraph" and len(block.text) <= 200
    return short and _CAPTION.match(block.text) is not None


_PAGE_NUMBER = re.compile(
    r"[\s|–—-]*(?:page|seite|side|sida|página|pagina|strona|pág\.|p\.|s\.)?\s*\d*\s*"
    r"(?:of|von|/|av|de|di|z|van)?\s*\d*[\s|–—-]*",
    re.IGNORECASE,
)


def is_page_number(text: str) -> bool:
    """Whether a running head or foot says nothing but the page: "Page 3 of 7"."""
    return _PAGE_NUMBER.fullmatch(text) is not None


def slices(text: str) -> Iterator[Block]:
    """Paragraphs that are `text` exactly, one behind the other."""
    for begin in range(0, len(text), _SLICE):
        yield Block("paragraph", text[begin : begin + _SLICE], joint="")


def grid(rows: Iterable[Iterable[Cell]]) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Rows of one length with the spans of their cells filled in, and how many are headers.

    A cell that spans rows or columns stands in each place that it covers (HTML 5, §4.9.12.1).
    Header rows are the first ones whose cells are all marked as such.
    """
    filled: list[list[str]] = []
    hanging = _Hanging()
    header_rows, only_headers = 0, True
    cells = 0
    for row in islice(rows, _MOST_ROWS):
        if cells > _MOST_CELLS:
            break
        line: list[str] = []
        hanging.next_row()
        for cell in row:
            hanging.fill(line)
            text = inline(cell.text)
            for _ in range(max(1, min(cell.columns, _MOST_COLUMNS - len(line)))):
                hanging.hang(len(line), cell.rows - 1, text)
                line.append(text)
            only_headers = only_headers and cell.header
        hanging.fill(line, to_end=True)
        if line:
            header_rows += only_headers
            filled.append(line)
            cells += len(line)
    width = max(map(len, filled), default=0)
    return tuple(tuple(line + [""] * (width - len(line))) for line in filled), header_rows


class _Hanging:
    """What spans of earlier rows put into the row at hand, by column."""

    def __init__(self) -> None:
        self._here: dict[int, tuple[int, str]] = {}
        self._below: dict[int, tuple[int, str]] = {}

    def next_row(self) -> None:
        """Go on to the next row."""
        self._here, self._below = self._below, {}

    def hang(self, column: int, rows: int, text: str) -> None:
        """Let a text stand in a column of the next rows too."""
        if rows > 0:
            self._below[column] = (rows, text)

    def fill(self, line: list[str], *, to_end: bool = False) -> None:
        """Append what hangs from above where the row has come to, or all that is left of it."""
        if to_end and self._here:
            line += [""] * (max(self._here) + 1 - len(line))
            for column in list(self._here):
                line[column] = self._take(column)
        while len(line) in self._here:
            line.append(self._take(len(line)))

    def _take(self, column: int) -> str:
        rows, text = self._here.pop(column)
        self.hang(column, rows - 1, text)
        return text


def table(
    rows: tuple[tuple[str, ...], ...],
    header_rows: int | None = None,
    title: str = "",
    page: int | None = None,
) -> Iterator[Block]:
    """A grid as a table, without its empty rows and columns; nothing where all are empty.

    A first row that is one cell is the table's title, one further down the label of the rows below
    it. Unless known (0 counts as unknown), the header is what `guessed_header` says.
    """
    kept = [at for at in range(len(rows[0]) if rows else 0) if any(row[at] for row in rows)]
    header_rows = sum(any(row) for row in rows[: header_rows or 0])
    body = [tuple(row[at] for at in kept) for row in rows if any(row)]
    if len(kept) < 2:
        yield from (paragraph(row[0], page) for row in body)
        return
    while len(body) > 2 and (label := _single(body[0])):
        title = f"{title}: {label}" if title else label
        body, header_rows = body[1:], max(0, header_rows - 1)
    if len(body) == 1:
        yield paragraph(" | ".join(filter(None, (title, *body[0]))), page)
        return
    count = min(max(header_rows, guessed_header(body)), len(body) - 1)
    under = list(_labelled(body[count:]))
    whole = (*spread_header(body[:count]), *under)
    yield from cut_table(Table(whole, count, 1, inline(title)), page)


_ROWS_A_BLOCK = 500


def cut_table(whole: Table, page: int | None = None) -> Iterator[Block]:
    """A table in blocks of at most `_ROWS_A_BLOCK` rows, so that long ones flow."""
    header, rows = whole.rows[: whole.header_rows], whole.rows[whole.header_rows :]
    for at in range(0, len(rows), _ROWS_A_BLOCK):
        part = replace(whole, rows=header + rows[at : at + _ROWS_A_BLOCK])
        yield table_block(part, page, continues=at > 0)
    if not rows:
        yield table_block(whole, page)


def _single(row: Sequence[str]) -> str:
    """The text of a row that is one cell over all columns, or that has text in its first alone."""
    if len(set(row)) == 1 and len(row) > 1:
        return row[0]
    return ""


def _labelled(rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The rows, with what a row of one merged cell says in front of the labels below it."""
    above = ""
    for row in rows:
        label = _single(row)
        if label and not is_value(label):
            above = label
        elif above and row[0] and row[0] != above:
            yield (f"{above} / {row[0]}", *row[1:])
        else:
            yield (above or row[0], *row[1:])


def guessed_header(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows name the columns.

    A row names columns where no cell is a value (but for years and the like, as in "2024 | 2025")
    and there are values, or longer texts, below. A header goes on in the next row where one of its
    cells spans several columns.
    """
    if len(rows) < 2 or not _names(rows[0], rows[1:]):
        return 0
    count = 1
    while count < min(len(rows) - 1, 4) and _names(rows[count], ()):
        if not _spans(rows[count - 1]) and not _stands_over(rows[count - 1], rows[count]):
            break
        count += 1
    return count


def spread_header(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Header rows where a name stands over the empty cells beside it that have names below."""
    spread = [list(row) for row in rows]
    for row, below in pairwise(spread):
        for at in range(2, len(row)):
            if not row[at] and below[at] and row[at - 1] and _stands_over(rows[0], below):
                row[at] = row[at - 1]
    return [tuple(row) for row in spread]


def _stands_over(row: Sequence[str], below: Sequence[str]) -> bool:
    """Whether names have empty cells beside them, all with names below, which has no label."""
    empty = [at for at in range(1, len(row)) if not row[at]]
    return bool(empty) and any(row[1:]) and not below[0] and all(below[at] for at in empty)


def _names(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    if sum(map(bool, row)) < 2 and len(row) > 2:
        return False
    periods = {cell for cell in row if _PERIOD.fullmatch(cell)}
    if any(is_value(cell) and cell not in periods for cell in row) or _is_day(row[0]):
        return False
    labels = not periods
    valued = any(
        is_value(cell) and (labels or not _PERIOD.fullmatch(cell))
        for other in below[:20]
        for cell in other
    )
    if below and len(row) == 2 and row[0].rstrip().endswith(":"):  # "Name: | Ida"
        return False
    return labels or not below or valued


def _spans(row: Sequence[str]) -> bool:
    """Whether a cell stands in several columns, but not in all."""
    return len(set(row)) > 1 and any(a and a == b for a, b in pairwise(row))


_YEAR_OF_SOMETHING = re.compile(r"(?:19|20)\d\d\b[\s/–-]+[^\W\d_]{3,}")
_DAY = r"\d{1,2}[./-]\d{1,2}[./-](?:\d\d){1,2}|\d{4}-\d\d-\d\d"
_PERIOD = re.compile(
    rf"(?:FY|CY)? ?(?:19|20)\d\d(?:[/–-]\d{{2,4}})?|{_DAY}|(?:0?[1-9]|1[0-2])[./-](?:19|20)\d\d"
    r"|(?:[QHTS]|FY|KW|CW|W)[ .-]?\d{1,2}(?:[ /'’-]+\d{2,4})?|[1-4][QH] ?'?\d{2,4}"
    r"|(?:19|20)\d\d[ /-]?[QH][1-4]|[^\W\d_]{3,9}\.?[ -]'?\d{2,4}"
)
"""A year, a quarter, a month or a day, which may name a column."""


def _is_day(text: str) -> bool:
    return re.fullmatch(_DAY, text) is not None


def is_value(text: str) -> bool:
    """Whether a cell holds a number, a date or the like; "2024 / plan" is none."""
    digits = sum(character.isdigit() for character in text)
    if not digits or 2 * digits < sum(character.isalnum() for character in text):
        return False
    return _YEAR_OF_SOMETHING.match(text) is None
