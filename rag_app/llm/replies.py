"""Replies of language-model servers, put into the form that clients of OpenAI's API rely on.

Servers that call themselves compatible differ: they send ``choices: null`` with the usage, ``delta:
null``, content in parts, a whole reply where a stream was asked for and the other way round,
comments between events, or no reason why an answer ends. What can be understood is put right here,
once, and the rest is handed on as it came, so that the client says what is wrong with it.
"""

import json
import re
from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final

from data.text import well_formed
from retrieval.replies import ReplyError

Json = dict[str, Any]

LARGEST: Final = 8 << 20
"""Bytes of a reply that is no stream, and of one event; what is longer is none of a chat."""
_DEEPEST: Final = 64
"""Values within values of a reply."""
_MOST_LINES: Final = 16
"""Lines of an event after which its end is awaited, however complete it looks."""
_END: Final = b"[DONE]"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_PARTS: Final = {"text": "text", "output_text": "text", "thinking": "thinking", "reasoning": "text"}
"""Kinds of parts of a content, and where their words stand."""
_THOUGHTS: Final = ("thinking", "reasoning")
_THOUGHT_FIELDS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "thought")
"""Fields of a message for what a model thinks; the client knows the first two."""


class ServerError(Exception):
    """What a server sent in place of an answer, with the status of success.

    Attributes:
        body: the object that tells of the error.
    """

    def __init__(self, body: Json) -> None:
        super().__init__(str(body.get("error")))
        self.body = body


def tidy_reply(raw: bytes) -> bytes | None:
    """A whole reply in the API's form; None where it is no reply at all.

    A stream that comes in its place is joined.

    Raises:
        ServerError: it tells of an error.
    """
    if raw.lstrip()[:1] not in (b"{", b"["):
        chunks = [event for event in map(_parsed, _events(raw)) if event is not None]
        return json.dumps(_joined(chunks)).encode() if chunks else None
    body = _parsed(raw)
    if body is None:
        return None
    choices = body.get("choices")
    if isinstance(choices, list):
        body["choices"] = [_whole_choice(choice) for choice in choices]
    elif (error := _error(body)) is not None:
        raise ServerError(error)
    return json.dumps(_clean(body)).encode()


