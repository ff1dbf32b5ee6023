"""None of what one user tries reaches another's data: one server, all doors, one try at a time."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from generation.citations import Citation
from rag_app.accounts.chats import EVERYONE
from rag_app.accounts.chats.chats import Chats
from rag_app.accounts.chats.conversation import Turn
from rag_app.accounts.keys import Keys
from rag_app.accounts.users import Users
from tests.adversity.pages import config, event, send
from tests.ui.running import RunningApp

PASSWORD = "a lamp at dusk"
SECRET = "kingfisher"
DOCUMENT = f"# Nests\n\nThe {SECRET} nests below the third sluice of the canal.\n" * 3
REPORT = f"<!doctype html><p>The {SECRET} report</p>"
RUN = "alices-run"
OWN = "/api/collections/alices"
ASK = {"question": "Where is the nest?"}
CHAT = {"model": "rag-app/alices", "messages": [{"role": "user", "content": "Where?"}]}


@dataclass
class World:
    """Alice and what is hers, and Bob, who tries to reach it."""

    alice: httpx.Client
    bob: httpx.Client
    page: dict[str, Any]
    conversation: str = ""
    passage: str = ""
    upload: str = ""
    alice_id: str = ""
    chats: Chats | None = None
    storage: Path = Path()
    keys: dict[str, str] = field(default_factory=dict)

    def fire(
        self, client: httpx.Client, where: str, trigger: str, session: str, **more: Any
    ) -> str:
        """Send an event of the page; `values` replace those of inputs by their place."""
        props = {one["id"]: one["props"] for one in self.page["components"]}
        found = max(
            (
                one
                for one in self.page["dependencies"]
                if [(props.get(at, {}).get("elem_id"), name) for at, name in one["targets"]]
                == [(where, trigger)]
            ),
            key=lambda one: len(one["inputs"]),
        )
        data = [props.get(one, {}).get("value") for one in found["inputs"]]
        for place, value in more.pop("values", {}).items():
            data[place] = value
        queued = bool(found["queue"])
        status, answer = send(
            client, event(found["id"], data, session, event_data=more or None), queued=queued
        )
        assert status < 500, answer
        return answer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    running = RunningApp(tmp_path_factory.mktemp("storage"), ["serve", "--port", "0"])
    storage = running.storage
    users, keys, made = Users(storage), Keys(storage), {}
    for name, role in (("boss", "admin"), ("alice", "writer"), ("bob", "writer")):
        made[name] = users.add(name, role, PASSWORD)  # type: ignore[arg-type]
    with ExitStack() as stack:
        clients = []
        for name in ("alice", "bob"):
            client = httpx.Client(base_url=running.address, trust_env=False, timeout=60)
            clients.append(stack.enter_context(client))
            form = {"username": name, "password": PASSWORD}
            assert client.post("/login", data=form).status_code == 303
        alice, bob = clients
        world = World(
            alice,
            bob,
            config(bob),
            alice_id=made["alice"].id,
            chats=Chats(storage),
            storage=storage,
        )
        added = alice.post(f"{OWN}/documents?name=nests.md", content=DOCUMENT)
        assert added.status_code == 200
        found = alice.post(f"{OWN}/search", json=ASK).json()["hits"]
        world.passage = found[0]["passage_id"]
        world.upload = alice.post("/gradio_api/upload", files={"f": ("a.md", DOCUMENT)}).json()[0]
        world.conversation = _conversation(Chats(storage), made["alice"].id, world.passage)
        folder = storage / "evaluations" / RUN
        folder.mkdir(parents=True)
        launch = {"owner": made["alice"].id, "kind": "retrieval", "dataset": SECRET, "status": 1}
        (folder / "launch.json").write_text(json.dumps(launch))
        (folder / "report.html").write_text(REPORT)
        revoked, world.keys["revoked"] = keys.create("revoked", "write", owner=made["alice"].id)
        keys.revoke(revoked.id)
        world.keys["bob"] = keys.create("bob", "write", owner=made["bob"].id)[1]
        world.keys["scoped"] = keys.create("b", "write", ["alices"], owner=made["bob"].id)[1]
        world.keys["other"] = keys.create("a", "read", ["none"], owner=made["alice"].id)[1]
        yield world
    running.stop()


def _conversation(chats: Chats, owner: str, passage: str) -> str:
    turn = Turn(1, f"Where does the {SECRET} nest?", "alices", text=f"{SECRET} [1]", state="done")
    turn.citations = [Citation(1, passage, "nests.md", None, 0, 9, SECRET)]
    return asyncio.run(chats.begin(owner, "", turn))


def calls(path: str, method: str = "GET", body: Any = None, key: str = "") -> Callable[..., str]:
    """A request, with what is the world's filled in."""

    def call(world: World, client: httpx.Client) -> str:
        named = path.format(
            conversation=world.conversation, passage=world.passage, alice=world.alice_id
        )
        headers = {}
        if key:
            headers["Authorization"] = f"Bearer {world.keys[key]}"
            client = stranger(client)
        try:
            answer = client.request(method, named, json=body, headers=headers)
        finally:
            if key:
                client.close()
        assert answer.status_code < 500, answer.text
        return answer.text

    return call


