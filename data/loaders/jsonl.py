"""JSON lines: passages that are cut already, as in BEIR corpora, or objects of any shape."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.blocks import Block, Loaded, LoadWarning
from data.cleaning import clean, inline
from data.errors import UnreadableFile
from data.limits import MIB
from data.loaders.making import line
from data.loaders.records import records

_MAX_LINE = 16 * MIB


def load(path: Path) -> Iterator[Loaded]:
    """Passages, where the first line is one; else what the objects say, a line each.

    A passage is `{"_id" or "id": ..., "title"?: ..., "text": ...}` (the layout of BEIR, Thakur et
    al. 2021): the document's text is the passages' texts in order, parted by two line feeds, and
    other fields are ignored. One without text is its title; one with neither is skipped, as are
    blank lines. Raises UnreadableFile that names the line for anything else. Streamed.
    """
    first = next((source for _, source in _lines(path)), b"")
    if not _is_passage(first):
        yield from objects(path)
        return
    for number, source in _lines(path):
        block = _block(source, path.name, number)
        if block.text:
            yield block


def objects(path: Path) -> Iterator[Loaded]:
    """What the objects of a file say, one or more lines each; other lines as they stand."""
    odd: list[int] = []
    for number, source in _lines(path):
        try:
            value = parse(source)
        except ValueError:
            yield line(clean(source.decode("utf-8", "replace")))
            odd.append(number)
        else:
            yield from records(value, listed=True)
    if odd:
        what = f"line {odd[0]} is" if len(odd) == 1 else f"{len(odd)} lines from {odd[0]} on are"
        yield LoadWarning(f"{what} not JSON and read as text")


def parse(source: str | bytes) -> Any:
    """The value of a JSON text, numbers with a fraction as they are written ("12.50").

    Raises ValueError for what is none, and for what is nested too deep.
    """
    try:
        return json.loads(source, parse_float=str)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _is_passage(source: bytes) -> bool:
    try:
        record = parse(source)
    except ValueError:
        return True  # whose error names the line
    return isinstance(record, dict) and ("_id" in record or "id" in record) and "text" in record


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while source := file.readline(_MAX_LINE + 1):
            number += 1
            if len(source) > _MAX_LINE:
                raise _bad(path.name, number, f"it is longer than {_MAX_LINE // MIB} MiB")
            if number == 1:
                source = source.removeprefix(b"\xef\xbb\xbf")
            if source.strip():
                yield number, source


def _value(source: bytes, name: str, number: int) -> Any:
    try:
        return parse(source)
    except ValueError as error:
        raise _bad(name, number, f"it is not JSON ({error})") from error


def _block(source: bytes, name: str, number: int) -> Block:
    record = _value(source, name, number)
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
