"""API keys open what they are for, and nothing else, until they are revoked."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import pytest
from typer.testing import CliRunner

from data.errors import RagAppError
from rag_app.accounts.keys import Keys
from rag_app.commands.program import app as command
from rag_app.web.access import Access, Throttle
from tests.rag_app.served import TOKEN, Served, serving
from tests.rag_app.support import prose, write
from tests.rag_app.web.test_openai_api import client_of


@pytest.fixture
def keys(settings) -> Keys:
    return Keys(settings.storage.path)


@pytest.fixture
async def served(application, keys, tmp_path) -> AsyncIterator[Served]:
    """Behind a password, with the collections `c` and `d`."""
    for name in ("c", "d"):
        await application.ingest(name, [write(tmp_path / name, {f"{name}.txt": prose(name)})])
    access = Access(TOKEN, "admin", "the-password", throttle=Throttle(free=1000), keys=keys)
    async with serving(application, access) as served:
        yield served


def client(served: Served, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=served.address, headers=headers, trust_env=False)


SEARCH = {"question": "lantern"}
READS = [
    ("GET", "/api/collections", None),
    ("GET", "/api/collections/c/documents", None),
    ("POST", "/api/collections/c/search", SEARCH),
    ("GET", "/v1/models", None),
    ("GET", "/openapi.json", None),
]
CHANGES = [
    ("POST", "/api/collections/c/documents?name=x.txt", {}),
    ("DELETE", "/api/collections/c/documents?source=c.txt", None),
    ("POST", "/api/collections", {"name": "new"}),
    ("DELETE", "/api/collections/c", None),
]
PATHS = ("POST", "/api/collections/c/ingest?stream=false", {"paths": ["/etc/hostname"]})
BEYOND = [
    PATHS,
    ("GET", "/api/collections/d/documents", None),
    ("POST", "/api/collections/d/search", SEARCH),
    ("POST", "/api/collections/d/ask", SEARCH),
    ("GET", "/api/collections/d/documents/content?source=d.txt", None),
    ("DELETE", "/api/collections/d", None),
    ("POST", "/api/collections", {"name": "new"}),
    ("POST", "/api/backup", {}),
    ("GET", "/api/conversations", None),
    ("GET", "/api/feedback", None),
    ("GET", "/api/encoders", None),
    ("POST", "/mcp", {}),
    ("GET", "/metrics", None),
    ("GET", "/", None),
]


async def statuses(client: httpx.AsyncClient, calls) -> list[int]:
    return [(await client.request(m, path, json=body)).status_code for m, path, body in calls]


async def test_a_key_reads_or_writes_as_it_was_made_for(served, keys):
    _, reading = keys.create("a program")
    _, writing = keys.create("another", "write")
    async with client(served, reading) as program:
        assert await statuses(program, READS) == [200] * len(READS)
        assert await statuses(program, CHANGES) == [401] * len(CHANGES)
    async with client(served, writing) as program:
        assert await statuses(program, READS + CHANGES) == [200] * len(READS + CHANGES)
        assert await statuses(program, [PATHS]) == [403], "no key reads files of the machine"


async def test_a_key_reaches_its_collections_alone(served, keys):
    _, text = keys.create("a program", "write", ["c"])
    async with client(served, text) as program:
        assert await statuses(program, READS) == [200] * len(READS)
        line = (PATHS[0], PATHS[1].replace("ingest", "ingest%0A"), PATHS[2])
        assert await statuses(program, [line]) == [400], "routes read no line's end"
        assert await statuses(program, BEYOND) == [403] * len(BEYOND)
        for path in ("/api/collections/c/search", "/api/collections/c/ask?stream=false"):
            also = {**SEARCH, "options": {"also": ["c", "d"]}}
            assert await statuses(program, [("POST", path, also)]) == [404]
        listed = (await program.get("/api/collections")).json()
        assert [one["name"] for one in listed] == ["c"]
    async with client_of(served, text) as program:
        models = [model.id async for model in program.models.list()]
        assert "rag-app/c" in models
        assert "rag-app/d" not in models
        asked = {"messages": [{"role": "user", "content": "lantern?"}]}
        await program.chat.completions.create(model="rag-app/c", **asked)
        for model in ("rag-app/d", "rag-app/nothing"):
            with pytest.raises(openai.NotFoundError, match="does not exist"):
                await program.chat.completions.create(model=model, **asked)
        with pytest.raises(openai.NotFoundError):
            await program.completions.create(model="rag-app/d", prompt="lantern?")


async def test_a_key_follows_its_collection_to_another_name(served, keys, application, tmp_path):
    one, text = keys.create("a program", "write", ["c"])
    both, _ = keys.create("another", "write", ["c", "d"])
    every, _ = keys.create("a third")
    async with client(served, text) as program:
        beyond = await program.put("/api/collections/c/name", json={"to": "e"})
        assert beyond.status_code == 403, beyond.text
        await application.rename_collection("c", "e")
        await application.ingest("c", [write(tmp_path / "new", {"new.txt": prose("new")})])
        assert [found["name"] for found in (await program.get("/api/collections")).json()] == ["e"]
        assert (await program.get("/api/collections/c/documents")).status_code == 403
    reach = {key.id: set(key.collections) for key in keys.all()}
    assert reach == {one.id: {"e"}, both.id: {"d", "e"}, every.id: set()}


async def test_a_key_reaches_nothing_when_its_last_collection_is_dropped(served, keys, application):
    _, text = keys.create("a program", "write", ["c"])
    both, _ = keys.create("another", "write", ["c", "d"])
    every, _ = keys.create("a third")
    await application.drop_collection("c")
    async with client(served, text) as program:
        assert await statuses(program, [READS[0], *BEYOND]) == [401] * (len(BEYOND) + 1)
    assert {key.id: key.collections for key in keys.all()} == {both.id: ("d",), every.id: ()}


@pytest.mark.parametrize("change", ["drop", "rename"])
async def test_a_kill_leaves_no_key_for_a_later_collection_of_the_name(
    change, keys, application, monkeypatch
):
    class Killed(BaseException):
        """Nothing that follows happens."""

    def killed_after(done):
        def call(*arguments: str) -> None:
            done(*arguments)
            raise Killed

        return call

    await application.create_collection("c")
    keys.create("a program", "write", ["c"])
    collections = application._collections
    monkeypatch.setattr(collections, change, killed_after(getattr(collections, change)))
    with pytest.raises(Killed):
        await getattr(application, f"{change}_collection")("c", *["e"] * (change == "rename"))
    assert [key.collections for key in keys.all()] == [("e",)] * (change == "rename")


@pytest.mark.parametrize("change", ["drop", "rename"])
async def test_a_change_that_is_refused_leaves_the_keys(change, keys, application):
    key, _ = keys.create("a program", "write", ["none", "c"])
    with pytest.raises(RagAppError, match="none"):
        await getattr(application, f"{change}_collection")("none", *["e"] * (change == "rename"))
    assert keys.all() == [key]


async def test_what_is_no_key_or_no_longer_one_opens_nothing(served, keys, settings):
    key, text = keys.create("a program", "write")
    wrong = [text[:-1], text + "a", text[:-1] + ("a" if text[-1] != "a" else "b"), text.upper()]
    wrong += [f"rag-{key.id}-", "rag-", f"rag-{key.id}-{'a' * 43}", key.id]
    for one in wrong:
        async with client(served, one) as program:
            assert await statuses(program, READS[:3]) == [401] * 3, one
    async with client(served, text) as program:
        assert await statuses(program, READS[:1]) == [200]
        assert Keys(settings.storage.path).revoke(key.id), "by another process, as a command does"
        assert await statuses(program, READS[:1]) == [401]


def test_the_text_of_a_key_is_kept_nowhere(keys, settings):
    key, text = keys.create("a program", collections=["c"])
    kept = [path for path in Path(settings.storage.path).iterdir() if path.is_file()]
    assert kept
    secret = text.partition(f"{key.id}-")[2]  # which may hold a "-" of its own
    assert len(secret) == 43
    for path in kept:
        assert secret.encode() not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.all() == [key]
    assert keys.find(text) == key
    assert "hash" not in str(keys.all())


@pytest.mark.parametrize(
    ("name", "collections"), [("", []), (" ", []), ("x" * 101, []), ("x", ["../c"])]
)
def test_what_is_no_name_makes_no_key(keys, name, collections):
    with pytest.raises(RagAppError):
        keys.create(name, collections=collections)
    assert keys.all() == []


def test_commands_make_list_and_revoke(settings, monkeypatch):
    monkeypatch.setenv("RAG_APP_STORAGE__PATH", str(settings.storage.path))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # which the command sets for good

    def run(*arguments: str):
        result = CliRunner().invoke(command, ["keys", *arguments, "--json"])
        return result.exit_code, json.loads(result.stdout) if result.stdout else result.exception

    assert run("list") == (0, {"keys": []})
    status, made = run("create", "my script", "--rights", "write", "-c", "work")
    assert status == 0
    assert made["key"].startswith(f"rag-{made['id']}-")
    _, listed = run("list")
    assert listed["keys"] == [{name: made[name] for name in made if name != "key"}]
    assert run("revoke", made["id"]) == (0, {"revoked": made["id"]})
    assert run("list") == (0, {"keys": []})
    assert "there is no key" in str(run("revoke", made["id"])[1])
