"""What reaches Gradio: the few routes that the page uses, and events of a form that it can send.

Gradio serves a page to anyone who writes programs for it, too. Ours is for people alone; programs
have `/api` and `/v1`. So everything else that Gradio would answer is not here, no event carries a
file, and an event goes to the conversation of the browser that sent it and to no other.
"""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.recent import Recent
from rag_app.web.gate import refuse

_API: Final = "/gradio_api"
_PAGES: Final = frozenset(
    {
        "/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt",
        f"{_API}/theme.css", f"{_API}/startup-events", f"{_API}/app_id", f"{_API}/queue/data",
    }
)  # fmt: skip
_FOLDERS: Final = ("/assets/", "/static/", "/svelte/", f"{_API}/heartbeat/")
_EVENTS: Final = frozenset({f"{_API}/queue/join", f"{_API}/run/predict"})
_ENDS: Final = frozenset({f"{_API}/cancel"})
_EVENT: Final = ("session_hash", "fn_index", "data", "event_data", "trigger_id")
_END: Final = ("session_hash", "event_id", "fn_index")
_FILES: Final = frozenset({"path", "meta", "is_stream", "orig_name"})
"""Keys of Gradio's files; no event of ours carries one."""
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEEPEST: Final = 16
_LONGEST: Final = 255
"""Bytes of a path; no file system takes a longer name, and Gradio does not ask before."""
_MOST_SESSIONS: Final = 10_000


class PageGuard:
    """ASGI middleware around the pages.

    Args:
        app: Gradio's application.
        inputs: how many values each event takes, by its index.
        visitor: who sends a request; empty for a browser that is not known.
    """

    def __init__(
        self, app: ASGIApp, inputs: dict[int, int], visitor: Callable[[HTTPConnection], str]
    ) -> None:
        self._app, self._inputs, self._visitor = app, inputs, visitor
        self._sessions: Recent[str, str] = Recent(_MOST_SESSIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        path, method = scope["path"], scope["method"]
        try:
            if method == "POST" and path in _EVENTS | _ENDS:
                event = self._event(await request.body(), path in _EVENTS)
                self._require_own(request, event["session_hash"])
                body = orjson.dumps(event)
                scope, receive = _with_length(scope, body), _once(body, receive)
                send = _explained(send)
            else:
                _require_page(method, path)
                if session := _session_of(request):
                    self._require_own(request, session)
        except Refused as refused:
            await refuse(scope, refused.status, refused.reason)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _require_own(self, request: Request, session: str) -> None:
        """Refuse a session that another browser has begun."""
        visitor = self._visitor(request)
        if self._sessions.get(session, visitor) != visitor:
            raise Refused("this conversation is another browser's", 403)
        self._sessions[session] = visitor

    def _event(self, body: bytes, whole: bool) -> dict[str, Any]:
        """The event of a request: what of it Gradio needs, once it has been found right."""
        try:
            sent = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refused(f"the request is not JSON: {error}") from None
        if not isinstance(sent, dict):
            raise Refused("the request is no object")
        if not _SESSION.fullmatch(_string(sent.get("session_hash"))):
            raise Refused("session_hash is missing or odd")
        if not whole:
            return {name: sent[name] for name in _END if name in sent}
        index, data = sent.get("fn_index"), sent.get("data")
        if type(index) is not int or index not in self._inputs:
            raise Refused("fn_index is no event of this page")
        if not isinstance(data, list) or len(data) != self._inputs[index]:
            raise Refused(f"data is no list of {self._inputs[index]} values")
        trigger = sent.get("trigger_id")
        if trigger is not None and type(trigger) is not int:
            raise Refused("trigger_id is no number")
        _require_no_files([data, sent.get("event_data")])
        return {name: sent.get(name) for name in _EVENT}


class Refused(Exception):
    """A request that is not answered, with its reason."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


def _require_page(method: str, path: str) -> None:
    known = path in _PAGES or (path.startswith(_FOLDERS) and len(path.encode()) <= _LONGEST)
    if method not in {"GET", "HEAD"} or not known:
        raise Refused("there is nothing here", 404)


def _require_no_files(value: Any, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise Refused("the event is nested too deeply")
    if isinstance(value, dict):
        if found := _FILES & value.keys():
            raise Refused(f"an event of this page carries no files ({', '.join(sorted(found))})")
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _require_no_files(one, depth + 1)


def _session_of(request: Request) -> str:
    """The session that a path or a query names; empty where there is none."""
    path, heartbeat = request.scope["path"], f"{_API}/heartbeat/"
    query = parse_qs(request.scope["query_string"].decode("latin-1")).get("session_hash", [""])
    session = path.removeprefix(heartbeat) if path.startswith(heartbeat) else query[0]
    if (session or path in {f"{_API}/queue/data", heartbeat}) and not _SESSION.fullmatch(session):
        raise Refused("session_hash is missing or odd")
    return str(session)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _with_length(scope: Scope, body: bytes) -> Scope:
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name not in {b"content-length", b"transfer-encoding", b"content-type"}
    ]
    length = (b"content-length", str(len(body)).encode())
    return {**scope, "headers": [*headers, length, (b"content-type", b"application/json")]}


def _once(body: bytes, receive: Receive) -> Receive:
    """The body as a whole, and then what else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def following() -> Message:
        return messages.pop() if messages else await receive()

    return following


_MISFITS: ContextVar[list[str]] = ContextVar("misfits")
"""What of the values of the event at hand does not fit their components."""


def note_misfit(error: Exception) -> None:
    """Note that the values of an event do not fit the components that they are for."""
    misfits = _MISFITS.get(None)
    if misfits is not None:
        misfits.append(str(error))


def _explained(send: Send) -> Send:
    """Gradio answers 500 to values that its components do not take: that is the sender's fault,
    unlike what our own events raise.
    """
    misfits: list[str] = []
    _MISFITS.set(misfits)

    async def sending(message: Message) -> None:
        if misfits and message["type"] == "http.response.start" and message["status"] == 500:
            message = {**message, "status": 422}
        await send(message)

    return sending
