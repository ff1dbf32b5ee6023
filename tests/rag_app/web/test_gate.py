"""What is refused before a body is read, and what ends when its client leaves."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import Request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rag_app.settings import Server
from rag_app.web.access import Access
from rag_app.web.gate import Gate
from rag_app.web.streams import ClosingStream

PASSWORD = {"Authorization": "Bearer the-password"}


class Behind:
    """An application that tells what reached it."""

    def __init__(self, access: Access | None = None, **server: object) -> None:
        self.read = 0
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        names = (
            "/",
            "/healthz",
            "/login",
            "/api/x",
            "/v1/x",
            "/metrics",
            "/openapi.json",
            "/config",
        )
        routes = [Route(name, self.answer, methods=["GET", "POST", "DELETE"]) for name in names]
        routes += [
            Route("/api/slow", self.slow, methods=["POST"]),
            Route("/api/stream", self.stream, methods=["POST"]),
        ]
        self.app = Gate(Starlette(routes=routes), access or Access(), Server(**server))

    async def answer(self, request: Request) -> PlainTextResponse:
        async for piece in request.stream():
            self.read += len(piece)
        return PlainTextResponse("here")

    async def slow(self, request: Request) -> PlainTextResponse:
        await request.body()
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        return PlainTextResponse("never")

    async def stream(self, request: Request) -> ClosingStream:
        async def endless() -> AsyncGenerator[bytes, None]:
            try:
                while True:
                    self.begun.set()
                    yield b"piece"
                    await asyncio.sleep(0)
            finally:
                self.ended.set()

        pieces = endless()
        return ClosingStream(pieces, pieces, "text/plain")

    async def ask(self, method: str, path: str, body: object = None, **headers: str):
        transport = httpx.ASGITransport(self.app)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, content=body, headers=named)


@pytest.mark.parametrize("path", ["/", "/api/x", "/v1/x", "/metrics", "/openapi.json", "/config"])
async def test_without_the_password_nothing_of_a_body_is_read(path):
    behind = Behind(Access("", "admin", "the-password"))
    sent = 0

    async def body():
        nonlocal sent
        for _ in range(400):
            sent += 1_000_000
            yield bytes(1_000_000)

    answer = await behind.ask("POST", path, body())
    assert answer.status_code == 401
    assert (sent, behind.read) == (0, 0)
    assert "password" in answer.text
    assert (await behind.ask("POST", path, b"x", **PASSWORD)).text == "here"


async def test_the_page_leads_a_browser_to_the_log_in_and_programs_are_told():
    behind = Behind(Access("", "admin", "the-password"))
    led = await behind.ask("GET", "/", Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate")
    assert (led.status_code, led.headers["location"]) == (303, "/login")
    told = await behind.ask("GET", "/v1/x")
    assert told.json()["error"]["code"] == "invalid_api_key"
    for path in ("/healthz", "/login"):
        assert (await behind.ask("GET", path)).text == "here"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_has_a_limit_announced_or_not(announced):
    behind = Behind()
    body = bytes(9 * 1024 * 1024)

    async def pieces():
        for i in range(9):
            yield body[i * 1024 * 1024 : (i + 1) * 1024 * 1024]

    answer = await behind.ask("POST", "/api/x", body if announced else pieces())
    assert answer.status_code == 413
    assert "8 MB" in answer.text
    assert behind.read <= 8 * 1024 * 1024
    assert (await behind.ask("POST", "/api/x", body[: 8 * 1024 * 1024])).text == "here"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:7860", 200), ("LOCALHOST:1", 200), ("[::1]:7860", 200),
        ("", 400), ("evil", 400), ("localhost.evil", 400), ("localhost@evil", 400),
        ("[::1].evil", 400), ("[::1]evil:80", 400), ("127.0.0.1:80@evil", 400),
        ("127.0.0.1:evil", 400), ("127.0.0.1:", 400), ("127.0.0.1:1:2", 400), ("127.1", 400),
        ("0.0.0.0", 400), ("127.0.0.1\uff1a80".encode().decode("latin-1"), 400),
    ],
)  # fmt: skip
async def test_only_names_of_this_machine_are_answered_on_loopback(host, status):
    answer = await Behind().ask("GET", "/", Host=host.encode("latin-1"))
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/api/x%0A", "/healthz%0A", "/api/x%00", "/api/%0Dx", "/%7F"])
async def test_a_path_that_routes_may_read_otherwise_is_refused(path):
    assert (await Behind().ask("GET", path)).status_code == 400


async def test_a_body_with_two_lengths_is_refused():
    behind = Behind()
    lengths = {"Content_Length": "5", "Transfer_Encoding": "chunked"}
    answer = await behind.ask("POST", "/api/x", b"12345", **lengths)
    assert (answer.status_code, behind.read) == (400, 0)
    assert answer.headers["connection"] == "close"  # what follows might be another's request


@pytest.mark.parametrize("site", ["same-origin", "none", None])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_our_own_pages_and_programs_are_served(method, site):
    headers = {"Sec_Fetch_Site": site} if site else {}
    assert (await Behind().ask(method, "/", **headers)).text == "here"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_other_sites_send_is_refused(method, site):
    answer = await Behind().ask(method, "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")
    assert answer.status_code == 403


async def test_a_link_to_us_may_be_followed_but_not_posted_to():
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert (await Behind().ask("GET", "/", **link)).text == "here"
    assert (await Behind().ask("POST", "/", **link)).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://10.0.0.5:7860", 200),
        ("https://10.0.0.5:7860", 200),  # TLS ends at a proxy
        ("http://10.0.0.5:8000", 403),
        ("http://10.0.0.5", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("", 403),
    ],
)
async def test_over_plain_http_the_origin_has_to_be_our_address(origin, status):
    behind = Behind(Access("", "admin", "the-password"), host="0.0.0.0")
    for method in ("GET", "POST", "DELETE"):
        answer = await behind.ask(method, "/api/x", Origin=origin, Host="10.0.0.5:7860", **PASSWORD)
        assert answer.status_code == status


@pytest.mark.parametrize("path", ["/api/slow", "/api/stream"])
async def test_work_ends_when_its_client_leaves(path):
    behind = Behind()
    leaving = asyncio.Event()
    messages = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(_):
        await asyncio.sleep(0)

    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"2")]
    scope = {
        "type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"",
        "client": ("127.0.0.1", 1),
    }  # fmt: skip
    work = asyncio.ensure_future(behind.app(scope, receive, send))
    await behind.begun.wait()
    leaving.set()
    await asyncio.wait_for(work, 10)
    await asyncio.wait_for(behind.ended.wait(), 10)


async def test_one_user_has_so_many_requests_under_way_and_no_more():
    behind = Behind(concurrent=3)
    work = [asyncio.create_task(behind.ask("POST", "/api/slow", b"{}")) for _ in range(3)]
    while sum(behind.app._under_way.values()) < 3:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    refused = await behind.ask("POST", "/api/x", b"{}")
    assert refused.status_code == 429
    assert "under way" in refused.json()["error"]["message"]
    for one in work:
        one.cancel()
    await asyncio.wait(work)
    assert (await behind.ask("POST", "/api/x", b"{}")).text == "here"
    assert not behind.app._under_way
