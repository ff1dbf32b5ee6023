"""Tables of known content in PDF, in the forms that people print them in.

`table_set(folder)` draws them with fpdf2 from a seed and says what stands in them: for each value
its row's label and its full column header.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from fpdf import FPDF

_NOUNS = [
    "pump", "valve", "sluice", "gauge", "filter", "basin", "turbine", "ladder", "crane",
    "hoist", "boiler", "ramp", "siding", "kiln", "loom", "press", "lathe", "silo", "anvil",
]  # fmt: skip
_PLACES = [
    "Brackwater", "Halmer", "Ostrand", "Wehr", "Lunden", "Morvik", "Tarn", "Eskdale", "Quell",
    "Ruben", "Sarn", "Ulver", "Vindal", "Yarrow", "Zell", "Corby", "Dunmore",
]  # fmt: skip
_HEADS = ["Flow", "Head", "Power", "Price", "Weight", "Speed", "Noise", "Stock", "Age", "Torque"]
_PROSE = (
    "The keepers of the works write down each reading at dawn and again at dusk, and whoever "
    "relieves them signs the book before the lamp is handed over. In winter the sluices are "
    "opened by a third of a turn so that ice cannot lift the gates out of their guides. "
)


@dataclass(frozen=True)
class Fact:
    """A value with what it stands under and beside."""

    label: str
    header: tuple[str, ...]
    value: str


@dataclass
class Form:
    """How a table looks. `lines`: all, rows, booktabs, none, frame, columns, shade."""

    name: str
    lines: str = "all"
    columns: int = 4
    rows: int = 6
    groups: bool = False
    header: bool = True
    bold: bool = True
    labels: int = 1
    wrapped: bool = False
    wrapped_header: bool = False
    align: str = "R"
    font: str = "helvetica"
    size: float = 10
    where: str = "page"  # page, column, landscape, rotated, sideways
    repeat: bool = True
    words: bool = False
    years: bool = False
    narrow: bool = False


FORMS = [
    Form("ruled"),
    Form("ruled, plain header", bold=False),
    Form("ruled, left", align="L", font="times"),
    Form("ruled, centred", align="C", columns=6),
    Form("ruled, two-line header", groups=True, columns=5),
    Form("ruled, two-line header, plain", groups=True, columns=7, bold=False, align="C"),
    Form("ruled, shared labels", labels=2, rows=8),
    Form("ruled, shared labels and groups", labels=2, rows=8, groups=True, columns=6),
    Form("ruled, wrapped", wrapped=True, words=True),
    Form("ruled, wrapped header", wrapped_header=True, columns=5),
    Form("ruled, no header", header=False),
    Form("ruled, years", years=True, bold=False),
    Form("ruled, over pages, header repeated", rows=90),
    Form("ruled, over pages, header once", rows=90, repeat=False),
    Form("ruled, in a column", where="column", columns=3, size=8),
    Form("ruled, landscape", where="landscape", columns=9, size=9),
    Form("ruled, rotated page", where="rotated", columns=5),
    Form("ruled, sideways", where="sideways", columns=5),
    Form("lines between rows", lines="rows"),
    Form("lines between rows, groups", lines="rows", groups=True, columns=5),
    Form("lines between rows, wrapped", lines="rows", wrapped=True, words=True),
    Form("booktabs", lines="booktabs"),
    Form("booktabs, groups", lines="booktabs", groups=True, columns=5),
    Form("booktabs, plain, centred", lines="booktabs", bold=False, align="C", font="times"),
    Form("booktabs, in a column", lines="booktabs", where="column", columns=3, size=8),
    Form("booktabs, shared labels", lines="booktabs", labels=2, rows=8),
    Form("borderless", lines="none"),
    Form("borderless, plain header", lines="none", bold=False),
    Form("borderless, left", lines="none", align="L", font="times", columns=5),
    Form("borderless, centred", lines="none", align="C", columns=5),
    Form("borderless, groups", lines="none", groups=True, columns=5, align="C"),
    Form("borderless, no header", lines="none", header=False),
    Form("borderless, wrapped header", lines="none", wrapped_header=True, columns=5),
    Form("borderless, wrapped", lines="none", wrapped=True, words=True),
    Form("borderless, over pages, header repeated", lines="none", rows=90),
    Form("borderless, over pages, header once", lines="none", rows=90, repeat=False),
    Form("borderless, in a column", lines="none", where="column", columns=3, size=8),
    Form("borderless, years", lines="none", years=True, bold=False),
    Form("borderless, typewriter", lines="none", font="courier", size=9, bold=False),
    Form("borderless, landscape", lines="none", where="landscape", columns=9, size=9),
    Form("frame and columns", lines="columns", columns=5),
    Form("frame alone", lines="frame"),
    Form("shaded rows", lines="shade", columns=5),
    Form("shaded rows, groups", lines="shade", columns=5, groups=True, align="C"),
    Form("narrow gaps", narrow=True, columns=6, size=9),
    Form("narrow gaps, borderless", lines="none", narrow=True, columns=6, size=9),
]


@dataclass
class Drawn:
    """A table that was drawn: its file and what it says."""

    name: str
    path: Path
    facts: list[Fact] = field(default_factory=list)


def table_set(folder: Path, seed: int = 7) -> Iterator[Drawn]:
    """Draw each form once; one PDF a table."""
    for index, form in enumerate(FORMS):
        yield _Sheet(form, random.Random(seed * 1000 + index)).draw(folder / f"{index:02}.pdf")


class _Sheet:
    """One table on its pages."""

    def __init__(self, form: Form, chance: random.Random) -> None:
        self.form, self.chance = form, chance
        turned = form.where == "landscape"
        self.pdf = FPDF("landscape" if turned else "portrait", "pt", "A4")
        self.pdf.set_auto_page_break(False)
        self.pdf.set_margins(0, 0)
        self.wide, self.high = (842.0, 595.0) if turned else (595.0, 842.0)
        self.left, self.right = 56.0, self.wide - 56
        if form.where == "sideways":
            self.wide, self.high = 842.0, 595.0
            self.right = self.wide - 56
        if form.where == "column":
            self.left, self.right = 310.0, 540.0
        self.y = 0.0
        self.line = form.size * 1.25
        self.values: set[str] = set()

    # content

    def _value(self) -> str:
        while True:
            if self.form.words:
                value = " ".join(self.chance.sample(_PLACES, 3)) + f" {self.chance.randint(2, 99)}"
            else:
                kind = self.chance.randrange(4)
                value = (
                    f"{self.chance.randint(100, 9999)}",
                    f"{self.chance.uniform(0, 99):.2f}",
                    f"{self.chance.randint(1, 9)},{self.chance.randint(100, 999)}",
                    f"{self.chance.uniform(0, 99):.1f} %",
                )[kind]
            if value not in self.values:
                self.values.add(value)
                return value

    def _content(self) -> None:
        form, chance = self.form, self.chance
        pairs = [(noun, place) for noun in _NOUNS for place in _PLACES]
        picked = chance.sample(pairs, form.rows)
        self.names: list[list[str]] = []
        for row, (noun, place) in enumerate(picked):
            label = f"{noun.capitalize()} {place}"
            if form.labels == 2:
                label = f"{_PLACES[row // 2]} works"
                self.names.append([label, f"{noun} {chance.choice('ABCDEF')}{row}"])
            else:
                self.names.append([label])
        values = form.columns - form.labels
        heads = chance.sample(_HEADS, values)
        if form.years:
            heads = [str(2019 + i) for i in range(values)]
        if form.wrapped_header:
            heads = [f"{head} at full\nload (l/s)" for head in heads]
        if form.wrapped:
            heads = [f"{head} office" for head in heads]
        self.heads = heads
        self.groups: list[tuple[str, int, int]] = []
        if form.groups:
            split = max(2, values // 2)
            names = chance.sample(["Summer plan", "Winter plan", "Night duty", "Day duty"], 2)
            self.groups = [(names[0], form.labels, form.labels + split)]
            if values - split > 1:
                self.groups.append((names[1], form.labels + split, form.columns))
        self.corner = ["Works", "Machine"][-form.labels :] if form.labels < 2 else ["Works", "Part"]
        self.body = [[self._value() for _ in range(values)] for _ in range(form.rows)]

    def facts(self) -> Iterator[Fact]:
        form = self.form
        for names, values in zip(self.names, self.body, strict=True):
            for at, value in enumerate(values):
                column = at + form.labels
                over = [name for name, first, behind in self.groups if first <= column < behind]
                header = (*over, self.heads[at].replace("\n", " ")) if form.header else ()
                yield Fact(names[-1], header, value)

    # drawing

    def draw(self, path: Path) -> Drawn:
        form = self.form
        self._content()
        self._page(first=True)
        self._columns()
        if form.header:
            self._header()
        for row in range(form.rows):
            high = self._height(row)
            if self.y + high > self.high - 90:
                self._end()
                self._page(first=False)
                if form.header and form.repeat:
                    self._header()
                else:
                    self.top = self.y
            self._row(row, high)
        self._end()
        self.y += 16
        self._prose(1)
        self.pdf.output(str(path))
        if form.where == "rotated":
            _rotate(path)
        return Drawn(form.name, path, list(self.facts()))

    def _page(self, *, first: bool) -> None:
        self.pdf.add_page()
        self._text(56, 30, "Works register of the water board", 9)
        self._text(56, self.high - 40, f"Page {self.pdf.page_no()}", 9)
        self.y = 80.0
        if self.form.where == "column":
            left, right = self.left, self.right
            self.left, self.right = 56.0, 285.0
            for _ in range(5):
                self._prose(1)
            self.left, self.right = left, right
            self.y = 80.0
        if first:
            self._prose(1)
            self.y += 4
            self._text(self.left, self.y, "Table 1. Readings of the works", self.form.size, "B")
            self.y += self.line + 6

    def _prose(self, times: int) -> None:
        words = (_PROSE * times).split()
        size = 9.5
        self.pdf.set_font("times", "", size)
        row: list[str] = []
        for word in words:
            if self.pdf.get_string_width(" ".join([*row, word])) > self.right - self.left:
                self._text(self.left, self.y, " ".join(row), size, font="times")
                self.y += size * 1.2
                row = []
            row.append(word)
        self._text(self.left, self.y, " ".join(row), size, font="times")
        self.y += size * 1.2 + 6

    def _text(
        self, x: float, y: float, text: str, size: float, style: str = "", font: str = "helvetica"
    ) -> None:
        self.pdf.set_font(font, style, size)
        if self.form.where == "sideways":
            with self.pdf.rotation(90, y + size, self.wide - x):
                self.pdf.text(y + size, self.wide - x, text)
        else:
            self.pdf.text(x, y + size, text)

    def _stroke(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.pdf.set_line_width(0.6)
        if self.form.where == "sideways":
            x0, y0, x1, y1 = y0, self.wide - x0, y1, self.wide - x1
        self.pdf.line(x0, y0, x1, y1)

    def _columns(self) -> None:
        form = self.form
        wide = self.right - self.left
        label = min(0.3, 1.5 / form.columns) * wide
        if form.narrow:
            label, each = 92.0, 46.0
        else:
            each = (wide - label * form.labels) / (form.columns - form.labels)
        edges = [self.left]
        for column in range(form.columns):
            edges.append(edges[-1] + (label if column < form.labels else each))
        self.edges = edges
        self.top = self.y

    def _cell(
        self, column: int, text: str, y: float, style: str = "", behind: int = 0, align: str = ""
    ) -> None:
        form = self.form
        behind = behind or column + 1
        left, right = self.edges[column] + 3, self.edges[behind] - 3
        align = align or ("L" if column < form.labels else form.align)
        for line in self._wrap(text, right - left, style):
            self.pdf.set_font(form.font, style, form.size)
            wide = self.pdf.get_string_width(line)
            x = {"L": left, "R": right - wide, "C": (left + right - wide) / 2}[align]
            self._text(x, y, line, form.size, style, form.font)
            y += self.line

    def _wrap(self, text: str, wide: float, style: str = "") -> list[str]:
        self.pdf.set_font(self.form.font, style, self.form.size)
        lines = []
        for part in text.split("\n"):
            row: list[str] = []
            for word in part.split():
                if row and self.pdf.get_string_width(" ".join([*row, word])) > wide:
                    lines.append(" ".join(row))
                    row = []
                row.append(word)
            lines.append(" ".join(row))
        return lines

    def _pad(self) -> float:
        return 2.0 if self.form.lines in {"none", "booktabs"} and not self.form.wrapped else 4.0

    def _header(self) -> None:
        form = self.form
        style = "B" if form.bold else ""
        self.top = self.y
        if form.lines == "booktabs":
            self._stroke(self.edges[0], self.y - 1, self.edges[-1], self.y - 1)
        high = self.line + self._pad()
        columns = pairwise(self.edges[form.labels :])
        lines = [
            len(self._wrap(head, right - left - 6, style))
            for head, (left, right) in zip(self.heads, columns, strict=True)
        ]
        deep = max(lines) * self.line + self._pad()
        begin = self.y
        grouped = set()
        if self.groups:
            for name, first, behind in self.groups:
                self._cell(first, name, self.y + 1, style, behind, "C")
                grouped |= set(range(first, behind))
                if form.lines in {"all", "rows", "booktabs"}:
                    inset, level = 3 if form.lines == "booktabs" else 0, self.y + high - 1
                    left, right = self.edges[first] + inset, self.edges[behind] - inset
                    self._stroke(left, level, right, level)
            self.y += high
        for column, name in enumerate(self.corner):
            self._cell(column, name, self.y + 1, style)
        for at, head in enumerate(self.heads):
            self._cell(
                at + form.labels, head, self.y + 1, style, align="C" if form.align == "C" else ""
            )
        self.y += deep
        self._rule(begin, self.y, header=True, grouped=grouped, split=begin + high)

    def _rule(
        self,
        begin: float,
        end: float,
        *,
        header: bool = False,
        grouped: set[int] | None = None,
        split: float = 0,
    ) -> None:
        lines = self.form.lines
        edges = self.edges
        if lines == "all":
            for level in (begin - 1, end - 1):
                self._stroke(edges[0], level, edges[-1], level)
            for index, x in enumerate(edges):
                top = begin - 1
                inside = any(first < index < behind for _, first, behind in self.groups)
                if header and grouped and inside:
                    top = split - 1
                self._stroke(x, top, x, end - 1)
        elif lines == "rows" or (lines == "booktabs" and header):
            self._stroke(edges[0], end - 1, edges[-1], end - 1)

    def _height(self, row: int) -> float:
        cells = [*self.names[row], *self.body[row]]
        deep = max(
            len(self._wrap(text, self.edges[i + 1] - self.edges[i] - 6))
            for i, text in enumerate(cells)
        )
        return deep * self.line + self._pad()

    def _row(self, row: int, high: float) -> None:
        form = self.form
        if form.lines == "shade" and row % 2 == 0:
            self.pdf.set_fill_color(225, 230, 240)
            self.pdf.rect(self.edges[0], self.y - 1, self.edges[-1] - self.edges[0], high, "F")
        names = list(self.names[row])
        shared = form.labels == 2 and row % 2 == 1
        if shared:
            names[0] = ""
        for column, text in enumerate([*names, *self.body[row]]):
            if text:
                self._cell(column, text, self.y + 1)
        begin = self.y
        self.y += high
        if form.labels == 2 and form.lines == "all":
            last = row % 2 == 1 or row == form.rows - 1
            self._stroke(self.edges[0 if last else 1], self.y - 1, self.edges[-1], self.y - 1)
            for x in self.edges:
                self._stroke(x, begin - 1, x, self.y - 1)
        elif form.labels == 2 and form.lines == "booktabs":
            return
        else:
            self._rule(begin, self.y)

    def _end(self) -> None:
        lines, edges = self.form.lines, self.edges
        if lines == "booktabs":
            self._stroke(edges[0], self.y - 1, edges[-1], self.y - 1)
        if lines in {"frame", "columns"}:
            for level in (self.top - 2, self.y):
                self._stroke(edges[0], level, edges[-1], level)
            for x in edges if lines == "columns" else (edges[0], edges[-1]):
                self._stroke(x, self.top - 2, x, self.y)


def _rotate(path: Path) -> None:
    """Turn the page by a quarter, as a viewer shows it."""
    import pypdfium2

    document = pypdfium2.PdfDocument(path.read_bytes())
    for page in document:
        page.set_rotation(90)
    document.save(path)
