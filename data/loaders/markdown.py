"""Markdown: its source is the text, its headings are the outline."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data.blocks import Block
from data.cleaning import inline
from data.loaders.making import slices
from data.loaders.text import decode

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*\Z")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)\Z")
_NOT_PARAGRAPH = re.compile(r"\s*\Z| {4}|\t| {0,3}(?:[-*+>|]|\d+[.)]|#{1,6}\s)")
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}")


def load(path: Path) -> Iterator[Block]:
    """Headings (ATX and setext, CommonMark 0.31 §4.2, 4.3) and the text between them.

    Headings inside fenced code are code. The text is the source as it stands, so offsets count
    characters of the decoded file; marks of emphasis and links are removed from titles only.
    """
    text = decode(path.read_bytes(), path.name)
    at = 0
    for offset, end, found in _headings(text):
        yield from slices(text[at:offset])
        yield replace(found, text=text[offset:end], joint="")
        at = end
    yield from slices(text[at:])


def _headings(text: str) -> Iterator[tuple[int, int, Block]]:
    """Where every heading outside fenced code begins and ends, and the heading."""
    fence = ""
    offset = 0
    before = (0, "")
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        mark = _FENCE.match(bare)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            before = (offset, "")
        elif mark:
            fence = mark[1]
            before = (offset, "")
        else:
            found = _heading(bare, before[1])
            if found:
                begin = before[0] if found[1] else offset
                yield begin, offset + len(bare), found[0]
            before = (offset, "" if found else bare)
        offset += len(line)


def _heading(line: str, before: str) -> tuple[Block, bool] | None:
    """The heading that a line makes, and whether its text is the line before (setext)."""
    atx = _ATX.match(line)
    if atx:
        return _titled(len(atx[1]), atx[2] or ""), False
    under = _SETEXT.match(line)
    if under and not _NOT_PARAGRAPH.match(before):
        return _titled(1 if under[1].startswith("=") else 2, before), True
    return None


def _titled(level: int, source: str) -> Block:
    return Block("heading", "", level=level, title=inline(_MARKUP.sub(r"\1", source)))
