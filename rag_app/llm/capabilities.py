"""What a language-model server takes: found out at the first refusal, and kept to from then on.

Servers refuse a whole request over an argument that they do not know (``stream_options``,
``max_tokens``, ``temperature``, structured outputs, log-probabilities) or over a system message
that the model's chat template does not have. A refused request is therefore followed by probes, a
short question with one of its arguments each, and sent again without those that are refused.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import httpx

from rag_app.llm.replies import LARGEST, ServerError, tidy_reply, tidy_stream
from retrieval.replies import PLAIN, ReplyError, async_pieces, read

Json = dict[str, Any]

SYSTEM: Final = "system role"
LOGPROBS: Final = "logprobs"
STRUCTURED: Final = "structured outputs"
_OTHER_LIMIT: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_GROUPS: Final = {
    "logprobs": LOGPROBS,
    "top_logprobs": LOGPROBS,
    "logprob_token_ids": LOGPROBS,
    "structured_outputs": STRUCTURED,
    "response_format": STRUCTURED,
}
_ESSENTIAL: Final = ("model", "messages", "prompt", "stream", "n")
_REFUSED: Final = (400, 415, 422, 501)
_TELLING: Final = re.compile(
    r"jinja|template|system|\brole|unsupported|not support|not implemented|not permitted|unknown"
    r"|unrecogni[sz]ed|unexpected|invalid|extra",
    re.IGNORECASE,
)
"""Words of errors that are about the request, with whatever status they come (llama.cpp: 500)."""
LARGEST_ERROR: Final = 64 << 10
LARGEST_STREAM: Final = 256 << 20
"""Bytes of a refusal, and of all events of a stream with what frames them."""
_PROBE: Final = "Say yes."


@dataclass
class _Known:
    """What is known of one model at one address: names of arguments, and `SYSTEM`."""

    accepted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    learning: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]" = field(
        default_factory=WeakKeyDictionary
    )

    def lock(self) -> asyncio.Lock:
        """One of the running event loop."""
        return self.learning.setdefault(asyncio.get_running_loop(), asyncio.Lock())


class Capabilities:
    """What servers are known to refuse, by address and model; shared by all clients."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}

    def of(self, address: str, model: str) -> _Known:
        """What is known; nothing at first."""
        return self._known.setdefault((address, model), _Known())

    def left_out(self) -> list[str]:
        """What is refused by any of them, in alphabetical order."""
        return sorted({name for known in self._known.values() for name in known.refused})


class _Answer(NamedTuple):
    """A response, and whether it refuses the form of the request."""

    response: httpx.Response
    refuses: bool


