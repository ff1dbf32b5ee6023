"""JSON of any shape."""

from collections.abc import Iterator
from pathlib import Path

from data.blocks import Loaded, LoadWarning
from data.loaders.code import parts
from data.loaders.encodings import decode
from data.loaders.jsonl import objects, parse
from data.loaders.records import records


def load(path: Path) -> Iterator[Loaded]:
    """A line for every object and every list of values, behind the keys above it.

    A file of several values, one a line, is read as JSON lines, and what is neither (settings with
    comments, say) as it stands, with a warning.
    """
    decoded = decode(path.read_bytes(), path.name)
    yield from decoded.warnings
    try:
        value = parse(decoded.text)
    except ValueError as error:
        if _is_json(decoded.text.lstrip().partition("\n")[0]):
            yield from objects(path)
            return
        yield LoadWarning(f"it is not valid JSON ({error}) and read as text")
        yield from parts(decoded.text)
        return
    yield from records(value)


def _is_json(line: str) -> bool:
    try:
        return isinstance(parse(line), dict | list)
    except ValueError:
        return False
