import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ui.evaluation_rendering import REPORTS
from ui.guard import HEADERS, REPORT_HEADERS, BrowserGuard


async def ask(path: str) -> httpx.Response:
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("here")

    app = BrowserGuard(Starlette(routes=[Route("/", answer)]))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get(path)


async def test_every_answer_carries_the_headers() -> None:
    for path in ("/", "/nothing"):
        answer = await ask(path)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


async def test_a_report_may_do_nothing() -> None:
    answer = await ask(f"{REPORTS}x/report.html")
    assert {name: answer.headers[name] for name in REPORT_HEADERS} == REPORT_HEADERS
