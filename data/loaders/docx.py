"""Word documents: headings, paragraphs, lists, tables and what stands beside them, in order."""

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data.blocks import Block, Loaded, LoadWarning
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.charts import chart
from data.loaders.docx_symbols import form_field, symbol
from data.loaders.making import (
    Cell,
    comment,
    grid,
    heading,
    is_page_number,
    item,
    note,
    paragraph,
    picture,
    table,
)
from data.loaders.numbering import Numbering
from data.loaders.scripts import lowered, raised, with_fractions

_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)
_LIST = re.compile(r"List (?:Bullet|Number) (\d)$")
_DEEPEST = 8
_SKIPPED = frozenset({"Fallback", "txbxContent", "del", "moveFrom", "pPr", "instrText", "rPr"})
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"})
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
_DRAWN: Mapping[str, Callable[[Any], str]] = {"sym": symbol, "ffData": form_field}
Script = Callable[[str], str]
_SCRIPTS: Mapping[str, Script] = {
    "superscript": raised, "subscript": lowered, "sup": raised, "sub": lowered
}  # fmt: skip
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def load(path: Path) -> Iterator[Loaded]:
    """Blocks in document order; the file has no pages.

    Headings are paragraphs of a style "Heading 1" to "Heading 9" or "Title" (level 0), or with an
    outline level. List items and numbered headings have the marks that Word counts, bullets are
    "- ". Headers and footers with text come first, foot- and endnotes and comments behind the
    paragraph that refers to them. Inserted text counts, deleted and hidden text does not, which a
    warning says. Raises UnreadableFile for a damaged file.
    """
    import docx
    from docx.opc.exceptions import PackageNotFoundError
    from lxml import etree

    try:
        document = docx.Document(str(path))
    except (PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError, etree.LxmlError) as e:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not a Word document"
        ) from e
    reader = _Reader(document)
    yield from reader.running_heads(document)
    yield from reader.blocks(document.element.body)
    yield from reader.warnings()


