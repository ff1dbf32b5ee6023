import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from rag_app.application import Application
from rag_app.settings import Server
from rag_app.web.access import Access, Throttle
from tests.rag_app.served import TOKEN, Served, serving
from tests.rag_app.support import prose, write

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "in", {"a.txt": prose("a")})


@pytest.fixture
async def served(application: Application, folder) -> AsyncIterator[Served]:
    await application.ingest("c", [folder])
    async with serving(application) as served:
        yield served


@pytest.fixture
async def client(served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{served.address}/api", trust_env=False) as client:
        yield client


READING = [
    ("GET", "/collections", None),
    ("GET", "/collections/c/documents", None),
    ("GET", "/collections/c/indexes", None),
    ("POST", "/collections/c/search", {"question": "harbour"}),
    ("POST", "/collections/c/ask", {"question": "harbour"}),
]
CHANGING = [
    ("DELETE", "/collections/c", None),
    ("DELETE", "/collections/c/documents?source=a.txt", None),
    ("POST", "/collections/c/ingest", {"paths": []}),
    ("POST", "/collections/c/rebuild", None),
    ("POST", "/collections/c/indexes", {}),
    ("PUT", "/collections/c/active", {"index": "hashing"}),
    ("POST", "/backup", {}),
]


async def statuses(client: httpx.AsyncClient, calls, headers=None) -> list[int]:
    return [
        (await client.request(method, path, json=body, headers=headers)).status_code
        for method, path, body in calls
    ]


async def test_without_password_anyone_here_may_read_but_only_the_token_changes(client):
    assert await statuses(client, READING) == [200] * len(READING)
    assert await statuses(client, CHANGING) == [401] * len(CHANGING)
    wrong = {"Authorization": "Bearer guessed"}
    assert await statuses(client, READING, wrong) == [200] * len(READING)
    assert await statuses(client, CHANGING, wrong) == [401] * len(CHANGING)
    assert await statuses(client, reversed(CHANGING), BEARER) == [200] * len(CHANGING)


async def test_with_a_password_nobody_reads_without_it(application, folder):
    await application.ingest("c", [folder])
    access = Access(TOKEN, "admin", "pässword", throttle=Throttle(free=1000))
    async with serving(application, access) as served:
        address = f"{served.address}/api"
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            refused = await client.get("/collections")
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == "Basic"
            assert set(refused.json()["error"]) == {"message"}
            for headers in (
                None,
                {"Authorization": "Basic !!!"},
                {"Authorization": "Basic"},
                {"Authorization": "Bearer"},
                {"Authorization": "Digest x"},
                basic("admin", "wrong"),
                basic("other", "pässword"),
                basic("admin", ""),
            ):
                assert await statuses(client, READING, headers) == [401] * len(READING)
            right = basic("admin", "pässword")
            assert await statuses(client, READING, right) == [200] * len(READING)
            assert await statuses(client, READING, BEARER) == [200] * len(READING)
            assert await statuses(client, reversed(CHANGING), right) == [200] * len(CHANGING)


@pytest.mark.parametrize(
    "access",
    [
        Access(),
        Access("", "admin", ""),
        Access("", "admin", "password", throttle=Throttle(free=1000)),
    ],
)
async def test_an_empty_token_or_password_opens_nothing(application, access):
    async with serving(application, access) as served:
        async with httpx.AsyncClient(base_url=f"{served.address}/api", trust_env=False) as client:
            for headers in (None, {"Authorization": "Bearer"}, basic("admin", ""), basic("", "")):
                assert await statuses(client, CHANGING, headers) == [401] * len(CHANGING)


async def test_expected_errors_are_messages(client):
    answer = await client.get("/collections/nothing/documents")
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "collection 'nothing' does not exist",
        "cause": "known: c",
        "hint": "`rag-app ingest PATH --collection nothing` makes it",
    }
    answer = await client.post("/collections/nothing/ask", json={"question": "q"})
    assert answer.json()["type"] == "error"
    assert "'nothing' does not exist" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"question": "q", "k": 3}, ["body.k", "Extra inputs"]),
        ({}, ["body.question", "required"]),
        ({"question": "q", "options": {"topk": 3}}, ["body.options.topk"]),
        ({"question": "q", "options": {"top_k": 0}}, ["body.options.top_k", "greater than"]),
        ({"question": "q", "options": {"retriever": "x"}}, ["options.retriever", "'hybrid'"]),
        ({"question": "q", "history": [{"role": "system", "content": ""}]}, ["history.0.role"]),
    ],
)
async def test_bodies_that_do_not_fit_are_explained(client, body, parts):
    answer = await client.post("/collections/c/ask", json=body)
    assert answer.status_code == 422
    assert all(part in answer.json()["error"]["message"] for part in parts)


