"""Rich text (RTF): paragraphs, tables, notes, and what is set high or low."""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

from data.blocks import Block
from data.errors import UnreadableFile
from data.loaders.making import Cell, grid, note, paragraph, table
from data.loaders.scripts import lowered, raised, with_fractions

_SCRIPTS: dict[str, Callable[[str], str]] = {"super": raised, "sub": lowered}
_SCRIPT = re.compile(r"\\(super|sub)(?:\\[a-z]{1,20}-?\d{0,9})* ?([^{}\\]{1,12})(?=[{}\\])")
_NOTE = re.compile(
    r"\{(?:\\super)? ?(?:\\\*)?\\(?:footnote|annotation|(?:header|footer)[lrf]?)(?![a-z])"
)
_BODY = re.compile(r"\{\\(?:colortbl|stylesheet|info|\*)|\\pard")
_BRACES = re.compile(r"\\[{}\\]|[{}]")
_ANCHORS = re.compile("[\ue000-\uf8ff]")
_FIRST, _MOST_NOTES = 0xE000, 6000


def load(path: Path) -> Iterator[Block]:
    """Blocks in order; notes, comments and running heads stand behind their paragraph.

    Raises UnreadableFile for what is no RTF.
    """
    raw = path.read_bytes()
    if not raw.lstrip().startswith(b"{\\rtf"):
        raise UnreadableFile(f"cannot read {path.name}", cause="it is not RTF")
    source, notes = _without_notes(raw.decode("latin-1"))
    head = _BODY.search(source)
    start = source[: head.start()] if head else "{\\rtf1\\ansi"
    lines = _text(source).split("\n")
    for in_table, group in groupby(lines, key=lambda line: line.endswith("|")):
        whole = list(group)
        texts = [_ANCHORS.sub("", line) for line in whole]
        if in_table:
            yield from table(
                grid([Cell(cell) for cell in line[:-1].split("|")] for line in texts)[0]
            )
        else:
            yield from map(paragraph, texts)
        for anchor in _ANCHORS.findall("".join(whole)):
            words = " ".join(_text(f"{start}{notes[ord(anchor) - _FIRST]}}}").split())
            yield note(f"Note: {words}" if words else "")


def _text(source: str) -> str:
    from striprtf.striprtf import rtf_to_text

    marked = _SCRIPT.sub(lambda match: _escaped(_SCRIPTS[match[1]](match[2])), source)
    return with_fractions(rtf_to_text(marked, errors="replace"))  # type: ignore[no-untyped-call]


def _escaped(text: str) -> str:
    """Text as a group of RTF; characters are numbered in 16 bits with a sign."""
    codes = (f"\\u{(ord(one) + 0x8000) % 0x10000 - 0x8000}?" for one in text)
    return f"{{\\uc1{''.join(codes)}}}"


def _without_notes(source: str) -> tuple[str, list[str]]:
    """The source with an anchor of one character for each group that is a note, and these."""
    kept: list[str] = []
    notes: list[str] = []
    at = 0
    while len(notes) < _MOST_NOTES and (begin := _NOTE.search(source, at)):
        depth, end = 0, len(source)
        for brace in _BRACES.finditer(source, begin.start()):
            depth += (brace[0] == "{") - (brace[0] == "}")
            if depth == 0:
                end = brace.end()
                break
        kept += [source[at : begin.start()], _escaped(chr(_FIRST + len(notes)))]
        notes.append(source[begin.end() : end - 1])
        at = end
    return "".join(kept) + source[at:], notes
