"""Reading data files line by line, so that a broken line is named, and telling revisions apart."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from data.files import sha256
from eval.errors import DatasetError


def rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and bytes of each line that is not blank, without its line end.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip(b"\r\n").removeprefix(_BOM if number == 1 else b"")
    except OSError as error:
        cause = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise DatasetError(f"{path} cannot be read", cause=cause) from error


def records(path: Path, hint: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and content of each line of a file of JSON objects.

    Raises:
        DatasetError: the file cannot be read, or the named line is no JSON object in UTF-8.
    """
    for number, row in rows(path):
        try:
            record = orjson.loads(row)
        except orjson.JSONDecodeError as error:
            raise bad(path, number, f"it is not JSON ({error})", hint) from error
        if not isinstance(record, dict):
            raise bad(path, number, "it is not a JSON object", hint)
        yield number, record


def bad(path: Path | str, number: int, reason: str, hint: str) -> DatasetError:
    """The error that names a line."""
    return DatasetError(f"{path} line {number} cannot be read", cause=reason, hint=hint)


def identifier(record: Mapping[str, Any]) -> str | None:
    """The record's `_id` or `id`, as `data.loaders.jsonl` reads it; None without one."""
    value = record.get("_id", record.get("id"))
    usable = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    return str(value) if usable else None


def revision(parts: Iterable[Any], *files: Path) -> str:
    """Digest of JSON-like parts, in their order, and of the bytes of files: 16 hex digits.

    What came from the hub and what lay at hand give the same digest where their content is the
    same.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, ensure_ascii=False, sort_keys=True).encode())
        digest.update(b"\n")
    for file in files:
        digest.update(bytes.fromhex(sha256(file)))
    return digest.hexdigest()[:16]


_BOM = b"\xef\xbb\xbf"