class ServerTransport(httpx.AsyncBaseTransport):
    """Sends requests in a form that the server takes, and hands its replies on in the API's.

    Args:
        connections: makes the calls; whoever made it closes it.
        capabilities: what is known already, and where what is learnt goes.
    """

    def __init__(self, connections: httpx.AsyncClient, capabilities: Capabilities) -> None:
        self._connections, self._capabilities = connections, capabilities

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.AsyncBaseTransport`; raises what the connections do."""
        body: Json = json.loads(await request.aread())
        known = self._capabilities.of(str(request.url), str(body.get("model")))
        sent = _adapted(body, known.refused)
        answer = await self._ask(request, sent)
        if not answer.refuses:
            known.accepted |= _features(sent)
            return answer.response
        async with known.lock():
            await self._learn(request, sent, known)
        adapted = _adapted(body, known.refused)
        if adapted != sent:  # others may have learnt meanwhile, too
            answer = await self._ask(request, adapted)
        return answer.response

    async def _learn(self, request: httpx.Request, refused: Json, known: _Known) -> None:
        """Try what may be to blame, each by itself; nothing is learnt where the rest fails, too."""
        unsure = _features(refused) - known.accepted - known.refused
        if not unsure:
            return
        base: Json = {key: refused[key] for key in ("model", "stream") if key in refused}
        if "messages" in refused:
            base["messages"] = [{"role": "user", "content": _PROBE}]
        else:
            base["prompt"] = _PROBE
        limit = next((key for key in _OTHER_LIMIT if key in refused), None)
        limits: list[Json] = [{}]
        if limit is not None:
            value = refused[limit]
            other = {_OTHER_LIMIT[limit]: value} if "messages" in refused else None
            limits = [{limit: value}, *([other] if other else []), {}]
        for tried in limits:
            accepted = await self._takes(request, {**base, **tried})
            if accepted is None:
                return
            if accepted:
                base |= tried
                known.accepted |= tried.keys()
                break
            known.refused |= tried.keys() - known.accepted
        else:
            known.refused -= _OTHER_LIMIT.keys()
            return
        for name in sorted(unsure - _OTHER_LIMIT.keys()):
            accepted = await self._takes(request, _with(base, refused, name))
            if accepted is not None:
                (known.accepted if accepted else known.refused).add(name)

    async def _takes(self, request: httpx.Request, body: Json) -> bool | None:
        """Whether a request of this form is answered; None where it fails for another reason."""
        answer = await self._ask(request, body)
        await answer.response.aclose()
        if answer.refuses:
            return False
        return True if answer.response.is_success else None

    async def _ask(self, request: httpx.Request, body: Json) -> _Answer:
        content = json.dumps(body).encode()
        others = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
        sent = httpx.Request(
            request.method, request.url, headers={**others, **PLAIN}, content=content,
            extensions=request.extensions,
        )  # fmt: skip
        reply = await self._connections.send(sent, stream=True)
        try:
            if not reply.is_success:
                raw = await _whole(reply, LARGEST_ERROR)
                refuses = reply.status_code in _REFUSED or bool(
                    reply.status_code == 500 and _TELLING.search(raw.decode(errors="replace"))
                )
                return _Answer(_response(reply, raw), refuses)
            _refuse_page(reply)
            if body.get("stream"):
                return _Answer(await _streamed(reply), False)
            raw = await _whole(reply, LARGEST)
            return _Answer(_response(reply, tidy_reply(raw) or raw, "application/json"), False)
        except ServerError as error:
            await reply.aclose()
            raw = json.dumps(error.body).encode()
            response = _response(reply, raw, "application/json", status=_status(error.body))
            return _Answer(response, bool(_TELLING.search(str(error))))
        except ReplyError as error:
            await reply.aclose()
            raw = json.dumps({"error": {"message": str(error)}}).encode()
            return _Answer(_response(reply, raw, "application/json", status=400), False)
        except BaseException:  # whatever it is, the connection is given back and the error goes on
            await reply.aclose()
            raise


def _refuse_page(reply: httpx.Response) -> None:
    """Raise ReplyError over a web page, which servers send from other addresses than the API's."""
    if "text/html" in reply.headers.get("content-type", ""):
        raise ReplyError(
            "a web page came in place of an answer: the address has to end where the server's API "
            "begins (often /v1)"
        )


async def _whole(reply: httpx.Response, most: int) -> bytes:
    raw = await read(reply, most)
    await reply.aclose()
    return raw


async def _streamed(reply: httpx.Response) -> httpx.Response:
    """The response when its first event is there, which may tell of an error."""
    events = tidy_stream(async_pieces(reply, LARGEST_STREAM))
    first = await anext(events, b"")
    headers = {**_headers(reply), "content-type": "text/event-stream"}
    stream = _Events(first, events, reply)
    return httpx.Response(reply.status_code, headers=headers, stream=stream)


class _Events(httpx.AsyncByteStream):
    """Events of a response that is closed with them."""

    def __init__(self, first: bytes, others: AsyncIterator[bytes], reply: httpx.Response) -> None:
        self._first, self._others, self._reply = first, others, reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        async for event in self._others:
            yield event

    async def aclose(self) -> None:
        await self._reply.aclose()


def _features(body: Mapping[str, Any]) -> set[str]:
    """What of a request a server may refuse."""
    found = {_GROUPS.get(key, key) for key in body if key not in _ESSENTIAL}
    return found | ({SYSTEM} if _has_system(body) else set())


def _has_system(body: Mapping[str, Any]) -> bool:
    return any(message["role"] == "system" for message in body.get("messages", ()))


def _with(base: Json, refused: Json, name: str) -> Json:
    """A probe with one of the features of a request."""
    if name == SYSTEM:
        return {**base, "messages": [{"role": "system", "content": _PROBE}, *base["messages"]]}
    return {**base, **{k: v for k, v in refused.items() if _GROUPS.get(k, k) == name}}


def _adapted(body: Json, refused: set[str]) -> Json:
    """The request without what is refused; a limit by its other name, rules in the question."""
    adapted = {}
    for key, value in body.items():
        if key in _ESSENTIAL or _GROUPS.get(key, key) not in refused:
            adapted[key] = value
        elif key in _OTHER_LIMIT and _OTHER_LIMIT[key] not in refused:
            adapted[_OTHER_LIMIT[key]] = value
    if SYSTEM in refused and _has_system(body):
        adapted["messages"] = _without_system(body["messages"])
    return adapted


def _without_system(messages: list[Json]) -> list[Json]:
    """The messages with the rules before what the user says first."""
    rules = [message["content"] for message in messages if message["role"] == "system"]
    others = [dict(message) for message in messages if message["role"] != "system"]
    if not others or others[0]["role"] != "user":
        others.insert(0, {"role": "user", "content": ""})
    others[0]["content"] = "\n\n".join(filter(None, [*rules, others[0]["content"]]))
    return others


def _status(body: Json) -> int:
    """The status that an error should have come with."""
    error = body.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 400


def _headers(reply: httpx.Response) -> dict[str, str]:
    """Those that are still true of a body that was read and written again."""
    gone = ("content-encoding", "content-length", "transfer-encoding")
    return {name: value for name, value in reply.headers.items() if name.lower() not in gone}


def _response(
    reply: httpx.Response, raw: bytes, kind: str | None = None, status: int | None = None
) -> httpx.Response:
    headers = _headers(reply)
    if kind and raw[:1] in (b"{", b"["):
        headers["content-type"] = kind
    return httpx.Response(status or reply.status_code, headers=headers, content=raw)