def stranger(client: httpx.Client) -> httpx.Client:
    """One that knows the address alone."""
    return httpx.Client(base_url=client.base_url, trust_env=False, timeout=60)


def fires(where: str, trigger: str, session: str = "", **more: Any) -> Callable[..., str]:
    """An event of the page, in a session of its own where none is given."""

    def fire(world: World, client: httpx.Client) -> str:
        filled = {k: getattr(world, v[1:]) if str(v)[:1] == "$" else v for k, v in more.items()}
        name = session or f"s{time.monotonic_ns()}"
        return world.fire(client, where, trigger, name, **filled)

    return fire


def tool(name: str, **given: str) -> Callable[..., str]:
    """A call of an assistant's tool."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": given}}  # fmt: skip

    def call(_: World, client: httpx.Client) -> str:
        headers = {"Accept": "application/json, text/event-stream"}
        return client.post("/mcp", json=body, headers=headers).text

    return call


def picks_and(then: Callable[[World, httpx.Client, str], str]) -> Callable[..., str]:
    """Opens alice's collection in a tab of the page first, as far as that goes."""

    def run(world: World, client: httpx.Client) -> str:
        session = f"p{time.monotonic_ns()}"
        said = world.fire(client, "picker", "input", session, values={0: "alices"})
        return said + then(world, client, session)

    return run


def _asks(world: World, client: httpx.Client, session: str) -> str:
    return world.fire(client, "box", "submit", session, values={0: "Where is the nest?"})


def _drops(world: World, client: httpx.Client, session: str) -> str:
    return world.fire(client, "documents", "select", session, act="drop", collection="alices")


def _adds(world: World, client: httpx.Client, session: str) -> str:
    mine = client.post("/gradio_api/upload", files={"f": ("b.md", "of bob")}).json()[0]
    values = {0: None, 1: [[mine, "b.md"]]}
    return world.fire(client, "files", "upload", session, values=values)


def _takes(world: World, client: httpx.Client, session: str) -> str:
    values = {0: None, 1: [[world.upload, "a.md"]]}
    return world.fire(client, "files", "upload", session, values=values)


def cookie(make: Callable[[World, str], str]) -> Callable[..., str]:
    """Asks for alice's documents under a cookie that was made up."""

    def call(world: World, client: httpx.Client) -> str:
        (name,) = client.cookies
        with stranger(client) as liar:
            liar.cookies.set(name, make(world, client.cookies[name]))
            return liar.get(f"{OWN}/documents/content?source=nests.md").text

    return call


READS: dict[str, Callable[..., str]] = {
    "document": calls(f"{OWN}/documents/content?source=nests.md"),
    "passage": calls(f"{OWN}/passages/{{passage}}"),
    "passages": calls(f"{OWN}/passages", "POST", {}),
    "search": calls(f"{OWN}/search", "POST", ASK),
    "ask": calls(f"{OWN}/ask?stream=false", "POST", ASK),
    "ask, streamed": calls(f"{OWN}/ask", "POST", ASK),
    "original": calls("/originals/alices?source=nests.md"),
    "conversation": calls("/api/conversations/{conversation}"),
    "conversations": calls("/api/conversations"),
    "conversations, searched": calls(f"/api/conversations?text={SECRET}"),
    "report": calls(f"/evaluations/{RUN}/report.html"),
    "chat": calls("/v1/chat/completions", "POST", CHAT),
    "chat, streamed": calls("/v1/chat/completions", "POST", {**CHAT, "stream": True}),
    "completion": calls(
        "/v1/completions", "POST", {"model": "rag-app/alices", "prompt": "Where is the nest?"}
    ),
    "tool: search": tool("search", question="nests", collection="alices"),
    "tool: ask": tool("ask", question="Where is the nest?", collection="alices"),
    "tool: read_document": tool("read_document", source="nests.md", collection="alices"),
    "page: document": fires(
        "documents", "select", act="open", collection="alices", source="nests.md"
    ),
    "page: conversation": fires("chats", "select", act="open", id="$conversation"),
    "page: conversations, searched": fires("chats-search", "input", values={0: SECRET}),
    "page: compared": fires(
        "compare-form", "submit", collection="alices", systems=["bm25", "dense"], **ASK
    ),
    "page: runs": fires("top", "select", view="evaluation"),
}
"""What gives alice her own; the word that nobody else knows is in it."""

