"""A passage as a page shows it: headings, lists and tables as such, what is quoted marked.

The words are other people's: each goes through `html.escape`. Every block takes its direction from
its own first letter (``dir="auto"``), so that Arabic and Hebrew run from right to left.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from data.tables import cell_spans
from generation.passage_units import Block, Span, header_rows, parse_blocks

_MARK_OF_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]+")
_BULLET = re.compile(r"[ \t]*[-*•‣▪–+][ \t]+")
_SOFT_BREAK = re.compile(r"(?<=\S)[ \t]*\r?\n(?=\S)")


def render(text: str, marks: Sequence[Span]) -> str:
    """HTML of ``text`` with ``marks``, ranges of it, highlighted; the first one is ``#marked``."""
    marks = sorted(marks)
    blocks = groupby(parse_blocks(text), lambda block: block.kind)
    shown = "".join(_blocks(text, kind, list(group), marks) for kind, group in blocks)
    return shown.replace("<mark>", '<mark id="marked" tabindex="-1">', 1)


def _blocks(text: str, kind: str, blocks: Sequence[Block], marks: Sequence[Span]) -> str:
    if kind == "item":
        rows = "".join(f'<li dir="auto">{_item(text, block, marks)}</li>' for block in blocks)
        return f"<ul>{rows}</ul>"
    return "".join(_block(text, block, marks) for block in blocks)


def _item(text: str, block: Block, marks: Sequence[Span]) -> str:
    bullet = _BULLET.match(text, block.start, block.end)
    return _words(text, bullet.end() if bullet else block.start, block.end, marks)


def _block(text: str, block: Block, marks: Sequence[Span]) -> str:
    match block.kind:
        case "heading":
            mark = _MARK_OF_HEADING.match(text, block.start, block.end)
            start = mark.end() if mark else block.start
            return f'<h4 dir="auto">{_words(text, start, block.end, marks)}</h4>'
        case "table":
            return f"<table>{''.join(_rows(text, block, marks))}</table>"
        case "code":
            return f"<pre>{_marked(text, block.start, block.end, marks)}</pre>"
    return f'<p dir="auto">{_words(text, block.start, block.end, marks)}</p>'


def _rows(text: str, block: Block, marks: Sequence[Span]) -> Iterator[str]:
    lines = text[block.start : block.end].splitlines(keepends=True)
    top = header_rows([line.strip() for line in lines])
    at = block.start
    for i, line in enumerate(lines):
        start, at = at, at + len(line)
        if i == top - 1 or not line.strip():
            continue
        tag = "th" if i < top else "td"
        cells = (_words(text, start + a, start + b, marks) for a, b in cell_spans(line))
        yield f"<tr>{''.join(f'<{tag} dir=auto>{cell}</{tag}>' for cell in cells)}</tr>"


def _words(text: str, start: int, end: int, marks: Sequence[Span]) -> str:
    """Marked text without the line breaks inside its sentences."""
    return _SOFT_BREAK.sub(" ", _marked(text, start, end, marks))


def _marked(text: str, start: int, end: int, marks: Sequence[Span]) -> str:
    parts, at = [], start
    for a, b in marks:
        first, last = max(a, at), min(b, end)
        if first < last:
            parts += [escape(text[at:first]), "<mark>", escape(text[first:last]), "</mark>"]
            at = last
    return "".join([*parts, escape(text[at:end])])
