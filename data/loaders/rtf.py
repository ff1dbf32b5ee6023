"""Rich text (RTF): paragraphs, tables, notes, and what is set high or low."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, groupby, repeat
from pathlib import Path

from data.blocks import Block, Loaded, LoadWarning
from data.errors import UnreadableFile
from data.loaders.making import Cell, grid, heading, is_page_number, note, paragraph, table
from data.loaders.scripts import lowered, raised, with_fractions

_SCRIPTS: dict[str, Callable[[str], str]] = {"super": raised, "sub": lowered}
_SCRIPT = re.compile(
    r"\\(super|sub)(?:\\[a-z]{1,20}-?\d{0,9}(?![a-z\d]))* ?([^{}\\]{1,12})(?=[{}\\])"
)
_NOTE = re.compile(
    r"\{(?:\\super)? ?(?:\\\*)?\\(?:footnote|annotation|(?:header|footer)[lrf]?)(?![a-z])"
)
_LEFT_OUT = re.compile(r"\{(?:\\[a-z]{1,20}-?\d{0,9}(?![a-z\d]) ?){0,30}?\\(deleted|v)(?![a-z\d])")
_BODY = re.compile(r"\{\\(?:colortbl|stylesheet|info|\*)|\\pard")
_BRACES = re.compile(r"\\[{}\\]|[{}]")
_ANCHORS = re.compile("[\ue000-\uf7ff]")
_BAR, _LEVELS = "\uf8ff", "\uf8f0\uf8f1\uf8f2\uf8f3\uf8f4\uf8f5\uf8f6\uf8f7\uf8f8"
_OUTLINE = re.compile(r"\\outlinelevel([0-8])(?!\d)(?=[^{}]*[{}\\ ])")
_ROW = re.compile(r"\\trowd(?![a-z]).*?\\row(?![a-z])", re.DOTALL)
_CELL = re.compile(r"\\cl(vmgf|vmrg|mgf|mrg)(?![a-z])|\\cellx(?=-?\d)")
_BREAK = re.compile(r"\\(?:par|line)(?![a-z])")
_FIRST, _MOST_NOTES = 0xE000, 6000


def load(path: Path) -> Iterator[Loaded]:
    """Blocks in order; notes, comments and running heads stand behind their paragraph.

    Raises UnreadableFile for what is no RTF.
    """
    raw = path.read_bytes()
    if not raw.lstrip().startswith(b"{\\rtf"):
        raise UnreadableFile(f"cannot read {path.name}", cause="it is not RTF")
    source, left_out = _without_groups(raw.decode("latin-1"), _LEFT_OUT, anchored=False)
    source, notes = _without_notes(source.replace("|", _escaped(_BAR)))
    head = _BODY.search(source)
    start = source[: head.start()] if head else "{\\rtf1\\ansi"
    merges = chain((_merges(row[0]) for row in _ROW.finditer(source)), repeat([]))
    lines = _text(_ROW.sub(lambda row: _BREAK.sub(" ", row[0]), source)).split("\n")
    for in_table, group in groupby(lines, key=lambda line: line.endswith("|")):
        whole = list(group)
        if in_table:
            rows = [_ANCHORS.sub("", line)[:-1].split("|") for line in whole]
            texts = [[cell.replace(_BAR, "|") for cell in row] for row in rows]
            merged = _merged(list(zip(texts, merges, strict=False)))
            yield from table(grid(merged)[0])
        else:
            yield from map(_paragraph, whole)
        for anchor in _ANCHORS.findall("".join(whole)):
            words = " ".join(_text(f"{start}{notes[ord(anchor) - _FIRST]}}}").split())
            words = words.replace(_BAR, "|")
            yield note(f"Note: {words}" if words and not is_page_number(words) else "")
    if left_out:
        yield LoadWarning(f"deleted and hidden text is left out ({len(left_out)} places)")


def _paragraph(line: str) -> Block:
    text = _ANCHORS.sub("", line).replace(_BAR, "|")
    if text[:1] and text[0] in _LEVELS:
        return heading(_LEVELS.index(text[0]) + 1, text.strip(_LEVELS))
    return paragraph(text)


def _merges(row: str) -> list[set[str]]:
    """What the definition of a row says of each cell: that it is, or goes on, a merged one."""
    cells: list[set[str]] = [set()]
    for match in _CELL.finditer(row[row.rfind("\\trowd") :]):
        if match[1]:
            cells[-1].add(match[1])
        else:
            cells.append(set())
    return cells[:-1]


def _merged(rows: list[tuple[list[str], list[set[str]]]]) -> list[list[Cell]]:
    """Rows of cells, those that go on from the left or from above put into the first one."""
    made: list[list[Cell]] = []
    above: dict[int, tuple[int, int]] = {}  # column -> row and place of the cell that goes on
    for texts, merges in rows:
        cells: list[Cell] = []
        for column, text in enumerate(texts):
            flags = merges[column] if len(merges) == len(texts) else set[str]()
            if "mrg" in flags and cells:
                cells[-1] = replace(cells[-1], columns=cells[-1].columns + 1)
            elif "vmrg" in flags and column in above:
                at, place = above[column]
                made[at][place] = replace(made[at][place], rows=made[at][place].rows + 1)
            else:
                above[column] = (len(made), len(cells))
                cells.append(Cell(text))
        made.append(cells)
    return made


def _text(source: str) -> str:
    from striprtf.striprtf import rtf_to_text

    marked = _SCRIPT.sub(lambda match: _escaped(_SCRIPTS[match[1]](match[2])), source)
    marked = _OUTLINE.sub(lambda match: _escaped(_LEVELS[int(match[1])]), marked)
    marked = marked.replace("{\\pntext", "{\\listtext")  # which striprtf leaves out
    return with_fractions(rtf_to_text(marked, errors="replace"))  # type: ignore[no-untyped-call]


def _escaped(text: str) -> str:
    """Text as a group of RTF; characters are numbered in 16 bits with a sign."""
    codes = (f"\\u{(ord(one) + 0x8000) % 0x10000 - 0x8000}?" for one in text)
    return f"{{\\uc1{''.join(codes)}}}"


def _without_notes(source: str) -> tuple[str, list[str]]:
    """The source with an anchor of one character for each group that is a note, and these."""
    return _without_groups(source, _NOTE, anchored=True)


def _without_groups(
    source: str, beginning: re.Pattern[str], *, anchored: bool
) -> tuple[str, list[str]]:
    """The source without the groups that begin so, or with anchors in their places, and these."""
    kept: list[str] = []
    groups: list[str] = []
    at = 0
    while len(groups) < _MOST_NOTES and (begin := beginning.search(source, at)):
        depth, end = 0, len(source)
        for brace in _BRACES.finditer(source, begin.start()):
            depth += (brace[0] == "{") - (brace[0] == "}")
            if depth == 0:
                end = brace.end()
                break
        kept.append(source[at : begin.start()])
        if anchored:
            kept.append(_escaped(chr(_FIRST + len(groups))))
        groups.append(source[begin.end() : end - 1])
        at = end
    return "".join(kept) + source[at:], groups
