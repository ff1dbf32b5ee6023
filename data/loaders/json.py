"""JSON of any shape."""

import json
from collections.abc import Iterator
from pathlib import Path

import orjson

from data.blocks import Loaded
from data.errors import UnreadableFile
from data.loaders.encodings import decode
from data.loaders.jsonl import objects
from data.loaders.records import records


def load(path: Path) -> Iterator[Loaded]:
    """A line for every object and every list of values, behind the keys above it.

    A file of several values, one a line, is read as JSON lines. Raises UnreadableFile for what is
    neither.
    """
    decoded = decode(path.read_bytes(), path.name)
    yield from decoded.warnings
    try:
        value = orjson.loads(decoded.text)
    except orjson.JSONDecodeError as error:
        if (value := _with_nan(decoded.text)) is not None:
            yield from records(value)
            return
        if decoded.text.lstrip()[:1] != "{" or "\n" not in decoded.text.strip():
            raise UnreadableFile(
                f"cannot read {path.name}", cause=f"it is not JSON ({error})"
            ) from error
        yield from objects(path)
        return
    yield from records(value)


def _with_nan(text: str) -> object:
    """The value of JSON as Python writes it, with NaN and Infinity; None where it is none."""
    if "NaN" not in text and "Infinity" not in text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
