"""OpenDocument text: headings, paragraphs, lists, tables and what stands beside them, in order."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.sax import SAXException

from data.blocks import Block, Loaded, LoadWarning
from data.cleaning import inline
from data.errors import UnreadableFile
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
from data.loaders.numbering import shown_number
from data.loaders.scripts import lowered, raised, with_fractions

_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_DRAW = "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
_STYLE = "urn:oasis:names:tc:opendocument:xmlns:style:1.0"
_SVG = "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"
_DC = "http://purl.org/dc/elements/1.1/"
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"

_BESIDE = {(_TEXT, "note"): "Note", (_OFFICE, "annotation"): "Comment"}
_SKIPPED = frozenset(
    {
        (_TEXT, "tracked-changes"),
        (_TEXT, "sequence-decls"),
        (_TEXT, "note-citation"),
        (_OFFICE, "annotation"),
        (_OFFICE, "forms"),
        (_TEXT, "note"),
        (_SVG, "title"),
        (_SVG, "desc"),
    }
)
_SPACES = {(_TEXT, "tab"): "\t", (_TEXT, "line-break"): "\n"}
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_MOST = 1000


def load(path: Path) -> Iterator[Loaded]:
    """Blocks in document order, headers and footers with text first.

    A paragraph of the style "Title" is a heading of level 0. List items have their numbers, or "-
    ", and two spaces a level; text boxes, notes and comments follow their paragraph. Deleted text
    is left out with a warning. Raises UnreadableFile for an encrypted or damaged file.
    """
    _refuse_encrypted(path)
    from odf.opendocument import load as open_document

    try:
        document = open_document(str(path))
    except (zipfile.BadZipFile, KeyError, ValueError, SAXException) as error:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not an OpenDocument text"
        ) from error
    reader = _Reader(document)
    seen: set[str] = set()
    for master in _below(document.masterstyles, {(_STYLE, "header"), (_STYLE, "footer")}):
        for block in reader.blocks(master):
            if (text := inline(block.text)) and not is_page_number(text) and text not in seen:
                seen.add(text)
                yield block if block.table else note(text)
    yield from reader.blocks(document.text)
    deleted = sum(1 for _ in _below(document.text, {(_TEXT, "deletion")}))
    if deleted:
        yield LoadWarning(f"deleted text is left out ({deleted} places)")


def _refuse_encrypted(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        manifest = "META-INF/manifest.xml"
        if manifest in archive.namelist() and b":encryption-data" in archive.read(manifest):
            raise UnreadableFile(
                f"cannot read {path.name}",
                cause="it is encrypted with a password",
                hint="Save a copy without the password",
            )


def _name(node: Any) -> Any:
    return getattr(node, "qname", None)


def _below(root: Any, names: set[tuple[str, str]]) -> Iterator[Any]:
    """The outermost elements of these names below one, in order."""
    todo = list(reversed(root.childNodes))
    while todo:
        node = todo.pop()
        if _name(node) in names:
            yield node
        elif _name(node) is not None:
            todo.extend(reversed(node.childNodes))


class _Reader:
    """Reads the body of a document with its styles and lists."""

    def __init__(self, document: Any) -> None:
        styles = [
            *(node for node in document.automaticstyles.childNodes if _name(node) is not None),
            *(node for node in document.styles.childNodes if _name(node) is not None),
        ]
        named = [node for node in styles if node.qname == (_STYLE, "style")]
        parents = {
            str(node.getAttrNS(_STYLE, "name")): str(node.getAttrNS(_STYLE, "parent-style-name"))
            for node in named
        }
        self._titles = {name for name, parent in parents.items() if parent == "Title"} | {"Title"}
        self._scripts = {
            str(node.getAttrNS(_STYLE, "name")): lowered
            if place.startswith(("sub", "-"))
            else raised
            for node in named
            for child in node.childNodes
            if (place := str(_attribute(child, _STYLE, "text-position") or "0"))[0] != "0"
        }
        self._lists = {
            str(node.getAttrNS(_STYLE, "name")): {
                int(_attribute(level, _TEXT, "level") or 1): level for level in node.childNodes
            }
            for node in styles
            if node.qname == (_TEXT, "list-style")
        }
        self._counts: dict[str, list[int]] = {}

    def blocks(self, parent: Any) -> Iterator[Block]:
        """Blocks below an element."""
        for node in parent.childNodes:
            name = _name(node)
            if name in {(_TEXT, "h"), (_TEXT, "p")}:
                yield self._paragraph(node, "", 0)
                yield from self._beside(node)
            elif name == (_TABLE, "table"):
                yield from self._table(node)
            elif name == (_TEXT, "list"):
                yield from self._list(node, "", 1)
            elif name == (_SVG, "desc"):
                yield from picture(str(node))
            elif name is not None and name not in _SKIPPED:
                yield from self.blocks(node)

    def _list(self, node: Any, style: str, depth: int) -> Iterator[Block]:
        style = str(node.getAttrNS(_TEXT, "style-name") or style)
        counts = self._counts.setdefault(style, [0] * 12)
        if depth == 1 and str(node.getAttrNS(_TEXT, "continue-numbering")) != "true":
            counts[:] = [0] * 12
        depth = min(depth, 10)
        for each in node.childNodes:
            if _name(each) not in {(_TEXT, "list-item"), (_TEXT, "list-header")}:
                continue
            first = _name(each) == (_TEXT, "list-item")
            for child in each.childNodes:
                name = _name(child)
                if name == (_TEXT, "list"):
                    yield from self._list(child, style, depth + 1)
                elif name in {(_TEXT, "p"), (_TEXT, "h")}:
                    mark = self._mark(style, depth, counts) if first else " "
                    first = False
                    yield self._paragraph(child, mark, depth)
                    yield from self._beside(child)
                elif name == (_TABLE, "table"):
                    yield from self._table(child)

    def _mark(self, style: str, depth: int, counts: list[int]) -> str:
        level = self._lists.get(style, {}).get(depth)
        counts[depth] += 1
        counts[depth + 1 :] = [0] * (len(counts) - depth - 1)
        if level is None or _name(level) != (_TEXT, "list-level-style-number"):
            return "-"
        shown = int(_attribute(level, _TEXT, "display-levels") or 1)
        numbers = []
        for at in range(max(1, depth - shown + 1), depth + 1):
            of = self._lists[style].get(at)
            start = int(_attribute(of, _TEXT, "start-value") or 1) if of is not None else 1
            form = str(_attribute(of, _STYLE, "num-format") or "1") if of is not None else "1"
            count = max(counts[at], 1) + start - 1
            numbers.append(shown_number(count, _FORMS.get(form, "decimal")))
        before = str(_attribute(level, _STYLE, "num-prefix") or "")
        behind = str(_attribute(level, _STYLE, "num-suffix") or "")
        return f"{before}{'.'.join(numbers)}{behind}".strip()

    def _paragraph(self, node: Any, mark: str, depth: int) -> Block:
        text = self._text(node)
        if node.qname == (_TEXT, "h"):
            level = int(node.getAttrNS(_TEXT, "outline-level") or 1)
            return heading(level, f"{mark} {text}" if mark not in {"", "-"} else text)
        if str(node.getAttrNS(_TEXT, "style-name")) in self._titles:
            return heading(0, text)
        if depth and text.strip():
            return item(f"{'  ' * (min(depth, 9) - 1)}{mark} {inline(text)}", level=depth - 1)
        return paragraph(text)

    def _text(self, node: Any) -> str:
        """The text of a paragraph, without its text boxes and notes."""
        parts: list[str] = []
        todo: list[tuple[Any, Callable[[str], str]]] = [(node, str)]
        while todo:
            here, script = todo.pop()
            name = _name(here)
            if name is None:
                parts.append(script(str(here.data)))
            elif name == (_TEXT, "s"):
                parts.append(" " * min(int(here.getAttrNS(_TEXT, "c") or 1), 80))
            elif name in _SPACES:
                parts.append(_SPACES[name])
            elif name not in _SKIPPED and name != (_DRAW, "text-box"):
                if name == (_TEXT, "span"):
                    script = self._scripts.get(str(here.getAttrNS(_TEXT, "style-name")), script)
                todo.extend((child, script) for child in reversed(here.childNodes))
        return with_fractions("".join(parts))

    def _beside(self, node: Any) -> Iterator[Block]:
        """The text boxes, notes and comments of a paragraph, and what is said of its pictures."""
        for each in _below(node, {(_DRAW, "text-box"), (_SVG, "desc"), *_BESIDE}):
            kind = _BESIDE.get(each.qname)
            if each.qname == (_SVG, "desc"):
                yield from picture(str(each))
            elif kind is None:
                yield from self.blocks(each)
            elif text := inline(" ".join(self._text(p) for p in _below(each, {(_TEXT, "p")}))):
                by = next(map(self._text, _below(each, {(_DC, "creator")})), "")
                yield note(f"Note: {text}") if kind == "Note" else comment(text, by)

    def _table(self, node: Any) -> Iterator[Block]:
        beside: list[Block] = []
        rows = list(self._rows(node, beside, head=False))
        filled, header_rows = grid(rows)
        yield from table(filled, header_rows)
        yield from beside

    def _rows(self, node: Any, beside: list[Block], *, head: bool) -> Iterator[list[Cell]]:
        """Rows of a table, those in header and row groups included."""
        for each in node.childNodes:
            name = _name(each)
            if name == (_TABLE, "table-row"):
                row: list[Cell] = []
                for cell in each.childNodes:
                    if _name(cell) != (_TABLE, "table-cell"):
                        continue
                    blocks = list(self.blocks(cell))
                    beside += [block for block in blocks if block.table or block.kind == "note"]
                    text = " ".join(block.text for block in blocks if block.kind != "note")
                    columns = _span(cell, "number-columns-spanned")
                    repeated = _span(cell, "number-columns-repeated")
                    row += [
                        Cell(text, columns, _span(cell, "number-rows-spanned"), head)
                    ] * repeated
                yield row
            elif name is not None and name != (_TABLE, "table"):
                header = name == (_TABLE, "table-header-rows")
                yield from self._rows(each, beside, head=head or header)


def _span(cell: Any, name: str) -> int:
    value = str(cell.getAttrNS(_TABLE, name) or "1")
    return min(int(value), _MOST) if value.isdigit() else 1


def _attribute(node: Any, space: str, name: str) -> Any:
    try:
        return node.getAttrNS(space, name)
    except (AttributeError, ValueError):
        return None
