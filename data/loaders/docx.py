"""Word documents: headings, paragraphs, lists, tables and text boxes, in document order."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.blocks import Block
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.making import Cell, grid, heading, item, paragraph, table

_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)
_LIST = re.compile(r"List (?:Bullet|Number) (\d)$")
_DEEPEST = 8
_SKIPPED = frozenset({"Fallback", "txbxContent", "del", "moveFrom", "pPr", "instrText"})
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"})


def load(path: Path) -> Iterator[Block]:
    """Blocks in document order; the file has no pages, so offsets count in the document's text.

    Headings are paragraphs of a style "Heading 1" to "Heading 9" or "Title" (level 0), or with an
    outline level; list items get "- " and two spaces a level; a table row is a line. Inserted
    text counts, deleted text does not. Headers, footers and notes are left out. Raises
    UnreadableFile for a damaged file.
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
    styles = {style.style_id: style for style in document.styles}
    yield from _blocks(document.element.body, styles)


def _tag(element: Any) -> str:
    """Local name of an element; empty for comments and processing instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _blocks(parent: Any, styles: dict[str, Any]) -> Iterator[Block]:
    for element in parent:
        tag = _tag(element)
        if tag == "p":
            yield _paragraph(element, styles)
            for box in _boxes(element):
                yield from _blocks(box, styles)
        elif tag == "tbl":
            yield from table(*grid(_rows(element)))
        elif tag in _WRAPPERS:
            yield from _blocks(element, styles)


def _paragraph(element: Any, styles: dict[str, Any]) -> Block:
    text = _text(element)
    properties = element.pPr
    style = styles.get(properties.style) if properties is not None else None
    level = _heading_level(properties, style)
    if level is not None:
        return heading(level, text)
    indent = _list_level(properties, style)
    if indent is not None and text.strip():
        return item(f"{'  ' * indent}- {inline(text)}", level=indent)
    return paragraph(text.strip())


def _text(element: Any) -> str:
    """The text of a paragraph with inserted runs, links and formulas, without its boxes."""
    parts: list[str] = []
    todo = [element]
    while todo:
        node = todo.pop()
        tag = _tag(node)
        if tag == "t":
            parts.append(node.text or "")
        elif tag in _BREAKS:
            parts.append(_BREAKS[tag])
        elif tag not in _SKIPPED:
            todo.extend(reversed(node))
    return "".join(parts)


def _boxes(element: Any) -> Iterator[Any]:
    """The contents of the text boxes in a paragraph, outermost ones, each once."""
    todo = list(reversed(element))
    while todo:
        node = todo.pop()
        tag = _tag(node)
        if tag == "txbxContent":
            yield node
        elif tag != "Fallback":
            todo.extend(reversed(node))


def _rows(table: Any) -> Iterator[list[Cell]]:
    for row in _within(table, "tr"):
        yield [Cell(" ".join(map(_text, _paragraphs(cell)))) for cell in _within(row, "tc")]


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


def _list_level(properties: Any, style: Any) -> int | None:
    """The depth of a list item, from 0; None for what is no list item."""
    numbering = properties.numPr if properties is not None else None
    if numbering is None and style is not None and style.element.pPr is not None:
        numbering = style.element.pPr.numPr
    if numbering is None or numbering.numId is None or numbering.numId.val == 0:
        return None
    if numbering.ilvl is not None:
        return min(int(numbering.ilvl.val), _DEEPEST)
    named = _LIST.match(style.name or "") if style is not None else None
    return int(named[1]) - 1 if named else 0
