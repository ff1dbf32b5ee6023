"""Users over HTTP: who is let in and as whom, and what becomes of wrong passwords and old keys."""

import logging
from collections.abc import AsyncIterator

import httpx
import httpx2
import pytest
from argon2 import PasswordHasher
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from rag_app.accounts import guarded
from rag_app.accounts.chats.chats import FILES as CHATS
from rag_app.accounts.guarded import guard
from rag_app.accounts.keys import Keys
from rag_app.accounts.users import FILE, Users
from rag_app.errors import SettingsError
from rag_app.settings import Server
from rag_app.web.access import Access, Throttle
from rag_app.web.mcp.server import ToolsOverHttp, make_server
from rag_app.web.server import require_safe_host
from tests.rag_app.served import TOKEN, Served, serving
from tests.rag_app.support import prose, write
from tests.rag_app.web.test_access import connection

PASSWORD = "a lamp at dusk"


@pytest.fixture
def users(settings) -> Users:
    users = Users(settings.storage.path, PasswordHasher(1, 8, 1))
    for name, role in (("boss", "admin"), ("alice", "writer"), ("eve", "reader")):
        users.add(name, role, PASSWORD)
    return users


@pytest.fixture
def keys(settings) -> Keys:
    return Keys(settings.storage.path)


@pytest.fixture
def access(users, keys) -> Access:
    return Access(TOKEN, keys=keys, users=users, throttle=Throttle(free=3))


@pytest.fixture
async def served(application, access, users, settings, tmp_path) -> AsyncIterator[Served]:
    """With a shared collection `c`, and one that is alice's."""
    for name in ("c", "alices"):
        await application.ingest(name, [write(tmp_path / name, {f"{name}.txt": prose(name)})])
    users.set_owner("alices", users.named("alice").id)
    tools = ToolsOverHttp(lambda: make_server(guard(application, users), settings))
    async with serving(application, access, tools=tools) as served:
        yield served


def client(served: Served, key: str = "", **more) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=served.address, headers=headers, trust_env=False, **more)


CALLS = [
    ("read", "GET", "/api/collections", None),
    ("read", "POST", "/api/collections/c/search", {"question": "lantern"}),
    ("read", "GET", "/api/conversations", None),
    ("converse", "DELETE", "/api/conversations/none", None),
    ("write", "DELETE", "/api/collections/c/documents?source=none", None),
    ("make", "POST", "/api/collections", {"name": "new"}),
    ("manage", "POST", "/api/collections/c/rebuild?stream=false", None),
    ("administer", "POST", "/api/backup", {"collections": ["c"]}),
    ("administer", "POST", "/api/collections/c/ingest?stream=false", {"paths": []}),
]
MAY = {
    "eve": {"read", "converse"},
    "alice": {"read", "converse", "write", "make"},
    "boss": {"read", "converse", "write", "make", "manage", "administer"},
}


@pytest.mark.parametrize("name", MAY)
async def test_each_role_may_what_the_table_says(served, name):
    async with client(served, auth=(name, PASSWORD)) as person:
        for right, method, path, body in CALLS:
            answer = await person.request(method, path, json=body)
            assert answer.status_code == (200 if right in MAY[name] else 403), (right, answer.text)


async def test_a_key_does_what_it_is_for_as_far_as_its_user_may(served, keys, users):
    for name in ("eve", "alice"):
        owner = users.named(name).id
        for rights in ("read", "write"):
            _, text = keys.create("a program", rights, owner=owner)
            allowed = MAY[name] if rights == "write" else {"read"}
            async with client(served, text) as program:
                for right, method, path, body in CALLS[:-1]:
                    status = (await program.request(method, path, json=body)).status_code
                    assert status == (200 if right in allowed else 403), (name, rights, right)
            if name == "alice" and rights == "write":
                await _as_token(served, "DELETE", "/api/collections/new")
    async with client(served, text) as program:
        assert len((await program.get("/api/collections")).json()) == 2
        users.set_role("alice", "reader")
        assert (await program.post("/api/collections", json={"name": "x"})).status_code == 403
        users.remove("alice")
        assert (await program.get("/api/collections")).status_code == 401


async def _as_token(served: Served, method: str, path: str) -> None:
    async with client(served, TOKEN) as command:
        assert (await command.request(method, path)).status_code == 200


async def test_a_model_that_may_not_be_asked_is_called_as_one_that_is_missing(served):
    said = {}
    async with client(served, auth=("eve", PASSWORD)) as person:
        for also in ("alices", "missing"):
            asked = {"model": "rag-app/c", "messages": [{"role": "user", "content": "lantern?"}]}
            asked["options"] = {"also": [also]}
            answer = await person.post("/v1/chat/completions", json=asked)
            assert answer.status_code == 404
            said[also] = answer.json()["error"]["message"]
    assert "the model 'rag-app/alices' does not exist" in said["alices"]
    assert said["alices"].replace("alices", "missing") == said["missing"]


