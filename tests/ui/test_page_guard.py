"""Which faults of an event are its sender's."""

import httpx
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ui.page_guard import PageGuard, note_misfit


async def event(request: Request) -> PlainTextResponse:
    (value,) = (await request.json())["data"]
    if value == "misfit":
        note_misfit(ValueError("it fits no component"))
    return PlainTextResponse("", 500 if value in {"misfit", "fault"} else 200)


def visitor(_: HTTPConnection) -> str:
    return "somebody"


async def status(value: str) -> int:
    path = "/gradio_api/run/predict"
    guarded = PageGuard(Starlette(routes=[Route(path, event, methods=["POST"])]), {0: 1}, visitor)
    transport = httpx.ASGITransport(guarded)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        body = {"fn_index": 0, "data": [value], "session_hash": "s"}
        return (await client.post(path, json=body)).status_code


async def test_values_that_fit_no_component_are_the_senders_fault():
    assert await status("misfit") == 422


async def test_what_is_nowhere_is_refused_as_every_error_is():
    guarded = PageGuard(Starlette(), {}, visitor)
    transport = httpx.ASGITransport(guarded)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for method, path in (
            ("POST", "/api/collections/x/ingest/"),
            ("GET", "//api/collections"),
            ("GET", f"/static/{'a' * 256}"),  # longer than a file's name may be
        ):
            answer = await client.request(method, f"http://127.0.0.1{path}")
            assert answer.status_code == 404
            assert answer.json() == {"error": {"message": "there is nothing here"}}
        answer = await client.post("/gradio_api/queue/join", content="no JSON")
        assert "not JSON" in answer.json()["error"]["message"]


async def test_other_faults_are_ours():
    assert [await status(value) for value in ("fault", "fine", "fault")] == [500, 200, 500]
