"""Markdown: its source is the text, its headings are the outline."""

import re
from collections.abc import Iterator
from pathlib import Path

from data.loaders.outline import Heading, inline, slices
from data.loaders.text import decode
from data.sections import Section

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*\Z")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)\Z")
_NOT_PARAGRAPH = re.compile(r"\s*\Z| {4}|\t| {0,3}(?:[-*+>|]|\d+[.)]|#{1,6}\s)")
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}")


def load(path: Path) -> Iterator[Section]:
    """Sections between headings (ATX and setext, CommonMark 0.31 §4.2, 4.3), adjacent, in order.

    Headings inside fenced code are code. The text is the source as it stands, so offsets count
    characters of the decoded file; marks of emphasis and links are removed from heading paths
    only. A heading right above a deeper one shares that one's section.
    """
    text = decode(path.read_bytes(), path.name)
    trail: list[Heading] = []
    start = 0
    for offset, heading in [*_headings(text), (len(text), Heading(0, ""))]:
        bare = trail and heading.level > trail[-1].level and _is_bare(text[start:offset])
        if not bare:
            yield from slices(text[start:offset], start, tuple(h.text for h in trail))
            start = offset
        while trail and trail[-1].level >= heading.level:
            trail.pop()
        if heading.text:
            trail.append(heading)


def _is_bare(block: str) -> bool:
    """Whether a section so far holds headings only."""
    lines = [line for line in block.splitlines() if line.strip()]
    underlines = sum(bool(_SETEXT.match(line)) for line in lines)
    atx = sum(bool(_ATX.match(line)) for line in lines)
    return len(lines) == atx + 2 * underlines


def _headings(text: str) -> Iterator[tuple[int, Heading]]:
    """Offset and heading of every heading line outside fenced code."""
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
                yield (before[0] if found[1] else offset), found[0]
            before = (offset, "" if found else bare)
        offset += len(line)


def _heading(line: str, before: str) -> tuple[Heading, bool] | None:
    """The heading that a line makes, and whether its text is the line before (setext)."""
    atx = _ATX.match(line)
    if atx:
        return Heading(len(atx[1]), _plain(atx[2] or "")), False
    under = _SETEXT.match(line)
    if under and not _NOT_PARAGRAPH.match(before):
        return Heading(1 if under[1].startswith("=") else 2, _plain(before)), True
    return None


def _plain(text: str) -> str:
    return inline(_MARKUP.sub(r"\1", text))
