"""JSON lines of passages that are cut already: BEIR corpora and the like."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.blocks import Block
from data.cleaning import clean, inline
from data.errors import UnreadableFile
from data.limits import MIB

_MAX_LINE = 16 * MIB


def load(path: Path) -> Iterator[Block]:
    """One block a line `{"_id" or "id": ..., "title"?: ..., "text": ...}`, streamed.

    The document's text is the passages' texts in order, parted by two line feeds; `title` becomes
    the heading path; other fields are ignored (the layout is that of BEIR, Thakur et al. 2021).
    A passage without text is its title; one with neither is skipped, as are blank lines. Raises
    UnreadableFile that names the line for anything else.
    """
    for number, line in _lines(path):
        block = _block(line, path.name, number)
        if block.text:
            yield block


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            if len(line) > _MAX_LINE:
                raise _bad(path.name, number, f"it is longer than {_MAX_LINE // MIB} MiB")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, line


def _block(line: bytes, name: str, number: int) -> Block:
    import orjson

    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _bad(name, number, f"it is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise _bad(name, number, "it is not a JSON object")
    passage_id = _identifier(record, name, number)
    title = inline(_string(record, "title", name, number))
    text = clean(_string(record, "text", name, number)).strip()
    return Block("paragraph", text or title, title=title, passage_id=passage_id)


def _identifier(record: dict[str, Any], name: str, number: int) -> str:
    value = record.get("_id", record.get("id"))
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise _bad(name, number, 'it has no "_id" or "id" that is a text or a whole number')
    return str(value)


def _string(record: dict[str, Any], key: str, name: str, number: int) -> str:
    value = record.get(key, "" if key == "title" else None)
    if value is None and key == "title":
        return ""
    if not isinstance(value, str):
        raise _bad(name, number, f'it has no "{key}" that is a text')
    return value


def _bad(name: str, number: int, reason: str) -> UnreadableFile:
    return UnreadableFile(
        f"cannot read {name}",
        cause=f"line {number}: {reason}",
        hint='Each line must look like {"_id": "1", "title": "optional", "text": "..."}',
    )
