"""Runs and judgements in the form of TREC, to exchange them with other programs.

A run is ``query Q0 document rank score tag`` a line, set apart by white space; judgements are
``query 0 document relevance``. Programs order a run by its score and then in their own ways
(trec_eval: by falling document id, on scores in single precision; it never reads the rank), so the
scores written here fall strictly, even in single precision.
"""

import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from eval.errors import EvalError

Hits = Iterable[tuple[str, float]]
_LARGEST = 3e38  # of single precision


def write(path: Path, run: Mapping[str, Hits], tag: str) -> None:
    """Write a run: the hits of every query, best first, in that order.

    Scores are written in single precision. One that is not below the one before it becomes the next
    smaller number, so that ties keep the given order; every other stays what it is.

    Args:
        path: of the file; a name that ends in ``.gz`` is compressed.

    Raises:
        EvalError: an id or the tag is empty or holds white space, which the form cannot hold, or a
            score is not finite.
    """
    _whole("tag", tag)
    with _create(path) as file:
        for query, hits in run.items():
            _whole("query", query)
            for rank, (document, score) in enumerate(_falling(query, hits), start=1):
                file.write(f"{query} Q0 {document} {rank} {score} {tag}\n".encode())


def read(path: Path) -> dict[str, dict[str, float]]:
    """Read a run: query id -> document id -> score.

    Besides TREC's form, the one of BRIGHT's programs is read: a JSON object of objects. Either may
    be compressed by gzip.

    Raises:
        EvalError: the file, or the named line, cannot be read, or names a document twice.
    """
    content = _content(path)
    if content.lstrip().startswith(b"{"):
        return _json_run(path, content)
    run: dict[str, dict[str, float]] = {}
    for number, fields in _fields(content):
        if len(fields) != 6:
            raise _bad(path, number, "it is not: query Q0 document rank score tag")
        query, _, document, _, score, _ = fields
        _add(run.setdefault(query, {}), document, _number(path, number, score), path, number)
    if not run:
        raise EvalError(f"{path} is empty")
    return run


def _falling(query: str, hits: Hits) -> Iterator[tuple[str, str]]:
    """Documents with scores that fall strictly in single precision, in its nine digits."""
    import numpy as np

    last = np.float32(np.inf)
    seen = set[str]()
    for document, score in hits:
        _whole("document", document)
        if document in seen:
            raise EvalError(f"{document} stands twice in the run of query {query}")
        seen.add(document)
        if not abs(score) < _LARGEST:
            raise EvalError(f"The score of {document} for query {query} is {score}")
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))
        yield document, f"{last:.9g}"


def _whole(what: str, name: str) -> None:
    if name.split() != [name]:
        raise EvalError(
            f"The {what} {name!r} cannot stand in a TREC file",
            cause="its fields are set apart by white space",
            hint="Give ids without white space",
        )


def _create(path: Path) -> Any:
    try:
        return gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb")
    except OSError as error:
        raise EvalError(f"{path} cannot be written", cause=str(error)) from error


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError) as error:
        cause = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise EvalError(f"{path} cannot be read", cause=cause) from error


def _fields(content: bytes) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), start=1):
        if fields := line.split():
            yield number, fields


def _json_run(path: Path, content: bytes) -> dict[str, dict[str, float]]:
    try:
        found = orjson.loads(content)
        return {
            query: {document: float(score) for document, score in hits.items()}
            for query, hits in found.items()
        }
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        cause = f"it is no JSON object of objects of numbers ({error})"
        raise EvalError(f"{path} cannot be read", cause=cause) from error


def _number(path: Path, number: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _bad(path, number, f"{text!r} is no finite number")
    return value


def _add(row: dict[str, Any], document: str, value: float, path: Path, number: int) -> None:
    if document in row:
        raise _bad(path, number, f"{document} stands twice for the query")
    row[document] = value


def _bad(path: Path, number: int, reason: str) -> EvalError:
    return EvalError(f"{path} line {number} cannot be read", cause=reason)
