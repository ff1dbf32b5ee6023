"""HTML and XHTML: what a reader of the page would read, by its headings."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.element import CData, NavigableString, PageElement, Tag

from data.blocks import Block
from data.cleaning import clean, inline
from data.loaders.making import Cell, grid, heading, item, paragraph, table

_SPACE = re.compile(r"\s+")
# fmt: off
_DROPPED = frozenset({
    "script", "style", "nav", "template", "noscript", "head", "iframe", "svg", "canvas", "object",
    "button", "select", "textarea", "dialog", "audio", "video",
})
_FLOW = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup",
    "hr", "html", "legend", "li", "main", "ol", "p", "section", "summary", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "ul",
})
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu"})


def load(path: Path) -> Iterator[Block]:
    """Blocks in document order, headings (h1 to h6); offsets count in the text given out.

    Scripts, styles, navigation, forms and hidden elements are dropped. The page's title stands in
    for a heading where there is none. The encoding is found as browsers do (mark, declaration,
    then statistics).
    """
    soup = parse(path.read_bytes())
    title = inline(soup.title.get_text()) if soup.title else ""
    if title and not soup.find(list(_HEADINGS)):
        yield heading(0, title)
    yield from blocks(soup)


def parse(raw: bytes, encoding: str | None = None) -> BeautifulSoup:
    """The tree of a page. lxml's HTML parser fetches nothing and expands no entities."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        return BeautifulSoup(raw, "lxml", from_encoding=encoding)


def blocks(root: Tag) -> Iterator[Block]:
    """Headings, paragraphs, list items, tables and preformatted text below a tag, in order."""
    flow = _Flow()
    todo: list[tuple[PageElement, bool]] = [(root, False)]
    while todo:
        node, done = todo.pop()
        if not isinstance(node, Tag):
            flow.say(node)
        elif done:
            yield from flow.leave(node.name)
        elif _is_hidden(node):
            continue
        elif whole := _whole(node):
            yield from flow.flush()
            yield from whole
        else:
            yield from flow.enter(node.name)
            todo.append((node, True))
            todo.extend((child, False) for child in reversed(node.contents))


class _Flow:
    """Gathers running text until a block begins or ends, and knows how deep in lists it is."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._depth = 0
        self._bullet = False

    def say(self, node: PageElement) -> None:
        """Take a piece of text; comments, doctypes and the like are no text."""
        if type(node) in {NavigableString, CData}:
            self._text.append(_SPACE.sub(" ", str(node)))

    def enter(self, name: str) -> Iterator[Block]:
        """Begin an element: what it parts from what came before."""
        if name in _FLOW:
            yield from self.flush()
        if name in _LISTS:
            self._depth += 1
        elif name == "li":
            self._bullet = True
        elif name == "br":
            self._text.append("\n")

    def leave(self, name: str) -> Iterator[Block]:
        """End an element."""
        if name in _FLOW:
            yield from self.flush()
        if name in _LISTS:
            self._depth -= 1

    def flush(self) -> Iterator[Block]:
        """The text gathered so far as a paragraph, or inside a list as an item."""
        lines = (inline(line) for line in "".join(self._text).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._text.clear()
        if not text:
            return
        if self._depth == 0:
            yield paragraph(text)
            return
        indent = "  " * min(self._depth - 1, 8)
        yield item(f"{indent}{'- ' if self._bullet else '  '}{text}")
        self._bullet = False


def _is_hidden(tag: Tag) -> bool:
    style = str(tag.get("style", "")).replace(" ", "").lower()
    navigation = tag.get("role") == "navigation"
    return tag.name in _DROPPED or navigation or tag.has_attr("hidden") or "display:none" in style


def _whole(tag: Tag) -> list[Block] | None:
    """The blocks that a tag makes with all below it; None for a tag to walk into."""
    if tag.name in _HEADINGS:
        return [heading(_HEADINGS[tag.name], tag.get_text())]
    if tag.name == "pre":
        return [Block("code", clean(tag.get_text()))]
    if tag.name == "table" and not tag.find(["table", "pre", *_HEADINGS]):
        return list(table(*grid(_rows(tag))))
    return None


def _rows(table: Tag) -> Iterator[list[Cell]]:
    caption = table.find("caption")
    if caption is not None:
        yield [Cell(caption.get_text(" "))]
    for row in table.find_all("tr"):
        yield [Cell(cell.get_text(" ")) for cell in row.find_all(["td", "th"])]
