"""Markdown: its source is the text, its headings, lists, tables and code are blocks."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data.blocks import Block, Loaded, Table
from data.cleaning import inline
from data.loaders.encodings import decode
from data.loaders.making import heading, note
from data.tables import cells, is_separator

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*\Z")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)\Z")
_ITEM = re.compile(r"([ \t]*)(?:[-*+]|\d{1,9}[.)])(?:[ \t]+\S|\Z)")
_NOT_PARAGRAPH = re.compile(r"\s*\Z| {4}|\t| {0,3}(?:[-*+>|]|\d+[.)]|#{1,6}\s)")
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}")
_FRONT = re.compile(r"---[ \t]*\n((?:[^\n]*\n){0,200}?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_TOML = re.compile(r"\+\+\+[ \t]*\n((?:[^\n]*\n){0,200}?)\+\+\+[ \t]*(?:\n|\Z)")
_FIELD = re.compile(r"([A-Za-z][\w -]{0,60}):[ \t]*(.*)")


def load(path: Path) -> Iterator[Loaded]:
    """Blocks whose texts, with the white space between them, are the source as it stands.

    Headings are ATX and setext ones (CommonMark 0.31 §4.2, 4.3) outside fenced code, tables those
    of GitHub's Markdown. Marks of emphasis and links are removed from titles only. Front matter is
    no text: its title is the document's, its other fields a note.
    """
    decoded = decode(path.read_bytes(), path.name)
    yield from decoded.warnings
    text = decoded.text
    fields: dict[str, str] = {}
    if front := _FRONT.match(text):
        fields = _fields(front[1])
    elif front := _TOML.match(text):
        fields = _toml_fields(front[1])
    if front and fields:
        yield from _metadata(fields)
        text = text[front.end() :].lstrip("\n")
    at = 0
    for begin, end, block in _blocks(text):
        source = text[begin:end].rstrip()
        if source:
            first = at == 0 and bool(fields)
            yield replace(block, text=source, joint=None if first else text[at:begin])
            at = begin + len(source)


def _fields(source: str) -> dict[str, str]:
    """The fields of front matter; empty where that is something else, such as a rule."""
    fields: dict[str, str] = {}
    key = ""
    for line in source.split("\n"):
        match = _FIELD.fullmatch(line)
        if match:
            key = match[1]
            fields[key] = match[2].strip().strip("\"'")
        elif key and line.strip().startswith("- "):
            fields[key] = ", ".join(filter(None, (fields[key], line.strip()[2:].strip("\"'"))))
        elif key and line.startswith((" ", "\t")):  # a value of more lines, or fields below it
            before = "" if fields[key] in {"|", ">", "|-", ">-"} else fields[key]
            fields[key] = f"{before} {line.strip()}".strip()
        elif line.strip() and not line.startswith((" ", "\t", "#")):
            return {}
    return fields


def _toml_fields(source: str) -> dict[str, str]:
    """The fields of front matter in TOML, as Hugo has it; empty where it is none."""
    try:
        found = tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return {
        key: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in found.items()
    }


def _metadata(fields: dict[str, str]) -> Iterator[Block]:
    title = fields.pop("title", "")
    if title:
        yield heading(0, title)
    shown = "; ".join(f"{key}: {value.strip('[]')}" for key, value in fields.items() if value)
    if shown:
        yield note(shown)


def _blocks(text: str) -> Iterator[tuple[int, int, Block]]:
    """Begin, end and kind of every block, in order; white space may be between them."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    at = 0
    while at < len(lines):
        stop, block = _next(lines, at)
        if block is not None:
            yield starts[at], starts[stop], block
        at = stop


def _next(lines: list[str], at: int) -> tuple[int, Block | None]:  # noqa: PLR0911 - one a kind
    """Where the block at a line ends, and what it is; None for a blank line."""
    line = lines[at].rstrip("\n")
    if not line.strip():
        return at + 1, None
    if fence := _FENCE.match(line):
        return _end_of_code(lines, at, fence[1]), Block("code", "")
    if atx := _ATX.match(line):
        return at + 1, _titled(len(atx[1]), atx[2] or "")
    if stop := _end_of_table(lines, at):
        return stop, _table(lines[at:stop])
    if match := _ITEM.match(line):
        level = len(match[1].expandtabs(4)) // 2
        return _end_of_item(lines, at, len(match[1])), Block("list_item", "", level=level)
    under = _SETEXT.match(lines[at + 1].rstrip("\n")) if at + 1 < len(lines) else None
    if under and not _NOT_PARAGRAPH.match(line):
        return at + 2, _titled(1 if under[1].startswith("=") else 2, line)
    return _end_of_paragraph(lines, at), Block("paragraph", "")


def _end_of_code(lines: list[str], at: int, fence: str) -> int:
    for stop in range(at + 1, len(lines)):
        mark = _FENCE.match(lines[stop].rstrip("\n"))
        if mark and mark[1].startswith(fence) and not mark[2].strip():
            return stop + 1
    return len(lines)


def _end_of_table(lines: list[str], at: int) -> int:
    """Behind the last row of a table that begins here; 0 where none does."""
    if at + 1 >= len(lines) or "|" not in lines[at] or not is_separator(lines[at + 1]):
        return 0
    if len(cells(lines[at])) != len(cells(lines[at + 1])):
        return 0
    stop = at + 2
    while stop < len(lines) and "|" in lines[stop] and lines[stop].strip():
        stop += 1
    return stop


def _table(lines: list[str]) -> Block:
    rows = [cells(line) for line in (lines[0], *lines[2:])]
    width = len(rows[0])
    grid = tuple(tuple((row + [""] * width)[:width]) for row in rows)
    return Block("table", "", table=Table(grid))


def _end_of_item(lines: list[str], at: int, indent: int) -> int:
    stop = at + 1
    while stop < len(lines):
        line = lines[stop].rstrip("\n")
        if not line.strip():
            following = lines[stop + 1] if stop + 1 < len(lines) else ""
            goes_on = following[: indent + 2].isspace() and following.strip()
            if not goes_on or _ITEM.match(following):
                return stop
        elif _ITEM.match(line) or _ATX.match(line) or _FENCE.match(line.lstrip()):
            return stop
        stop += 1
    return stop


def _end_of_paragraph(lines: list[str], at: int) -> int:
    stop = at + 1
    while stop < len(lines):
        line = lines[stop].rstrip("\n")
        if not line.strip() or _FENCE.match(line) or _ATX.match(line) or _ITEM.match(line):
            return stop
        if _end_of_table(lines, stop):
            return stop
        if stop + 1 < len(lines) and not _NOT_PARAGRAPH.match(line):
            under = _SETEXT.match(lines[stop + 1].rstrip("\n"))
            if under:
                return stop
        stop += 1
    return stop


def _titled(level: int, source: str) -> Block:
    return Block("heading", "", level=level, title=inline(_MARKUP.sub(r"\1", source)))