async def test_a_small_body_with_many_faults_gets_no_large_answer(client):
    answer = await client.post(
        "/collections/c/ask", json={"question": "lantern", "history": [{}] * 1000}
    )
    assert answer.status_code == 422
    message = answer.json()["error"]["message"]
    assert message.startswith("body.history.0.role: Field required; body.history.0.content")
    assert message.endswith("; and 1980 more")


async def test_a_body_that_another_page_could_send_is_refused(client):
    answer = await client.post(
        "/collections/c/search",
        content=b'{"question": "q"}',
        headers={"Content-Type": "text/plain"},
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("name", ["..%2F..%2Fetc", "%2e%2e", "..", "a%00b", "x" * 65])
async def test_names_that_could_be_paths_reach_nothing(client, name, settings):
    before = sorted(settings.storage.path.rglob("*"))
    for method, path in (("GET", "/documents"), ("DELETE", ""), ("POST", "/rebuild")):
        answer = await client.request(method, f"/collections/{name}{path}", headers=BEARER)
        refused = answer.status_code in {400, 404, 405}
        assert refused or "is not allowed" in answer.text
    assert sorted(settings.storage.path.rglob("*")) == before


async def test_what_is_not_there_is_a_message_too(client):
    answer = await client.get("/nothing")
    assert (answer.status_code, answer.json()) == (404, {"error": {"message": "Not Found"}})


async def test_an_answer_is_sent_piece_by_piece(client):
    async with client.stream("POST", "/collections/c/ask", json={"question": "lantern"}) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        pieces = [piece async for piece in answer.aiter_raw()]
    assert len(pieces) >= 3, "not one body at the end"
    assert pieces[0].startswith(b'{"type":"found"')


async def test_an_answer_may_be_asked_for_as_a_whole(client):
    asked = {"question": "lantern"}
    whole = await client.post("/collections/c/ask?stream=false", json=asked)
    assert whole.headers["content-type"] == "application/json"
    lines = (await client.post("/collections/c/ask", json=asked)).text.splitlines()
    last = json.loads(lines[-1])["data"]
    assert whole.json()["text"] == last["text"] != ""
    assert whole.json()["citations"] == last["citations"] != []
    refused = await client.post("/collections/nothing/ask?stream=false", json=asked)
    assert refused.status_code == 404
    assert refused.json()["error"]["hint"].startswith("`rag-app ingest")


async def test_a_report_may_be_asked_for_without_its_progress(client, folder):
    sent = {"paths": [str(folder)]}
    answer = await client.post("/collections/d/ingest?stream=false", json=sent, headers=BEARER)
    assert answer.json()["added"] == 1


@pytest.mark.parametrize("name", ["new.txt", "../../new.txt", "C:\\\\x\\new.txt", "new\x00.txt"])
async def test_a_document_may_be_sent(client, application, settings, name):
    path, text = "/collections/c/documents", prose("new").encode()
    assert (await client.post(path, params={"name": name}, content=text)).status_code == 401
    answer = await client.post(path, params={"name": name}, content=text, headers=BEARER)
    assert (answer.status_code, answer.json()["added"]) == (200, 1)
    assert {one.source for one in await application.documents("c")} == {"a.txt", "new.txt"}
    assert [*(settings.storage.path / "uploads").iterdir()] == []


async def test_what_was_sent_and_cannot_be_read_is_reported(client):
    answer = await client.post(
        "/collections/c/documents?name=x.pdf", content=b"no PDF", headers=BEARER
    )
    [failure] = answer.json()["failures"]
    assert failure["source"] == "x.pdf"
    assert failure["reason"]


async def test_a_document_has_a_limit(application):
    async with serving(application, server=Server(upload_mb=1)) as served:
        async with httpx.AsyncClient(base_url=f"{served.address}/api", trust_env=False) as client:
            answer = await client.post(
                "/collections/c/documents?name=x.txt", content=bytes(1 << 21), headers=BEARER
            )
    assert answer.status_code == 413


async def test_the_only_index_is_not_dropped_and_strangers_drop_none(client):
    path = "/collections/c/indexes?index=hashing"
    assert (await client.delete(path)).status_code == 401
    answer = await client.delete(path, headers=BEARER)
    assert answer.status_code == 400
    assert "is the one that the collection's name points at" in answer.json()["error"]["cause"]


async def test_the_password_may_be_sent_as_a_bearers(application):
    async with serving(application, Access(TOKEN, "admin", "password")) as served:
        async with httpx.AsyncClient(base_url=f"{served.address}/api", trust_env=False) as client:
            for key, status in (("password", 200), ("passwort", 401), ("admin:password", 401)):
                headers = {"Authorization": f"Bearer {key}"}
                assert (await client.get("/collections", headers=headers)).status_code == status
