"""Plain text, and text of lines: logs and chats."""

import re
from collections.abc import Iterator
from pathlib import Path

from data.blocks import Block, Loaded
from data.loaders.encodings import decode
from data.loaders.making import slices

_STAMP = re.compile(
    r"[\[(<]?\s?(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}:\d{2}|(?:[A-Z][a-z]{2}\s+){1,2}\d{1,2}\b|\d{10,13}\b"
    r"|(?:\d{1,3}\.){3}\d{1,3}\b|\{\"|<\d{1,3}>"
    r"|(?:DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|TRACE)\b)"
)
_SPEAKER = re.compile(
    r"(?:[-*•] )?(?:\*\*)?[^\W\d_][\w .'’-]{0,30}(?:\s[(\[].{1,20}[)\]])?(?:\*\*)?[:>\uff1a]"
    r"(?:\*\*)?\s?\S|<[@+~]?[\w .'’-]{1,30}>:?\s\S"
)
_SAMPLE_LINES = 400


def load(path: Path) -> Iterator[Loaded]:
    """Adjacent paragraphs, or lines, that cover the whole file.

    A log or a chat, where most lines begin with a time or a speaker, is read line by line; lines
    without either go on the one before. Offsets count characters after decoding.
    """
    decoded = decode(path.read_bytes(), path.name)
    yield from decoded.warnings
    yield from lines_or_slices(decoded.text)


def lines_or_slices(text: str) -> Iterator[Block]:
    """Blocks that are `text` exactly: one a message of a log or a chat, else large slices."""
    begins = _line_start(text)
    if begins is None:
        yield from slices(text)
        return
    start = position = 0
    for line in text.splitlines(keepends=True):
        if begins.match(line) and position > start:
            yield Block("line", text[start:position], joint="")
            start = position
        position += len(line)
    if start < len(text):
        yield Block("line", text[start:], joint="")


def _line_start(text: str) -> re.Pattern[str] | None:
    """What the lines of a log or a chat begin with; None for other text."""
    sample = [line for line in text[:60_000].split("\n")[:_SAMPLE_LINES] if line.strip()]
    if len(sample) < 4:
        return None
    for pattern, share in ((_STAMP, 0.6), (_SPEAKER, 0.8)):
        if sum(pattern.match(line) is not None for line in sample) >= share * len(sample):
            return pattern
    return None
