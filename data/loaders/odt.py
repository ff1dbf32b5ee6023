"""OpenDocument text: headings, paragraphs, lists, tables and text boxes, in document order."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax import SAXException

from data.blocks import Block
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.making import Cell, grid, heading, item, paragraph, table

_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_DRAW = "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
_STYLE = "urn:oasis:names:tc:opendocument:xmlns:style:1.0"
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"

_SKIPPED = frozenset(
    {
        (_TEXT, "tracked-changes"),
        (_TEXT, "sequence-decls"),
        (_TEXT, "note-citation"),
        (_OFFICE, "annotation"),
        (_OFFICE, "forms"),
    }
)
_SPACES = {(_TEXT, "tab"): "\t", (_TEXT, "line-break"): "\n"}


def load(path: Path) -> Iterator[Block]:
    """Blocks in document order.

    A paragraph of the style "Title" is a heading of level 0, list items get "- " and two spaces a
    level, a table row is a line, text boxes follow their paragraph. Deleted text and comments are
    left out. Raises UnreadableFile for an encrypted or damaged file.
    """
    _refuse_encrypted(path)
    from odf.opendocument import load as open_document

    try:
        document = open_document(str(path))
    except (zipfile.BadZipFile, KeyError, ValueError, SAXException) as error:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not an OpenDocument text"
        ) from error
    parents = {
        str(style.getAttrNS(_STYLE, "name")): str(style.getAttrNS(_STYLE, "parent-style-name"))
        for style in document.automaticstyles.childNodes
        if style.qname == (_STYLE, "style")
    }
    titles = frozenset(name for name, parent in parents.items() if parent == "Title") | {"Title"}
    yield from _blocks(document.text, 0, titles)


def _refuse_encrypted(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        manifest = "META-INF/manifest.xml"
        if manifest in archive.namelist() and b":encryption-data" in archive.read(manifest):
            raise UnreadableFile(
                f"cannot read {path.name}",
                cause="it is encrypted with a password",
                hint="Save a copy without the password",
            )


def _blocks(parent: Any, depth: int, titles: frozenset[str]) -> Iterator[Block]:
    """Blocks below an element; `depth` counts the lists around it, `titles` names styles."""
    bullet = bool(depth)
    for node in parent.childNodes:
        name = getattr(node, "qname", None)
        if name in {(_TEXT, "h"), (_TEXT, "p")}:
            yield _paragraph(node, depth, bullet, titles)
            bullet = False
            for box in _boxes(node):
                yield from _blocks(box, 0, titles)
        elif name == (_TABLE, "table"):
            yield from table(*grid(_rows(node)))
        elif name == (_TEXT, "list"):
            for item in node.childNodes:
                yield from _blocks(item, depth + 1, titles)
        elif name is not None and name not in _SKIPPED:
            yield from _blocks(node, depth, titles)


def _paragraph(node: Any, depth: int, bullet: bool, titles: frozenset[str]) -> Block:
    text = _text(node)
    if node.qname == (_TEXT, "h"):
        return heading(int(node.getAttrNS(_TEXT, "outline-level") or 1), text)
    if str(node.getAttrNS(_TEXT, "style-name")) in titles:
        return heading(0, text)
    if depth and text.strip():
        return item(f"{'  ' * (min(depth, 9) - 1)}{'- ' if bullet else '  '}{inline(text)}")
    return paragraph(text)


def _text(node: Any) -> str:
    """The text of a paragraph, without its text boxes."""
    parts: list[str] = []
    todo = [node]
    while todo:
        here = todo.pop()
        name = getattr(here, "qname", None)
        if name is None:
            parts.append(str(here.data))
        elif name == (_TEXT, "s"):
            parts.append(" " * min(int(here.getAttrNS(_TEXT, "c") or 1), 80))
        elif name in _SPACES:
            parts.append(_SPACES[name])
        elif name not in _SKIPPED and name != (_DRAW, "text-box"):
            todo.extend(reversed(here.childNodes))
    return "".join(parts)


def _boxes(node: Any) -> Iterator[Any]:
    """The outermost text boxes in a paragraph."""
    todo = list(reversed(node.childNodes))
    while todo:
        here = todo.pop()
        if getattr(here, "qname", None) == (_DRAW, "text-box"):
            yield here
        else:
            todo.extend(reversed(here.childNodes))


def _rows(table: Any) -> Iterator[list[Cell]]:
    """Rows of a table, those in header and row groups included; merged cells count once."""
    for node in table.childNodes:
        name = getattr(node, "qname", None)
        if name == (_TABLE, "table-row"):
            cells = (cell for cell in node.childNodes if cell.qname == (_TABLE, "table-cell"))
            yield [Cell(" ".join(_cell(cell))) for cell in cells]
        elif name is not None:
            yield from _rows(node)


def _cell(cell: Any) -> Iterator[str]:
    for block in _blocks(cell, 0, frozenset()):
        yield block.text