TRIES: dict[str, Callable[..., str]] = {
    **READS,
    "documents": calls(f"{OWN}/documents"),
    "indexes": calls(f"{OWN}/indexes"),
    "page picture": calls(f"{OWN}/passages/{{passage}}/page", "POST", {}),
    "passage by another collection": calls("/api/collections/default/passages/{passage}"),
    "delete collection": calls(OWN, "DELETE"),
    "delete document": calls(f"{OWN}/documents?source=nests.md", "DELETE"),
    "add document": calls(f"{OWN}/documents?name=b.md", "POST", {"a": "b"}),
    "ingest by path": calls(f"{OWN}/ingest?stream=false", "POST", {"paths": ["/etc/hostname"]}),
    "rebuild": calls(f"{OWN}/rebuild?stream=false", "POST"),
    "repair": calls(f"{OWN}/repair?stream=false", "POST"),
    "build index": calls(f"{OWN}/indexes?stream=false", "POST", {}),
    "use index": calls(f"{OWN}/active", "PUT", {"index": "minilm"}),
    "drop index": calls(f"{OWN}/indexes?index=minilm", "DELETE"),
    "make it again": calls("/api/collections", "POST", {"name": "alices"}),
    "backup of it": calls("/api/backup", "POST", {"collections": ["alices"]}),
    "backup of all": calls("/api/backup", "POST", {}),
    "restore over it": calls("/api/restore?replace=true", "POST", {"a": "b"}),
    "another spelling": calls("/api/collections/%61lices/documents/content?source=nests.md"),
    "dots": calls("/api/collections/x/../alices/documents/content?source=nests.md"),
    "feedback": calls("/api/feedback"),
    "rename conversation": calls(
        "/api/conversations/{conversation}/title", "PUT", {"title": "bob's"}
    ),
    "delete conversation": calls("/api/conversations/{conversation}", "DELETE"),
    "rate answer": calls(
        "/api/conversations/{conversation}/turns/1/rating", "PUT", {"rating": "down"}
    ),
    "models": calls("/v1/models"),
    "model": calls("/v1/models/rag-app/alices"),
    "tool: the usual collection": tool("search", question="nests"),
    "key: document": calls(f"{OWN}/documents/content?source=nests.md", key="bob"),
    "key: search": calls(f"{OWN}/search", "POST", ASK, key="bob"),
    "key: delete": calls(OWN, "DELETE", key="bob"),
    "key: conversations": calls("/api/conversations", key="bob"),
    "key for hers: search": calls(f"{OWN}/search", "POST", ASK, key="scoped"),
    "key for hers: add": calls(f"{OWN}/documents?name=b.md", "POST", {"a": "b"}, key="scoped"),
    "key for hers: chat": calls("/v1/chat/completions", "POST", CHAT, key="scoped"),
    "key of hers for another": calls(f"{OWN}/search", "POST", ASK, key="other"),
    "key of hers, revoked": calls(f"{OWN}/search", "POST", ASK, key="revoked"),
    "cookie: her id": cookie(lambda world, _: world.alice_id),
    "cookie: signed by nobody": cookie(
        lambda world, _: f"{world.alice_id}.{int(time.time())}.{'0' * 64}"
    ),
    "cookie: another session": cookie(lambda _, own: own[:-1] + ("A" if own[-1] != "A" else "B")),
    "cookie: empty": cookie(lambda *_: ""),
    "page: picked": picks_and(lambda *_: ""),
    "page: picked and asked": picks_and(_asks),
    "page: picked and dropped": picks_and(_drops),
    "page: picked and added to": picks_and(_adds),
    "page: her upload": picks_and(_takes),
    "page: delete document": fires(
        "documents", "select", act="delete", collection="alices", source="nests.md"
    ),
    "page: make it again": fires("new-collection-dialog", "submit", act="create", name="alices"),
    "page: rename conversation": fires(
        "chats", "select", act="rename", id="$conversation", title="bob's"
    ),
    "page: delete conversation": fires("chats", "select", act="delete-chat", id="$conversation"),
    "page: her tab": fires("export", "click", session="alices-tab"),
    "page: stop run": fires("past", "select", act="stop", run=RUN),
    "page: resume run": fires("past", "select", act="resume", run=RUN),
    "page: remove run": fires("past", "select", act="remove", run=RUN),
    "page: report": fires("past", "select", act="report", run=RUN),
    "page: measure it": fires("start", "click", values={0: "own", 1: "alices", 3: ["bm25"], 5: 1}),
    "page: what to compare": fires("compare-form", "input", collection="alices"),
    "page: build her index": fires(
        "catalogue", "select", act="build", name="minilm", collection="alices"
    ),
    "page: end her build": fires(
        "catalogue", "select", act="stop", name="minilm", collection="alices"
    ),
    "votes": calls("/votes/alices"),
    "page: connect a model": fires(
        "connect-model-dialog", "submit", act="use", address="http://127.0.0.1:9", model="m"
    ),
}


