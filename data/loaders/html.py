"""HTML and XHTML: what a reader of the page would read, by its headings."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.element import CData, NavigableString, PageElement, Tag

from data.blocks import Block, Loaded, LoadWarning
from data.cleaning import clean, inline
from data.loaders.encodings import declared_encoding, decode
from data.loaders.making import Cell, grid, heading, item, line, paragraph, picture, quoted, table
from data.loaders.numbering import shown_number
from data.loaders.scripts import lowered, raised, with_fractions

_SPACE = re.compile(r"\s+")
# fmt: off
_DELETED = frozenset({"del", "s", "strike"})
_DROPPED = _DELETED | frozenset({
    "script", "style", "nav", "template", "noscript", "head", "iframe", "svg", "canvas",
    "object", "select", "textarea", "audio", "video", "math-field",
})
_FLOW = frozenset({
    "address", "article", "aside", "blockquote", "body", "button", "caption", "center", "dd",
    "details", "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form",
    "header", "hgroup", "hr", "html", "legend", "li", "main", "ol", "p", "section", "summary",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
})
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu"})
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_MATH = {
    "msup": ("sup",), "msub": ("sub",), "msubsup": ("sub", "sup"), "mfrac": (), "msqrt": (),
}  # fmt: skip
_CELLS = re.compile("cell|gridcell|columnheader|rowheader")
_UNSEEN_ROLES = frozenset({"navigation", "menubar", "banner search", "search"})


def load(path: Path) -> Iterator[Loaded]:
    """Blocks in document order, headings (h1 to h6); offsets count in the text given out.

    Scripts, styles, navigation and templates are dropped; what a page folds away until it is
    clicked is kept. The page's title is the document's, unless its first h1 says the same. The
    encoding is the one that the page declares, else it is found as that of plain text. Lines of a
    blockquote begin with "> ".
    """
    raw = path.read_bytes()
    if label := _declared(raw):
        soup = parse(raw, declared_encoding(raw, label))
    else:
        decoded = decode(raw, path.name)
        yield from decoded.warnings
        soup = parse(decoded.text)
    title = inline(soup.title.get_text()) if soup.title else ""
    topmost = soup.find("h1")
    if title and not (topmost and _words(title) == _words(_shown(topmost))):
        yield heading(0, title)
    yield from blocks(soup)
    deleted = sum(
        bool(node.get_text(strip=True)) and node.find_parent(_DELETED) is None
        for node in soup.find_all(_DELETED)
    )
    if deleted:
        yield LoadWarning(
            f"deleted text is left out ({deleted} {'place' if deleted == 1 else 'places'})"
        )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _declared(raw: bytes) -> str | None:
    """The encoding that the page says: by a mark, or in its first bytes."""
    from bs4.dammit import EncodingDetector

    _, marked = EncodingDetector.strip_byte_order_mark(raw)
    return marked or EncodingDetector.find_declared_encoding(raw, is_html=True)


def parse(raw: bytes | str, encoding: str | None = None) -> BeautifulSoup:
    """The tree of a page. lxml's HTML parser fetches nothing and expands no entities."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        soup = BeautifulSoup(raw, "lxml", from_encoding=encoding)
    _write_formulas(soup)
    return soup


def _write_formulas(soup: BeautifulSoup) -> None:
    """Let formulas of MathML say in text what they say by place: x^2, a/b."""
    for tag in soup.find_all(["annotation", "annotation-xml"]):
        tag.decompose()
    for tag in soup.find_all(_MATH):
        parts = [child for child in tag.children if isinstance(child, Tag)]
        if tag.name == "msqrt":
            tag.insert(0, NavigableString("\u221a"))
        elif len(parts) > 1 and tag.name == "mfrac":
            tag.string = "/".join(map(_bracketed, parts[:2]))
        elif len(parts) > 1:
            for part, script in zip(parts[1:], _MATH[tag.name], strict=False):
                part.name, part.string = script, "".join(part.get_text().split())


def _bracketed(part: Tag) -> str:
    text = "".join(part.get_text().split())
    return text if text.isalnum() else f"({text})"


def blocks(root: Tag) -> Iterator[Block]:
    """Headings, paragraphs, list items, tables and preformatted text below a tag, in order."""
    flow = _Flow()
    todo: list[tuple[PageElement, bool]] = [(root, False)]
    while todo:
        node, done = todo.pop()
        if not isinstance(node, Tag):
            flow.add_label(node)
        elif done:
            yield from flow.leave(node)
        elif _is_hidden(node):
            continue
        elif whole := _whole(node):
            yield from flow.flush()
            yield from whole
            yield from _pictures(node)
        else:
            yield from flow.enter(node)
            todo.append((node, True))
            todo.extend((child, False) for child in reversed(node.contents))


@dataclass
class _List:
    """A list that is being read: the number of its next item, if any, and how it goes on."""

    number: int | None
    step: int
    form: str


