"""PowerPoint: one page a slide, with its tables, charts, comments and the speaker's notes."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.blocks import Block, Loaded, LoadWarning
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.charts import values_of
from data.loaders.making import Cell, comment, grid, heading, item, note, paragraph, picture, table
from data.loaders.numbering import shown_number
from data.loaders.scripts import lowered, raised, with_fractions

_AUTO = re.compile(r"(arabic|alphaLc|alphaUc|romanLc|romanUc)(Period|ParenR|ParenBoth|Plain)")
_FORMS = {
    "arabic": "decimal", "alphaLc": "lowerLetter", "alphaUc": "upperLetter",
    "romanLc": "lowerRoman", "romanUc": "upperRoman",
}  # fmt: skip
_AROUND = {"Period": ("", "."), "ParenR": ("", ")"), "ParenBoth": ("(", ")"), "Plain": ("", "")}
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def load(path: Path) -> Iterator[Loaded]:
    """Blocks of each visible slide, whose number is the page.

    The slide's title is its heading; of several paragraphs in a box each is a list item; groups
    are entered, a chart is the table of its values. Comments and notes stand at the end. Hidden
    slides are left out with a warning. Raises UnreadableFile for a damaged file.
    """
    import pptx
    from lxml import etree
    from pptx.exc import PackageNotFoundError

    try:
        presentation = pptx.Presentation(str(path))
    except (PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError, etree.LxmlError) as e:
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not a presentation"
        ) from e
    for number, slide in enumerate(presentation.slides, start=1):
        if slide._element.get("show") in {"0", "false"}:
            yield LoadWarning("the hidden slide is left out", number)
            continue
        for block in _slide(slide):
            yield replace(block, page=number)


def _slide(slide: Any) -> Iterator[Block]:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        yield heading(1, title.text_frame.text)
    if title is None or not title.has_text_frame or not title.text_frame.text.strip():
        yield Block("heading", "", level=1, joint="")  # what follows is not of the slide before
    skipped = None if title is None else title.shape_id
    for shape in _leaves(slide.shapes):
        if shape.shape_id != skipped:
            yield from _shape(shape, slide)
            yield from picture(shape._element._nvXxPr.cNvPr.get("descr", ""))
    for text, author in _comments(slide):
        yield comment(text, author)
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        if frame is not None and frame.text.strip():
            yield note(f"Notes: {frame.text}")


def _leaves(shapes: Iterable[Any]) -> Iterator[Any]:
    """Shapes in document order with groups replaced by what is in them."""
    todo = list(reversed(list(shapes)))
    while todo:
        shape = todo.pop()
        if hasattr(shape, "shapes"):
            todo.extend(reversed(list(shape.shapes)))
        else:
            yield shape


def _shape(shape: Any, slide: Any) -> Iterator[Block]:
    if getattr(shape, "has_table", False):
        rows = (
            [_cell(cell) for cell in row.cells if not cell.is_spanned] for row in shape.table.rows
        )
        yield from table(grid(rows)[0], int(bool(shape.table.first_row)))
    elif getattr(shape, "has_chart", False):
        yield from values_of(shape.chart)
    elif shape.has_text_frame:
        paragraphs = shape.text_frame.paragraphs
        counts: dict[int, int] = {}
        for each in paragraphs:
            text = inline(_text(each))
            mark = _mark(each, counts) if text else "-"
            if text and (len(paragraphs) > 1 or mark != "-"):
                yield item(f"{'  ' * each.level}{mark} {text}", level=each.level)
            else:
                yield paragraph(text)
    else:
        yield from _diagram(shape, slide)


def _mark(each: Any, counts: dict[int, int]) -> str:
    """The number of a paragraph that PowerPoint counts, by those of its box so far, or "-"."""
    for deeper in [level for level in counts if level > each.level]:
        del counts[deeper]
    number = each._p.find(f"{_A}pPr/{_A}buAutoNum")
    form = _AUTO.fullmatch(number.get("type", "")) if number is not None else None
    if form is None:
        counts.pop(each.level, None)
        return "-"
    start = number.get("startAt", "1")
    begin = int(start) if start.isascii() and start.isdigit() and len(start) < 6 else 1
    counts[each.level] = counts.get(each.level, begin - 1) + 1
    before, behind = _AROUND[form[2]]
    return f"{before}{shown_number(counts[each.level], _FORMS[form[1]])}{behind}"


def _text(each: Any) -> str:
    """A paragraph's text with its fields and breaks, superscripts raised."""
    parts: list[str] = []
    for node in each._p:
        name = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
        if name == "br":
            parts.append("\n")
        elif name in {"r", "fld"}:
            text = "".join(leaf.text or "" for leaf in node.iter(f"{_A}t"))
            properties = node.find(f"{_A}rPr")
            base = properties.get("baseline", "0") if properties is not None else "0"
            if base.strip("0%"):
                text = lowered(text) if base.startswith("-") else raised(text)
            parts.append(text)
    return with_fractions("".join(parts))


def _cell(cell: Any) -> Cell:
    text = " ".join(_text(each) for each in cell.text_frame.paragraphs)
    return Cell(text, cell.span_width or 1, cell.span_height or 1)


def _diagram(shape: Any, slide: Any) -> Iterator[Block]:
    """The words of a SmartArt graphic, a list item each."""
    from lxml import etree

    for node in shape._element.iter():
        if isinstance(node.tag, str) and node.tag.endswith("}relIds"):
            key = next((value for name, value in node.attrib.items() if name.endswith("}dm")), "")
            if key in slide.part.rels:
                parser = etree.XMLParser(resolve_entities=False, no_network=True)
                root = etree.fromstring(slide.part.related_part(key).blob, parser)
                for each in root.iter(f"{_A}p"):
                    text = inline("".join(leaf.text or "" for leaf in each.iter(f"{_A}t")))
                    if text:
                        yield item(f"- {text}")


def _comments(slide: Any) -> Iterator[tuple[str, str]]:
    """Texts and authors of the comments on a slide, of both kinds that PowerPoint writes."""
    authors = {
        node.get("id", ""): node.get("name", "")
        for root in _related(slide.part.package.presentation_part, "Authors", "authors")
        for node in root.iter()
    }
    for root in _related(slide.part, "comments"):
        for node in root.iter():
            name = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
            above = node.getparent()
            author = authors.get(above.get("authorId", ""), "") if above is not None else ""
            if name == "text" and (node.text or "").strip():
                yield inline(node.text), author
            elif name == "txBody":
                yield inline("".join(leaf.text or "" for leaf in node.iter(f"{_A}t"))), author


def _related(part: Any, *kinds: str) -> Iterator[Any]:
    """The roots of the parts that a part refers to by relations of these kinds."""
    from lxml import etree

    for relation in part.rels.values():
        if relation.reltype.endswith(kinds) and not relation.is_external:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            yield etree.fromstring(relation.target_part.blob, parser)