@pytest.fixture(scope="module")
def tab(world: World) -> None:
    """Alice has her conversation open in a tab."""
    said = world.fire(
        world.alice, "chats", "select", "alices-tab", act="open", id=world.conversation
    )
    assert SECRET in said


def test_there_are_more_than_sixty() -> None:
    assert len(TRIES) >= 60


@pytest.mark.parametrize("name", TRIES)
def test_nothing_of_hers_comes_out_or_changes(world: World, tab: None, name: str) -> None:
    answer = TRIES[name](world, world.bob)
    assert SECRET not in answer


@pytest.mark.parametrize("name", READS)
def test_she_reaches_all_of_it_and_finds_it_as_it_was(world: World, tab: None, name: str) -> None:
    """The tries above fail for want of the right and not of sense; and nothing came of them."""
    assert SECRET in READS[name](world, world.alice)


def test_a_run_is_not_resumed_on_what_has_become_anothers(world: World) -> None:
    bob_id = next(one.id for one in Users(world.storage).all() if one.name == "bob")
    folder = world.storage / "evaluations" / "bobs-run"
    folder.mkdir()
    arguments = ["eval", "retrieval", "--collection", "alices", "--out", str(folder), "--", "own"]
    launch = {"owner": bob_id, "kind": "retrieval", "dataset": "own", "status": 1}
    (folder / "launch.json").write_text(json.dumps({**launch, "arguments": arguments}))
    said = world.fire(world.bob, "past", "select", "resumes", act="resume", run="bobs-run")
    assert "alices" in said
    assert json.loads((folder / "launch.json").read_text())["status"] == 1, "it was not begun"


def test_an_index_is_built_by_those_alone_who_manage_the_collection(world: World) -> None:
    asked = {"act": "build", "name": "minilm", "collection": "alices"}
    assert "does not exist" in world.fire(world.bob, "catalogue", "select", "builds", **asked)
    shown = world.fire(world.alice, "compare-form", "input", "hers", collection="alices")
    assert "known: " not in shown, "and nobody else hears of it"


def test_a_vote_is_the_users_in_whatever_browser(world: World) -> None:
    assert world.chats is not None
    asked = {"collection": "alices", "systems": ["bm25", "dense"], **ASK}
    world.fire(world.alice, "compare-form", "submit", "votes", **asked)
    world.fire(world.alice, "compared", "select", "votes", act="vote", system="bm25")
    [vote] = asyncio.run(world.chats.votes(world.alice_id))
    assert (vote.collection, vote.winner) == ("alices", "bm25")
    assert asyncio.run(world.chats.votes(EVERYONE)) == [vote]
    with stranger(world.alice) as elsewhere:
        elsewhere.post("/login", data={"username": "alice", "password": PASSWORD})
        world.fire(elsewhere, "compare-form", "submit", "more", **asked)
        world.fire(elsewhere, "compared", "select", "more", act="vote", system="dense")
    [again] = asyncio.run(world.chats.votes(world.alice_id))
    assert again.winner == "dense", "in place of the first"


def test_all_of_hers_is_as_it_was(world: World) -> None:
    documents = world.alice.get(f"{OWN}/documents").json()
    assert [one["source"] for one in documents] == ["nests.md"]
    (kept,) = world.alice.get("/api/conversations").json()
    assert SECRET in kept["title"]
    whole = world.alice.get(f"/api/conversations/{world.conversation}").json()
    assert [(one["rating"], one["number"]) for one in whole["turns"]] == [("", 1)]
    seen = [one["name"] for one in world.bob.get("/api/collections").json()]
    assert "alices" not in seen