async def test_a_name_that_another_process_takes_is_a_conflict(served, users, monkeypatch):
    monkeypatch.setattr(guarded, "PATIENCE", 0.1)
    users.claim("new", users.named("boss").id)
    async with client(served, auth=("alice", PASSWORD)) as person:
        answer = await person.post("/api/collections", json={"name": "new"})
        assert answer.status_code == 409
        assert "'new' is being made or deleted" in answer.json()["error"]["message"]


async def test_readiness_names_collections_to_those_alone_who_see_all(served, users, keys):
    _, scoped = keys.create("a script", collections=["alices"])
    _, whole = keys.create("another")
    async with client(served, scoped) as program:
        assert "probes" not in (await program.get("/readyz")).json()
    async with client(served, whole) as program:
        assert "probes" in (await program.get("/readyz")).json()
    async with client(served) as browser:
        await browser.post("/login", data={"username": "eve", "password": PASSWORD})
        assert "probes" not in (await browser.get("/readyz")).json()


async def test_without_a_log_in_there_is_nothing(served, access):
    async with client(served) as stranger:
        for path in ("/", "/api/collections", "/v1/models", "/metrics", "/openapi.json", "/mcp"):
            assert (await stranger.get(path)).status_code == 401
        assert (await stranger.get("/healthz")).status_code == 200
        assert "probes" not in (await stranger.get("/readyz")).json()
    assert access.key == "", "the printed address makes nobody known"
    before = Access(TOKEN, secret=b"s" * 32)
    cookie = connection(Cookie=f"{before.cookie}={before.new_visitor()}")
    assert before.may_change(cookie)
    later = Access(TOKEN, secret=b"s" * 32, users=access.users)
    assert not later.person(connection(Cookie=cookie.headers["cookie"])).may("read")


async def test_wrong_passwords_are_counted_by_address_and_by_name(access, users, caplog):
    for n in range(20):
        with caplog.at_level(logging.WARNING):
            assert not access.log_in(connection(f"10.0.0.{n}"), "alice", "a-guess")
    assert access.wait(connection("10.0.1.1"), "alice") > 0
    assert access.wait(connection("10.0.1.1"), "ALICE") > 0
    assert not access.log_in(connection("10.0.1.1"), "alice", PASSWORD), "right, but too soon"
    assert access.log_in(connection("10.0.1.1"), "eve", PASSWORD)
    assert "wrong password from 10.0.0.19" in caplog.text
    assert "guess" not in caplog.text
    for _ in range(3):
        access.log_in(connection("10.0.2.1"), "nobody", "a-guess")
    assert not access.log_in(connection("10.0.2.1"), "eve", PASSWORD)


async def test_a_worthless_key_is_no_wrong_password(served, keys, access):
    key, text = keys.create("a program")
    keys.revoke(key.id)
    async with client(served, text) as program:
        for _ in range(10):
            assert (await program.get("/api/collections")).status_code == 401
    async with client(served, auth=("eve", PASSWORD)) as person:
        assert (await person.get("/api/collections")).status_code == 200


@pytest.mark.parametrize("file", [FILE, CHATS[0]])
async def test_who_cannot_be_told_is_nobody(served, keys, settings, file):
    _, text = keys.create("a program")
    for path in settings.storage.path.glob(f"{file}*"):
        path.unlink()
    (settings.storage.path / file).write_bytes(b"no database" * 1000)
    async with client(served, text) as program:
        answer = await program.get("/api/collections")
        assert answer.status_code == (400 if file == FILE else 503)
        assert "error" in answer.json()
        assert (await program.get("/healthz")).status_code == 200
    async with client(served) as stranger:
        assert (await stranger.get("/api/collections")).status_code in {401, 503}


async def test_an_assistant_sees_what_its_user_may(served, keys, users):
    for name, seen in (("alice", True), ("eve", False)):
        _, text = keys.create("an assistant", owner=users.named(name).id)
        headers = {"Authorization": f"Bearer {text}"}
        async with httpx2.AsyncClient(trust_env=False, headers=headers) as connections:
            transport = streamable_http_client(f"{served.address}/mcp", http_client=connections)
            async with Client(transport) as assistant:
                given = {"source": "alices.txt", "collection": "alices"}
                result = await assistant.call_tool("read_document", given)
                assert result.is_error is not seen
                search = {"question": "lantern", "collection": "alices"}
                result = await assistant.call_tool("search", search)
                assert result.is_error is not seen
                assert ("alices.txt" in result.content[0].text) is seen


async def test_nothing_is_held_open_for_assistants(served):
    async with client(served, TOKEN) as program:
        for method in ("GET", "DELETE"):
            answer = await program.request(method, "/mcp")
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_other_addresses_need_an_admin_or_a_password():
    with pytest.raises(SettingsError, match="rag-app users add NAME --role admin"):
        require_safe_host(Server(host="0.0.0.0"))
    require_safe_host(Server(host="0.0.0.0"), users=True)


def test_where_all_have_to_log_in_none_may_when_the_last_user_is_gone(users):
    access = Access(TOKEN, users=users, must_log_in=True)
    for name in ("eve", "alice", "boss"):
        users.remove(name)
    assert not users.exist()
    assert not access.person(connection()).may("read")
    assert access.key == ""
    assert Access(TOKEN, users=users).person(connection()).may("read"), "on loopback as before"