def _tag(element: Any) -> str:
    """Local name of an element; empty for comments and processing instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


class _Reader:
    """Reads a document's body with its styles, its lists and its notes."""

    def __init__(self, document: Any) -> None:
        self._styles = {style.style_id: style for style in document.styles}
        self._numbering = Numbering(_part(document, "numbering"))
        self._notes = {
            reference: _numbered(_part(document, name)) for reference, name in _NOTES.items()
        } | {"commentReference": _numbered(_part(document, "comments"))}
        self._parts = document.part.related_parts
        self._left_out: Counter[str] = Counter()

    def running_heads(self, document: Any) -> Iterator[Block]:
        """What headers and footers say, once each, page numbers apart."""
        seen: set[str] = set()
        for section in document.sections:
            for part in (
                section.header, section.first_page_header, section.even_page_header,
                section.footer, section.first_page_footer, section.even_page_footer,
            ):  # fmt: skip
                if part.is_linked_to_previous:
                    continue
                for block in self.blocks(part._element):
                    text = inline(block.text)
                    if text and text not in seen and not is_page_number(text):
                        seen.add(text)
                        yield block if block.table else note(text)

    def warnings(self) -> Iterator[LoadWarning]:
        """What was left out."""
        for what, count in self._left_out.items():
            yield LoadWarning(f"{what} is left out ({count} {'place' if count == 1 else 'places'})")

    def blocks(self, parent: Any) -> Iterator[Block]:
        """The blocks below an element."""
        for element in parent:
            tag = _tag(element)
            if tag == "p":
                yield self._paragraph(element)
                yield from self._beside(element)
                for box in _boxes(element):
                    yield from self.blocks(box)
            elif tag == "tbl":
                yield from self._table(element)
            elif tag in _WRAPPERS:
                yield from self.blocks(element)
            elif tag in {"del", "moveFrom"}:
                self._left_out["deleted text"] += 1

    def _paragraph(self, element: Any) -> Block:
        text = self._text(element)
        properties = element.pPr
        style = self._styles.get(properties.style) if properties is not None else None
        level = _heading_level(properties, style)
        mark, indent = self._mark(properties, style) if text.strip() else ("", None)
        if level is not None:
            return heading(level, f"{mark} {text}" if mark not in {"", "-"} else text)
        if indent is not None:
            return item(f"{'  ' * indent}{mark} {inline(text)}".rstrip(), level=indent)
        if style is not None and (style.name or "").lower() == "caption":
            return Block("caption", text.strip())
        return paragraph(text.strip())

    def _mark(self, properties: Any, style: Any) -> tuple[str, int | None]:
        """The mark of a list item and how deep it is; None for what is no list item."""
        numbering, level = _numbering(properties, style)
        if numbering is None:
            return "", None
        return self._numbering.mark(str(numbering), level), min(level, _DEEPEST)

    def _text(self, element: Any) -> str:
        """The text of a paragraph with inserted runs, links and formulas, without its boxes."""
        parts: list[str] = []
        todo: list[tuple[Any, Script]] = [(element, str)]
        while todo:
            node, script = todo.pop()
            tag = _tag(node)
            if tag == "t":
                parts.append(script(node.text or ""))
            elif tag in _BREAKS:
                parts.append(_BREAKS[tag])
            elif tag in _DRAWN:
                parts.append(_DRAWN[tag](node))
            elif tag in {"del", "moveFrom"}:
                self._left_out["deleted text"] += 1
            elif tag in {"f", "rad"}:
                parts.append(self._fraction(node) if tag == "f" else self._root(node))
            elif tag == "r" and _is_hidden(node):
                self._left_out["hidden text"] += any(_tag(child) == "t" for child in node)
            elif tag not in _SKIPPED:
                script = _script(node) or script
                todo.extend((child, script) for child in reversed(node))
        return with_fractions("".join(parts))

    def _fraction(self, node: Any) -> str:
        halves = [self._text(child) for child in node if _tag(child) in {"num", "den"}]
        return "/".join(f"({half})" if " " in half or "+" in half else half for half in halves)

    def _root(self, node: Any) -> str:
        degree, radicand = ("".join(map(self._text, _within(node, tag))) for tag in ("deg", "e"))
        return f"{raised(degree)}√({radicand})"

    def _beside(self, element: Any) -> Iterator[Block]:
        """The notes and comments that a paragraph refers to, and what is said of its pictures."""
        for node in _drawn(element):
            yield from picture(_description(node))
            if _tag(node) == "chart":
                yield from self._chart(node)
            notes = self._notes.get(_tag(node))
            if notes is not None:
                body = notes.get(node.get(f"{_W}id", ""))
                if body is None:
                    continue
                parts = [self._text(each) for each in body.iter(f"{_W}p")]
                text = inline(" ".join(parts))
                if text and _tag(node) == "commentReference":
                    yield comment(text, body.get(f"{_W}author"))
                elif text:
                    yield note(f"Note: {text}")

    def _chart(self, node: Any) -> Iterator[Block]:
        part = self._parts.get(node.get(f"{_R}id", ""))
        try:
            yield from chart(part.blob if part is not None else b"")
        except ValueError:
            self._left_out["a chart that cannot be read"] += 1

    def _table(self, element: Any, title: str = "") -> Iterator[Block]:
        rows: list[list[Cell]] = []
        heads = 0
        nested: list[tuple[str, Any]] = []
        beside: list[Block] = []
        above: dict[int, tuple[int, int]] = {}  # column -> row and place of the cell that goes on
        for row in _within(element, "tr"):
            if _deleted(row):
                self._left_out["a deleted row"] += 1
                continue
            cells: list[Cell] = []
            column = 0
            properties = next(_within(row, "trPr"), None)
            if properties is not None:
                before = next((n for n in properties if _tag(n) == "gridBefore"), None)
                for _ in range(int(before.get(f"{_W}val", "0")) if before is not None else 0):
                    cells.append(Cell(""))
                    column += 1
                if len(rows) == heads and any(_tag(n) == "tblHeader" for n in properties):
                    heads += 1
            for cell in _within(row, "tc"):
                width, merge = _spans(cell)
                if merge == "continue" and column in above:
                    at, place = above[column]
                    old = rows[at][place]
                    rows[at][place] = Cell(old.text, old.columns, old.rows + 1, old.header)
                else:
                    above[column] = (len(rows), len(cells))
                    cells.append(Cell(self._cell(cell), width))
                    inner = list(_within(cell, "tbl"))
                    label = cells[0].text if len(cells) > 1 else ""
                    nested += [(label, each) for each in inner]
                    for each in _paragraphs(cell):
                        beside += self._beside(each)
                        beside += (block for box in _boxes(each) for block in self.blocks(box))
                column += width
            rows.append(cells)
        yield from table(grid(rows)[0], heads, title)
        yield from beside
        for label, each in nested:
            yield from self._table(each, label)

    def _cell(self, cell: Any) -> str:
        return " ".join(self._text(each) for each in _paragraphs(cell))


def _part(document: Any, name: str) -> Any | None:
    """The root element of a part of the document, such as its footnotes."""
    from lxml import etree

    for relation in document.part.rels.values():
        if relation.reltype.rpartition("/")[2] == name and not relation.is_external:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            return etree.fromstring(relation.target_part.blob, parser)
    return None


