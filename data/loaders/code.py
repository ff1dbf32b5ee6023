"""Source code, and settings files that read like it: cut where top-level parts begin."""

import re
from collections.abc import Iterator
from pathlib import Path

from data.blocks import Block, Loaded
from data.loaders.encodings import decode

_CLOSING = re.compile(r"[\])}]|(?:else|elif|except|finally|catch|end)\b")
_LONGEST = 32_768


def load(path: Path) -> Iterator[Loaded]:
    """Blocks that cover the file exactly: each begins with an unindented line behind a blank one.

    So a function stands with its comment and its decorators, in whatever language.
    """
    decoded = decode(path.read_bytes(), path.name)
    yield from decoded.warnings
    yield from parts(decoded.text)


def parts(text: str) -> Iterator[Block]:
    """The top-level parts of a program; a part without end is cut at a line."""
    start = position = 0
    blank = False
    for line in text.splitlines(keepends=True):
        begins = blank and not line[0].isspace() and not _CLOSING.match(line)
        if position > start and (begins or position - start > _LONGEST):
            yield Block("code", text[start:position], joint="")
            start = position
        blank = not line.strip()
        position += len(line)
    if start < len(text):
        yield Block("code", text[start:], joint="")
