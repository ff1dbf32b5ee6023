import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ui.guard import HEADERS, BrowserGuard

METHODS = ["GET", "POST"]


async def ask(method: str, **headers: str) -> httpx.Response:
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("here")

    app = BrowserGuard(Starlette(routes=[Route("/", answer, methods=METHODS)]))
    transport = httpx.ASGITransport(app)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, "/", headers=named)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("site", ["same-origin", "none", None])
async def test_our_own_pages_and_programs_are_served(method: str, site: str | None) -> None:
    answer = await ask(method, **({"Sec_Fetch_Site": site} if site else {}))
    assert answer.text == "here"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_other_sites_send_is_refused(method: str, site: str) -> None:
    answer = await ask(method, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")
    assert answer.status_code == 403


async def test_a_link_to_us_may_be_followed_but_not_posted_to() -> None:
    navigation = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert (await ask("GET", **navigation)).text == "here"
    assert (await ask("POST", **navigation)).status_code == 403


@pytest.mark.parametrize("site", ["none", "cross-site"])
async def test_every_answer_carries_the_headers(site: str) -> None:
    answer = await ask("GET", Sec_Fetch_Site=site)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