async def tidy_stream(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A streamed reply as server-sent events in the API's form, one a piece.

    A whole reply that comes in its place becomes one event and the end.

    Raises:
        ServerError: the first event tells of an error; a later one is handed on.
    """
    tidier, begun, lines = _StreamTidier(), False, _lines(pieces)
    async for line in lines:
        if not begun and line.lstrip()[:1] in (b"{", b"["):
            async for event in _from_whole(line, lines):
                yield event
            return
        for chunk in tidier.feed(line):
            if not begun and "error" in chunk and not chunk.get("choices"):
                raise ServerError(chunk)
            begun = True
            yield _event(chunk)
        if tidier.ended:
            yield b"data: [DONE]\n\n"
            return


async def _from_whole(first: bytes, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Events of a reply in one piece, of which the first line has been read."""
    raw = bytearray(first)
    async for line in lines:
        raw += b"\n" + line
        if len(raw) > LARGEST:
            raise _too_large("reply")
    body = _parsed(bytes(raw))
    if body is None:  # perhaps events of a line each, without what frames them
        bodies = [one for one in map(_parsed, bytes(raw).splitlines()) if one is not None]
        body = _joined(bodies) if bodies else None
    if body is None:
        return
    choices = body.get("choices")
    if not isinstance(choices, list):
        if (error := _error(body)) is not None:
            raise ServerError(error)
        return
    tidier = _StreamTidier()
    for chunk in tidier.take(body):
        yield _event(chunk)
    for chunk in tidier.end():
        yield _event(chunk)
    yield b"data: [DONE]\n\n"


class _StreamTidier:
    """Puts the events of one stream right.

    Attributes:
        ended: whether the stream has said that it is complete.
    """

    def __init__(self) -> None:
        self.ended = False
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._halves: dict[Any, str] = {}
        self._answered = self._finished = False
        self._frame: Json = {}

    def feed(self, line: bytes) -> Iterator[Json]:
        """The chunks that are complete with a line; comments, ``id:`` and ``retry:`` are none."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > LARGEST:
                raise _too_large("event")
        elif name == b"error":  # llama.cpp, in place of the data
            self._name, self._data = b"error", [value]
        elif name == b"event":
            self._name = value.strip()
        if line.strip() and not (name in (b"data", b"error") and _complete(self._data)):
            return
        data, self._data, self._size = b"\n".join(self._data).strip(), [], 0
        failed, self._name = self._name == b"error", b""
        if data == _END:
            self.ended = True
            yield from self.end()
        elif data and (body := _parsed(data)) is not None:
            yield from [{"error": body}] if failed and "error" not in body else self.take(body)

    def take(self, body: Json) -> Iterator[Json]:
        """A chunk in the API's form."""
        if (error := _error(body)) is not None:
            yield error
            return
        choices = body.get("choices")
        if choices is None or isinstance(choices, list):
            body["choices"] = [
                self._choice(choice)
                for choice in choices or []
                if isinstance(choice, dict) and choice.get("index") in (0, "0", None)
            ]
        self._frame = {key: body.get(key) for key in ("id", "object", "created", "model")}
        yield _clean(body)

    def end(self) -> Iterator[Json]:
        """The reason for the end of a stream that is complete, where it gave none."""
        if self._answered and not self._finished:
            choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
            yield {**self._frame, "choices": [choice]}

    def _choice(self, choice: Json) -> Json:
        self._answered = True
        reason = choice.get("finish_reason") or None
        self._finished |= reason is not None
        index = choice.get("index")
        tidied = {**choice, "index": index if isinstance(index, int) else 0}
        tidied["finish_reason"] = reason
        if "text" in choice:  # of a completion
            return tidied | {"text": self._whole(("text", index), choice["text"])}
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = tidied.pop("message", None)
        message = _message(delta if isinstance(delta, dict) else {})
        # a first chunk without content is passed over by LlamaIndex with all else that it holds
        message["content"] = self._whole(("content", index), message.get("content"))
        if "reasoning_content" in message:
            thought = self._whole(("thought", index), message["reasoning_content"])
            message["reasoning_content"] = thought
        return tidied | {"delta": message}

    def _whole(self, place: Any, text: object) -> str:
        """The text behind the half of a character that the chunk before ended with."""
        text = self._halves.pop(place, "") + (text if isinstance(text, str) else "")
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._halves[place] = text[-1]
            return text[:-1]
        return text


def _complete(data: list[bytes]) -> bool:
    """Whether lines of data are an event already, though the empty line behind it is missing.

    Some servers part events by single line feeds.
    """
    if len(data) > _MOST_LINES:
        return False
    joined = b"\n".join(data).strip()
    return joined == _END or (joined[-1:] == b"}" and _parsed(joined) is not None)


def _whole_choice(choice: Any) -> Any:
    if not isinstance(choice, dict) or "text" in choice:
        return choice
    message = choice.get("message", choice.get("delta"))
    if not isinstance(message, dict):
        return choice
    finish = choice.get("finish_reason") or "stop"
    return {**choice, "message": _message(message), "finish_reason": finish}


def _message(message: Json) -> Json:
    """A message whose content is text; thoughts among its parts go to a field of their own."""
    content = message.get("content") or message.get("refusal")  # OpenAI's words of refusal
    if not isinstance(message.get("role"), str):
        message = {**message, "role": "assistant"}
    known = next(filter(None, (_words(message.get(field)) for field in _THOUGHT_FIELDS)), "")
    message = {key: value for key, value in message.items() if key not in _THOUGHT_FIELDS}
    if known:
        message["reasoning_content"] = known
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return {**message, "content": content if isinstance(content, str) else None}
    thoughts, text = known, ""
    for part in content:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        words = _words(part)
        if kind in _THOUGHTS:
            thoughts += words
        else:
            text += words
    thinking = {"reasoning_content": thoughts} if thoughts else {}
    return {**message, **thinking, "content": text}


def _words(part: Any) -> str:
    """What a part says; parts may hold parts (Mistral's ``thinking``)."""
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "".join(map(_words, part))
    if isinstance(part, dict):
        place = _PARTS.get(str(part.get("type", "text")), "text")
        return _words(part.get(place, part.get("content")))
    return ""


def _joined(chunks: list[Json]) -> Json:
    """One reply of the chunks of a stream."""
    tidier = _StreamTidier()
    texts: defaultdict[str, list[str]] = defaultdict(list)
    reply, finish = dict[str, Any](), "stop"
    for chunk in [tidied for one in chunks for tidied in tidier.take(one)]:
        if "error" in chunk and not chunk.get("choices"):
            raise ServerError(chunk)
        reply |= {key: value for key, value in chunk.items() if value is not None}
        for choice in chunk["choices"][:1] if isinstance(chunk.get("choices"), list) else ():
            finish = choice["finish_reason"] or finish
            for key, value in (choice.get("delta") or {"text": choice.get("text")}).items():
                if isinstance(value, str) and key != "role":
                    texts[key].append(value)
    joined = {key: "".join(parts) for key, parts in texts.items()}
    whole = {"text": joined["text"]} if "text" in joined else {}
    message = {} if whole else {"message": {"role": "assistant", "content": "", **joined}}
    return {**reply, "choices": [{"index": 0, **whole, **message, "finish_reason": finish}]}


def _error(body: Json) -> Json | None:
    """The body as the API tells of errors, if it does so in any way."""
    if choices := body.get("choices"):
        first = choices[0] if isinstance(choices, list) else None
        error = first.get("error") if isinstance(first, dict) else None
        return {"error": error} if isinstance(error, dict) else None  # OpenRouter, in mid-stream
    if body.get("error"):
        reason = body["error"]
        return {"error": reason if isinstance(reason, dict) else {"message": str(reason)}}
    if body.get("object") == "error":
        return {"error": body}
    return None


def _clean(value: Any) -> Any:
    """JSON whose texts can be written as UTF-8."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    return value


def _parsed(raw: bytes) -> Json | None:
    try:
        body = json.loads(raw.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and _is_shallow(body) else None


def _is_shallow(body: Json) -> bool:
    """Whether it can be walked through; the parser itself allows as deep as the stack."""
    level: list[Any] = [body]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return True
    return False


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_large(what: str) -> ReplyError:
    return ReplyError(f"the {what} is larger than {LARGEST >> 20} MiB")


def _events(raw: bytes) -> Iterator[bytes]:
    for line in raw.splitlines():
        name, _, value = line.partition(b":")
        if name == b"data":
            yield value


def _event(chunk: Json) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines without their ends, which are those of server-sent events alone, not Unicode's.

    A mark of the byte order at the beginning is left out.
    """
    held, size, returned, begun = list[bytes](), 0, False, False
    async for piece in pieces:
        # of a line end in two pieces the first half has ended the line
        fresh = piece.removeprefix(b"\n") if returned else piece
        returned = piece.endswith(b"\r") if piece else returned
        first, *others = _LINE_END.split(fresh)
        held.append(first)
        size += len(first)
        if size > LARGEST:
            raise _too_large("event")
        for other in others:
            line = b"".join(held)
            yield line if begun else line.removeprefix(BOM_UTF8)
            held, size, begun = [other], len(other), True
    line = b"".join(held)
    yield line if begun else line.removeprefix(BOM_UTF8)
    yield b""
