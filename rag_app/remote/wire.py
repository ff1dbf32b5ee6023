"""The application's results as lines of JSON, for its HTTP API and those who call it.

Bytes go between the lines: one of type `bytes` says how many follow it.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Hashable, Iterator, Mapping
from functools import cache
from typing import Any, cast, get_args

import orjson
from pydantic import TypeAdapter

from data.errors import RagAppError
from generation.reading import TextDelta, ThinkingDelta
from rag_app.errors import ApplicationError
from rag_app.results import Answer, BackupReport, IngestReport, PassageBatch, Progress, SearchResult

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
    """One event, or one expected error, as a line of JSON: `type` and `data`, or `error`."""
    if isinstance(event, RagAppError):
        return dumped({"type": "error", "error": explained(event)}) + b"\n"
    for name, kind in _KINDS.items():
        if isinstance(event, kind):
            return dumped({"type": name, "data": plain(kind, event)}) + b"\n"
    raise TypeError(f"{type(event).__name__} is not sent over the wire")


def explained(error: RagAppError) -> dict[str, str]:
    """An expected error as every answer tells it: `message`, and `cause` and `hint` if any."""
    parts = {"message": error.message, "cause": error.cause, "hint": error.hint}
    return {name: text for name, text in parts.items() if text or name == "message"}


def refusal(explained: Mapping[str, object]) -> RemoteError:
    """The error that was `explained`; what it says beside that is left out."""
    cause, hint = (str(explained.get(name, "")) for name in ("cause", "hint"))
    return RemoteError(str(explained["message"]), cause=cause, hint=hint)


def dumped(message: object) -> bytes:
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
        raise refusal(message["error"])
    return adapter(_KINDS[message["type"]]).validate_python(message["data"])


def plain(kind: Hashable, value: object) -> Any:
    """A value of that type as what JSON can say."""
    return adapter(kind).dump_python(value, mode="json")


def kinds(union: object) -> Iterator[str]:
    """What lines of these types of events say in `type`."""
    wanted = get_args(union) or (union,)
    return (name for name, kind in _KINDS.items() if kind in wanted)


@cache
def adapter(kind: Hashable) -> TypeAdapter[Any]:
    """Converts between a type and plain data; made once, since making one is slow."""
    return TypeAdapter(cast("type[Any]", kind))
