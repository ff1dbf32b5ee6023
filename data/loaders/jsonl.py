"""JSON lines: passages that are cut already, as in BEIR corpora, or objects of any shape."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.blocks import Block
from data.cleaning import clean, inline
from data.errors import UnreadableFile
from data.limits import MIB
from data.loaders.records import records

_MAX_LINE = 16 * MIB


def load(path: Path) -> Iterator[Block]:
    """Passages, where the first line is one; else what the objects say, a line each.

    A passage is `{"_id" or "id": ..., "title"?: ..., "text": ...}` (the layout of BEIR, Thakur et
    al. 2021): the document's text is the passages' texts in order, parted by two line feeds, and
    other fields are ignored. One without text is its title; one with neither is skipped, as are
    blank lines. Raises UnreadableFile that names the line for anything else. Streamed.
    """
    first = next((line for _, line in _lines(path)), b"")
    if not _is_passage(first):
        yield from objects(path)
        return
    for number, line in _lines(path):
        block = _block(line, path.name, number)
        if block.text:
            yield block


def objects(path: Path) -> Iterator[Block]:
    """What the objects of a file say, one or more lines each."""
    for number, line in _lines(path):
        yield from records(_value(line, path.name, number))


def _is_passage(line: bytes) -> bool:
    import orjson

    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return True  # whose error names the line
    return isinstance(record, dict) and ("_id" in record or "id" in record) and "text" in record


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


def _value(line: bytes, name: str, number: int) -> Any:
    import orjson

    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _bad(name, number, f"it is not JSON ({error})") from error


def _block(line: bytes, name: str, number: int) -> Block:
    record = _value(line, name, number)
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
