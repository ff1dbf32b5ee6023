"""The application's results as lines of JSON, for its HTTP API and those who call it.

Bytes go between the lines: one of type `bytes` says how many follow it.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Hashable, Mapping
from functools import cache
from typing import Any, cast

import orjson
from pydantic import TypeAdapter

from data.errors import RagAppError
from generation.reading import TextDelta, ThinkingDelta
from rag_app.errors import ApplicationError
from rag_app.ingestion.report import IngestReport, Progress
from rag_app.results import Answer, BackupReport, PassageBatch, SearchResult

MEDIA_TYPE = "application/x-ndjson"

_KINDS: Mapping[str, Any] = {
    "found": SearchResult,
    "passages": PassageBatch,
    "thinking": ThinkingDelta,
    "delta": TextDelta,
    "answer": Answer,
    "progress": Progress,
    "report": IngestReport,
    "copied": BackupReport,
}
_BYTES = b'{"type":"bytes","size":'


class RemoteError(ApplicationError):
    """An error that the application at the other end has explained."""


def line(event: object) -> bytes:
    """One event, or one expected error, as a line of JSON."""
    if isinstance(event, RagAppError):
        return dumped({"type": "error", "message": str(event)}) + b"\n"
    for name, kind in _KINDS.items():
        if isinstance(event, kind):
            data = adapter(kind).dump_python(event, mode="json")
            return dumped({"type": name, "data": data}) + b"\n"
    raise TypeError(f"{type(event).__name__} is not sent over the wire")


def dumped(message: Mapping[str, object]) -> bytes:
    """As JSON in UTF-8, whatever its texts hold."""
    try:
        return orjson.dumps(message)
    except TypeError:  # half a surrogate pair somewhere in a text, which no UTF-8 can hold
        return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")


def framed(event: object) -> bytes:
    """As `line`; bytes come with a line before them that says how many they are."""
    if isinstance(event, bytes):
        return _BYTES + b"%d}\n" % len(event) + event
    return line(event)


async def unframed(pieces: AsyncIterable[bytes]) -> AsyncGenerator[Any, None]:
    """The events that were `framed`, from their bytes cut anywhere; raises as `parse`."""
    held, missing = bytearray(), 0
    async for piece in pieces:
        held += piece
        while held:
            if missing:
                part = bytes(held[:missing])
                del held[: len(part)]
                missing -= len(part)
                yield part
                continue
            end = held.find(b"\n")
            if end < 0:
                break
            text = bytes(held[:end])
            del held[: end + 1]
            if text.startswith(_BYTES):
                missing = int(text.removeprefix(_BYTES).removesuffix(b"}"))
            else:
                yield parse(text)


def parse(text: str | bytes) -> Any:
    """The event of one line. Raises RemoteError for a line that carries an error."""
    message = orjson.loads(text)
    if message["type"] == "error":
        raise RemoteError(message["message"])
    return adapter(_KINDS[message["type"]]).validate_python(message["data"])


@cache
def adapter(kind: Hashable) -> TypeAdapter[Any]:
    """Converts between a type and plain data; made once, since making one is slow."""
    return TypeAdapter(cast("type[Any]", kind))