class _Flow:
    """Gathers running text until a block begins or ends, and knows how deep in lists it is."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._lists: list[_List] = []
        self._bullet = ""
        self._quotes = 0
        self._pictures: list[str] = []

    def add_label(self, node: PageElement) -> None:
        """Take a piece of text; comments, doctypes and the like are no text."""
        if type(node) in {NavigableString, CData}:
            self._text.append(_SPACE.sub(" ", _scripted(node)))

    def enter(self, tag: Tag) -> Iterator[Block]:
        """Begin an element: what it parts from what came before."""
        name = tag.name
        if name in _FLOW:
            yield from self.flush()
        if name in _LISTS:
            back = name == "ol" and tag.has_attr("reversed")
            first = len(tag.find_all("li", recursive=False)) if back else 1
            number = _number(tag, "start", first) if name == "ol" else None
            form = _FORMS.get(str(tag.get("type", "")), "decimal")
            self._lists.append(_List(number, -1 if back else 1, form))
        elif name == "li":
            self._bullet = self._mark(tag)
        elif name == "blockquote":
            self._quotes += 1
        elif name == "br":
            self._text.append("\n")
        elif name == "img":
            self._pictures.append(str(tag.get("alt", "")))

    def _mark(self, tag: Tag) -> str:
        inmost = self._lists[-1] if self._lists else None
        if inmost is None or inmost.number is None:
            return "- "
        number = _number(tag, "value", inmost.number)
        inmost.number = number + inmost.step
        return f"{shown_number(number, inmost.form)}. "

    def leave(self, tag: Tag) -> Iterator[Block]:
        """End an element."""
        if tag.name in _FLOW:
            yield from self.flush()
        if tag.name in _LISTS and self._lists:
            self._lists.pop()
        elif tag.name == "blockquote":
            self._quotes -= 1

    def flush(self) -> Iterator[Block]:
        """The text gathered so far as a paragraph or item, and what is said of its pictures."""
        yield from self._gathered()
        for text in self._pictures:
            yield from picture(text)
        self._pictures.clear()

    def _gathered(self) -> Iterator[Block]:
        lines = (inline(line) for line in with_fractions("".join(self._text)).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._text.clear()
        if not text:
            return
        depth = len(self._lists)
        if depth == 0:
            yield paragraph(quoted(text, self._quotes))
            return
        indent = "  " * min(depth - 1, 8)
        text = f"{indent}{self._bullet or '  '}{text}"
        yield item(quoted(text, self._quotes), level=depth - 1)
        self._bullet = ""


def _number(tag: Tag, attribute: str, otherwise: int) -> int:
    value = str(tag.get(attribute, ""))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else otherwise


def _is_hidden(tag: Tag) -> bool:
    role = str(tag.get("role", ""))
    return tag.name in _DROPPED or role in _UNSEEN_ROLES or _is_control(tag)


def _is_control(tag: Tag) -> bool:
    """Whether a button does something rather than say what it unfolds."""
    return tag.name == "button" and str(tag.get("type", "")) in {"submit", "reset"}


def _whole(tag: Tag) -> list[Block] | None:
    """The blocks that a tag makes with all below it; None for a tag to walk into."""
    if tag.name in _HEADINGS:
        return [heading(_HEADINGS[tag.name], _shown(tag))]
    if tag.name == "pre":
        return [Block("code", clean(_shown(tag)))]
    role = tag.get("role")
    if role in {"table", "grid"} and tag.name != "table" and not tag.find("table"):
        return list(table(*grid(_role_rows(tag))))
    if tag.name == "table" and not tag.find(["table", "pre", *_HEADINGS]):
        caption = tag.find("caption")
        title = inline(_shown(caption)) if isinstance(caption, Tag) else ""
        rows = list(_rows(tag))
        if all([cell.header for cell in row] == [True, False] for row in rows):  # label, value
            return [paragraph(title), *(line(f"{row[0].text}: {row[1].text}") for row in rows)]
        return list(table(*grid(rows), title))
    return None


def _pictures(tag: Tag) -> Iterator[Block]:
    """What is said of pictures beside the text of cells and headings."""
    for image in tag.find_all("img"):
        place = image.find_parent(["td", "th", *_HEADINGS])
        if place is not None and place.get_text(strip=True):
            yield from picture(str(image.get("alt", "")))


def _shown(tag: Tag) -> str:
    """The text of a tag, where a break is a line feed and inline tags part no words."""
    parts: list[str] = []
    for node in _left(tag):
        if isinstance(node, Tag):
            if node.name == "br" or node.name in _FLOW:
                parts.append("\n")
        elif type(node) in {NavigableString, CData}:
            parts.append(_scripted(node))
    text = with_fractions("".join(parts))
    return (
        text if text.strip() else " ".join(str(one.get("alt", "")) for one in tag.find_all("img"))
    )


def _left(tag: Tag) -> Iterator[PageElement]:
    """What is below a tag, in order, but for what was deleted."""
    todo = tag.contents[::-1]
    while todo:
        node = todo.pop()
        if isinstance(node, Tag):
            if node.name in _DELETED:
                continue
            todo += node.contents[::-1]
        yield node


def _scripted(node: PageElement) -> str:
    """A piece of text, raised or lowered as the tags around it say."""
    script = node.find_parent(["sup", "sub", *_FLOW])
    if script is not None and script.name == "sup":
        return raised(str(node))
    return lowered(str(node)) if script is not None and script.name == "sub" else str(node)


def _role_rows(table: Tag) -> Iterator[list[Cell]]:
    """The rows of a table that is none but for what it tells to those who cannot see it."""
    for row in table.find_all(role="row"):
        yield [
            Cell(_shown(cell), header=cell.get("role") == "columnheader")
            for cell in row.find_all(role=_CELLS)
        ]


def _rows(table: Tag) -> Iterator[list[Cell]]:
    for row in table.find_all("tr"):
        head = row.parent is not None and row.parent.name == "thead"
        yield [
            Cell(
                _shown(cell),
                _number(cell, "colspan", 1),
                _number(cell, "rowspan", 1) or 65_534,  # 0: to the end of the table
                head or cell.name == "th",
            )
            for cell in row.find_all(["td", "th"])
        ]
