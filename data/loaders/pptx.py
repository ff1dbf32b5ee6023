"""PowerPoint: one page a slide, with its tables and the speaker's notes."""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.blocks import Block
from data.cleaning import inline
from data.errors import UnreadableFile
from data.loaders.making import Cell, grid, heading, item, note, paragraph, table


def load(path: Path) -> Iterator[Block]:
    """Blocks of each slide, whose number is the page; offsets count in the slide's text.

    The slide's title is its heading; paragraphs below level 0 become list items; groups are
    entered; notes stand at the end behind "Notes:". Raises UnreadableFile for a damaged file.
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
        for block in _slide(slide):
            yield replace(block, page=number)


def _slide(slide: Any) -> Iterator[Block]:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        yield heading(1, title.text_frame.text)
    skipped = None if title is None else title.shape_id
    for shape in _leaves(slide.shapes):
        if shape.shape_id != skipped:
            yield from _shape(shape)
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


def _shape(shape: Any) -> Iterator[Block]:
    if getattr(shape, "has_table", False):
        yield from table(*grid([Cell(cell.text) for cell in row.cells] for row in shape.table.rows))
    elif shape.has_text_frame:
        paragraphs = shape.text_frame.paragraphs
        for each in paragraphs:
            text = inline(each.text)
            if text and len(paragraphs) > 1:
                yield item(f"{'  ' * each.level}- {text}", level=each.level)
            else:
                yield paragraph(text)
