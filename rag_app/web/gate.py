"""What every request has to pass before anything of it is read, and the limits it works within."""

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.errors import RagAppError
from data.limits import MIB
from rag_app.accounts.rights import CURRENT, NOBODY, OPERATOR, Person
from rag_app.settings import Server
from rag_app.web.access import Access

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_LOOPBACK_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
LOG_IN: Final = "/login"
UPLOAD: Final = "/gradio_api/upload"
_RESTORE: Final = "/api/restore"
_DOCUMENTS: Final = re.compile(r"/api/collections/[^/]+/documents")
_INGEST: Final = re.compile(r"/api/collections/[^/]+/ingest")
_INSIDE: Final = re.compile(r"/api/collections/([^/]+)(?=/|$)")
_ABOUT: Final = frozenset({"/api/collections", "/openapi.json", "/healthz", "/readyz"})
"""Paths that tell an API key no more than of what it reaches."""
HEALTH: Final = "/healthz"
_OPEN: Final = frozenset({HEALTH, "/readyz", LOG_IN})
"""Paths that everybody may read; they say nothing of what is stored."""
_BODY: Final = 8 * MIB
"""Largest body that is no upload: it is held in memory."""
_UPLOADS: Final = 10
"""Largest uploads that one request may carry."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_WORKING: Final = ("/api/", "/v1/", "/mcp")
"""Where requests stand for work of their own, which ends when their client leaves."""
_LOGGER: Final = logging.getLogger(__name__)


class Gate:
    """ASGI middleware: host, origin, right, size and share of each request.

    Args:
        app: what is behind it.
        access: who sends requests.
        server: where it listens, and its limits.
    """

    def __init__(self, app: ASGIApp, access: Access, server: Server) -> None:
        self._app, self._access, self._server = app, access, server
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        limit = self._limit(scope["path"])
        person, refusal = NOBODY, self._misdirected(connection)
        if not refusal and scope["path"] != HEALTH:
            try:
                person = await self._access.identify(connection)
                refusal = self._refusal(connection, person, limit)
            except RagAppError as error:  # without the list of users, everybody is a stranger
                _LOGGER.warning("who sends requests cannot be told: %s", error)
                refusal = refuse(scope, 503, "who you are cannot be told: the log says why")
        if refusal:
            await refusal(scope, receive, send)
            return
        current = CURRENT.set(person)
        try:
            await self._pass_on(person, limit, scope, receive, send)
        finally:
            CURRENT.reset(current)

    async def _pass_on(
        self, person: Person, limit: float, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if not scope["path"].startswith(_WORKING):
            await _Exchange(self._app, scope, receive, send, limit).run(ends_with_client=False)
            return
        browser = person.id if person.id not in {"", OPERATOR.id} else ""
        user = browser or (scope.get("client") or ["unknown"])[0]
        if self._under_way[user] >= self._server.concurrent:
            message = f"more than {self._server.concurrent} requests of yours are under way"
            await refuse(scope, 429, message, {"Retry-After": "1"})(scope, receive, send)
            return
        with self._counted(user):
            await _Exchange(self._app, scope, receive, send, limit).run(ends_with_client=True)

    @contextmanager
    def _counted(self, user: str) -> Iterator[None]:
        self._under_way[user] += 1
        try:
            yield
        finally:
            self._under_way[user] -= 1
            self._under_way += Counter()  # forgets who has nothing under way

    def _limit(self, path: str) -> float:
        if path == _RESTORE:
            return math.inf  # it is written as it comes, and needs the right to change
        if _DOCUMENTS.fullmatch(path):
            return self._server.upload_mb * MIB
        return self._server.upload_mb * MIB * _UPLOADS if path == UPLOAD else _BODY

    def _misdirected(self, connection: HTTPConnection) -> Response | None:
        """The refusal of what nobody may send."""
        scope, headers = connection.scope, connection.headers
        if not _named_right(headers.get("host", ""), self._server.host):
            return refuse(scope, 400, "the request names another host than this one")
        if _CONTROL.search(scope["path"]):  # routes read a line's end as the end of the path
            return refuse(scope, 400, "the address holds a control character")
        if "content-length" in headers and "transfer-encoding" in headers:
            # a proxy before us may have seen another end of the body than we do
            message = "the request tells its length in two ways"
            return refuse(scope, 400, message, {"Connection": "close"})
        if _from_elsewhere(connection):
            return refuse(scope, 403, "requests from other sites are refused")
        return None

    def _refusal(self, connection: HTTPConnection, person: Person, limit: float) -> Response | None:
        scope = connection.scope
        if scope["path"] not in _OPEN and not person.may("read"):
            return self._unknown(connection)
        if not _reaches(person, scope["method"], scope["path"]):
            who = "this API key is not for that" if person.by_key else "only an admin may do that"
            return refuse(scope, 403, who)
        # a number, or the protocol had refused it
        length = connection.headers.get("content-length", "0")
        return too_large(scope, limit) if int(length) > limit else None

    def _unknown(self, connection: HTTPConnection) -> Response:
        scope = connection.scope
        if seconds := self._access.wait(connection):
            message = f"too many wrong passwords: try again in {math.ceil(seconds)} seconds"
            return refuse(scope, 429, message, {"Retry-After": str(math.ceil(seconds))})
        if connection.headers.get("sec-fetch-mode") == "navigate":
            return RedirectResponse(LOG_IN, 303)
        scheme = "Bearer" if scope["path"].startswith("/v1") else "Basic"
        return refuse(scope, 401, UNKNOWN, {"WWW-Authenticate": scheme})


UNKNOWN: Final = "this needs the password, or the token of a local command"


def refuse(
    scope: Scope, status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    """A refusal with its reason, in the form that the clients of the path understand."""
    body: dict[str, object] = {"error": {"message": message}}
    if scope["path"].startswith("/v1"):
        code = "invalid_api_key" if status == HTTPStatus.UNAUTHORIZED else None
        kind = "invalid_request_error"
        body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return JSONResponse(body, status, headers)


def _reaches(person: Person, method: str, path: str) -> bool:
    """Whether a known person may use a path at all; others are told how to become known."""
    if _INGEST.fullmatch(path) and person.id:
        return person.may("administer")  # it reads whatever file of this machine is named
    if not person.collections:
        return True
    if inside := _INSIDE.match(path):
        return person.reaches(inside[1])
    return path.startswith("/v1/") or (method == "GET" and path in _ABOUT)


def too_large(scope: Scope, limit: float) -> Response:
    """The refusal of a body."""
    return refuse(scope, 413, f"the request is larger than {limit / MIB:.0f} MB")


class _Exchange:
    """One request and its response, with the body counted and the client watched."""

    def __init__(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, limit: float
    ) -> None:
        self._app, self._scope, self._limit = app, scope, limit
        self._receive, self._send = receive, send
        self._size, self._started, self._too_large = 0, False, False
        self._read, self._gone = asyncio.Event(), asyncio.Event()
        headers = HTTPConnection(scope).headers
        self._bodiless = "content-length" not in headers and "transfer-encoding" not in headers
        if self._bodiless:
            self._read.set()

    async def run(self, *, ends_with_client: bool) -> None:
        """Let the application answer; `ends_with_client` cancels it when nobody listens."""
        self._work = asyncio.ensure_future(self._app(self._scope, self._next, self._start))
        watch = asyncio.create_task(self._watch(ends_with_client))
        try:
            await asyncio.wait({self._work})
        finally:
            watch.cancel()
            self._work.cancel()
        if self._too_large and not self._started:
            await too_large(self._scope, self._limit)(self._scope, self._receive, self._send)
        elif not self._work.cancelled():
            self._work.result()

    async def _watch(self, ends_with_client: bool) -> None:
        """Wait for the client to leave, once there is nothing else to come from it."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        if ends_with_client:
            self._work.cancel()

    async def _next(self) -> Message:
        """What the application receives."""
        if self._bodiless:
            self._bodiless = False
            return {"type": "http.request", "body": b"", "more_body": False}
        if self._read.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            self._too_large = True
            self._work.cancel()
            await asyncio.Event().wait()  # the cancellation ends this
        if not message.get("more_body", False):
            self._read.set()
        if message["type"] == "http.disconnect":
            self._gone.set()
        return message

    async def _start(self, message: Message) -> None:
        """What the application sends."""
        self._started = True
        await self._send(message)


def _named_right(host: str, listening: str) -> bool:
    """Whether a browser may have been led here by this name: a page elsewhere must not reach us by
    a name of its own, which it can make stand for our address.
    """
    if listening not in LOOPBACK:
        return True  # the password's cookie belongs to one name
    return bool(_LOOPBACK_HOST.fullmatch(host.lower()))


def _from_elsewhere(connection: HTTPConnection) -> bool:
    """Whether another site's page sends it; following a link to us is all that those may do.

    Browsers say so in `Sec-Fetch-Site`, but not over plain http to other machines: there `Origin`
    has to be our own address.
    """
    headers = connection.headers
    site = headers.get("sec-fetch-site")
    if site in {"none", "same-origin"}:
        return False
    if site is not None:
        navigates = headers.get("sec-fetch-mode") == "navigate"
        return connection.scope["method"] != "GET" or not navigates
    origin, host = headers.get("origin"), headers.get("host", "")
    return origin is not None and origin.partition("://")[2].lower() != host.lower()