def _numbered(part: Any | None) -> dict[str, Any]:
    """The notes of a part by their ids; separators are no notes."""
    if part is None:
        return {}
    return {
        node.get(f"{_W}id", ""): node
        for node in part
        if _tag(node) in {"footnote", "endnote", "comment"} and not node.get(f"{_W}type")
    }


def _spans(cell: Any) -> tuple[int, str]:
    """How many columns a cell covers, and whether it goes on from the row above."""
    width, merge = 1, ""
    for properties in _within(cell, "tcPr"):
        for node in properties:
            value = node.get(f"{_W}val", "")
            if _tag(node) == "gridSpan" and value.isdigit():
                width = min(int(value), 1000)
            elif _tag(node) == "vMerge":
                merge = value or "continue"
    return width, merge


def _deleted(row: Any) -> bool:
    """Whether a tracked change deletes the row."""
    return any(_tag(node) == "del" for part in row if _tag(part) == "trPr" for node in part)


def _run_property(node: Any, name: str) -> str | None:
    for properties in node:
        if _tag(properties) == "rPr":
            for each in properties:
                if _tag(each) == name:
                    return str(each.get(f"{_W}val", "true"))
    return None


def _is_hidden(run: Any) -> bool:
    return _run_property(run, "vanish") not in {None, "0", "false"}


def _script(node: Any) -> Script | None:
    """How an element sets what is in it: a run's property, or a part of a formula."""
    tag = _tag(node)
    return _SCRIPTS.get(_run_property(node, "vertAlign") or "" if tag == "r" else tag)


def _drawn(element: Any) -> Iterator[Any]:
    """All elements of a paragraph, but for copies for old Word and what is inside text boxes."""
    todo = list(reversed(element))
    while todo:
        node = todo.pop()
        if _tag(node) != "Fallback":
            yield node
            if _tag(node) != "txbxContent":
                todo.extend(reversed(node))


def _description(node: Any) -> str:
    """The alternative text that an element of a drawing has."""
    name = {"docPr": "descr", "shape": "alt"}.get(_tag(node), "")
    return str(node.get(name, "")) if name else ""


def _boxes(element: Any) -> Iterator[Any]:
    """The contents of the text boxes in a paragraph, outermost ones, each once."""
    return (node for node in _drawn(element) if _tag(node) == "txbxContent")


def _within(parent: Any, tag: str) -> Iterator[Any]:
    """Children of a name, also where a content control or a change mark wraps them."""
    for element in parent:
        if _tag(element) == tag:
            yield element
        elif _tag(element) in _WRAPPERS:
            yield from _within(element, tag)


def _paragraphs(cell: Any) -> Iterator[Any]:
    """All paragraphs of a cell, those of nested tables included."""
    todo = list(reversed(cell))
    while todo:
        node = todo.pop()
        if _tag(node) == "p":
            yield node
        elif _tag(node) != "Fallback":
            todo.extend(reversed(node))


def _heading_level(properties: Any, style: Any) -> int | None:
    """The level that a paragraph's own outline level, its style or that style's bases give."""
    found = _outline(properties)
    seen: set[str] = set()
    while found is None and style is not None and style.style_id not in seen:
        seen.add(style.style_id)
        name = style.name or ""
        named = _HEADING.match(name)
        if named:
            return int(named[1])
        if name == "Title":
            return 0
        found = _outline(style.element.pPr)
        style = style.base_style
    return found


def _outline(properties: Any) -> int | None:
    """w:outlineLvl counts from 0; 9 means body text (ECMA-376 part 1, §17.3.1.20)."""
    for element in properties if properties is not None else ():
        if _tag(element) == "outlineLvl":
            value = next(iter(element.attrib.values()), "9")
            return int(value) + 1 if value.isdigit() and int(value) < 9 else None
    return None


def _numbering(properties: Any, style: Any) -> tuple[int | None, int]:
    """The list of a paragraph, by its own properties or its style's, and its depth from 0."""
    numbering = properties.numPr if properties is not None else None
    level = (
        int(numbering.ilvl.val) if numbering is not None and numbering.ilvl is not None else None
    )
    number = (
        int(numbering.numId.val) if numbering is not None and numbering.numId is not None else None
    )
    seen: set[str] = set()
    named = _LIST.match(style.name or "") if style is not None else None
    while number is None and style is not None and style.style_id not in seen:
        seen.add(style.style_id)
        base = style.element.pPr.numPr if style.element.pPr is not None else None
        if base is not None and base.numId is not None:
            number = int(base.numId.val)
        if base is not None and base.ilvl is not None and level is None:
            level = int(base.ilvl.val)
        style = style.base_style
    if level is None:
        level = int(named[1]) - 1 if named else 0
    return (number or None), level
