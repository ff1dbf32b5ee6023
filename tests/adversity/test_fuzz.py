"""Requests and page events of no sense: refused with a reason, and nothing falls over.

ADVERSITY_REQUESTS=10000 sends so many, instead of a few; the statuses are printed.
"""

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adversity.pages import config, event, send
from tests.rag_app.support import prose, write
from tests.ui.running import RunningApp

COUNT = int(os.environ.get("ADVERSITY_REQUESTS", "300"))
NAMED = {507}
"""Statuses of 5xx that name what has failed upstream of us: a full disk."""
SCALARS: tuple[Any, ...] = (
    None, True, 0, -1, 1 << 70, 1e308, 0.5, "", " ", "c", "\x00", "\ud800", "é" * 3000,
    "x" * 200_000,
    "../../etc", "%00", "[1]", "{{7*7}}", "a\r\nX: y", "\u202e", "default", "minilm", "bm25",
)  # fmt: skip
FIELDS = (
    "question", "options", "history", "paths", "encoder", "sync", "index", "collections", "model",
    "messages", "prompt", "stream", "stop", "max_tokens", "temperature", "n", "role", "content",
    "retriever", "top_k", "sources", "rewrite", "rerank",
)  # fmt: skip
PATHS = (
    "collections", "collections/{}", "collections/{}/documents", "collections/{}/documents/content",
    "collections/{}/indexes", "collections/{}/passages/{}", "collections/{}/passages",
    "collections/{}/search", "collections/{}/ask", "collections/{}/ingest",
    "collections/{}/rebuild", "collections/{}/repair", "collections/{}/active", "backup", "restore",
)  # fmt: skip
BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/collections/c/search", {"question": "harbour", "options": {"retriever": "bm25"}}),
    ("/api/collections/c/ask", {"question": "harbour", "history": []}),
    ("/api/collections/c/passages", {"encoder": None}),
    ("/api/collections/c/indexes", {"encoder": "nothing"}),
    ("/api/collections/c/ingest", {"paths": ["/nowhere"]}),
    ("/v1/chat/completions", {"model": "c", "messages": [{"role": "user", "content": "why"}]}),
    ("/v1/completions", {"model": "c", "prompt": "why"}),
)


@pytest.fixture
def browser(running: RunningApp, tmp_path: Path) -> Iterator[httpx.Client]:
    with running.browser() as client:
        folder = write(tmp_path / "in", {"a.txt": prose("a"), "b.txt": prose("b")})
        ingest(client, "c", folder)
        yield client


def ingest(client: httpx.Client, name: str, folder: Path) -> int:
    return client.post(f"/api/collections/{name}/ingest", json={"paths": [str(folder)]}).status_code


def value(draw: random.Random, depth: int = 0) -> Any:
    """Anything that JSON can say."""
    kind = draw.random()
    if depth > 3 or kind < 0.6:
        return draw.choice(SCALARS)
    if kind < 0.8:
        return [value(draw, depth + 1) for _ in range(draw.randint(0, 4))]
    return {draw.choice(FIELDS): value(draw, depth + 1) for _ in range(draw.randint(0, 4))}


def twisted(body: dict[str, Any], draw: random.Random) -> Any:
    """A request's body with something of it changed, added or left out."""
    changed = json.loads(json.dumps(body))
    for _ in range(draw.randint(1, 3)):
        name = draw.choice([*changed, draw.choice(FIELDS)])
        if name == "paths":  # any other might be a folder of this machine
            changed[name] = [f"/nowhere/{draw.random()}", "\x00", "\ud800"][: draw.randint(0, 3)]
        elif draw.random() < 0.2:
            changed.pop(name, None)
        else:
            changed[name] = value(draw)
    return changed


def call(client: httpx.Client, draw: random.Random) -> int:
    """Send a request of no sense to the API, and read all of the answer."""
    headers = {"Content-Type": draw.choice(["application/json"] * 9 + ["text/plain"])}
    kind = draw.random()
    if kind < 0.6:
        path, body = draw.choice(BODIES)
        content = json.dumps(twisted(body, draw)).encode()
        return client.post(path, content=content, headers=headers).status_code
    names = [draw.choice(["c", "é", "..", "a" * 300, "%2e%2e", "%7f", "-", "c%00"]) for _ in "ab"]
    path = f"/api/{draw.choice(PATHS).format(*names)}"
    path += draw.choice(
        ["", "?source=x", "?page=-1", "?index=%ff", "?replace=maybe", "?source=%00"]
    )
    method = draw.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
    content = draw.choice([b"", b"{", b"\xff\xfe", b"[" * 5000, json.dumps(value(draw)).encode()])
    return client.request(method, path, content=content, headers=headers).status_code


def test_requests_of_no_sense_are_refused(running: RunningApp, browser: httpx.Client) -> None:
    draw, statuses = random.Random(1), Counter[int]()  # noqa: S311
    for number in range(COUNT):
        status = call(browser, draw)
        assert status < 500 or status in NAMED, number
        statuses[status] += 1
    require_alive(running, browser)
    print("requests", dict(sorted(statuses.items())))  # noqa: T201 - of docs/security.md


def test_events_of_no_sense_are_refused(running: RunningApp, browser: httpx.Client) -> None:
    draw, statuses = random.Random(2), Counter[int]()  # noqa: S311
    events = [one for one in config(browser)["dependencies"] if one["backend_fn"]]
    for number in range(COUNT // 4):
        one = draw.choice(events)
        sent = event(one["id"], [value(draw) for _ in one["inputs"]], f"s{number % 50}")
        if draw.random() < 0.2:
            sent[draw.choice(["fn_index", "data", "session_hash", "event_data"])] = value(draw)
        status, _ = send(browser, json_safe(sent), queued=False)
        assert status < 500 or status in NAMED, (number, one, running.lines[-20:])
        statuses[status] += 1
    require_alive(running, browser)
    print("events", dict(sorted(statuses.items())))  # noqa: T201 - of docs/security.md


def test_values_that_fit_no_field_leave_no_traceback(
    running: RunningApp, browser: httpx.Client
) -> None:
    begun = len(running.lines)
    for one in config(browser)["dependencies"]:
        for number, odd in enumerate((5, [], ["a", {"b": 1}], {"a": 1})):
            sent = event(one["id"], [odd for _ in one["inputs"]], f"odd{number}")
            sent["event_data"] = {"act": odd, "view": odd, "name": odd}
            status, _ = send(browser, sent, queued=bool(one["queue"]))
            assert status < 500, (one["targets"], odd)
    said = running.lines[begun:]
    assert not [line for line in said if "Traceback" in line], "\n".join(said)[-3000:]
    require_alive(running, browser)


def json_safe(sent: dict[str, Any]) -> dict[str, Any]:
    """The event without what httpx itself cannot send."""
    safe: dict[str, Any] = json.loads(json.dumps(sent).replace("\\ud800", "?"))
    return safe


def test_one_users_changes_break_no_others_questions(
    running: RunningApp, browser: httpx.Client, tmp_path: Path
) -> None:
    folder = write(tmp_path / "theirs", {f"{i}.txt": prose(i) for i in range(3)})
    done = threading.Event()
    changes = Counter[int]()

    def change() -> None:
        with running.browser() as other:
            for number in range(max(6, COUNT // 100)):
                path = "/api/collections/theirs"
                changes[ingest(other, "theirs", folder)] += 1
                if number % 3 == 0:
                    changes[other.post(f"{path}/rebuild").status_code] += 1
                changes[other.delete(f"{path}/documents?source=1.txt").status_code] += 1
                changes[other.delete(path).status_code] += 1
        done.set()

    changing = threading.Thread(target=change)
    changing.start()
    body = {"question": "Where is the harbour?", "options": {"retriever": "bm25"}}
    answers = Counter[int]()
    while not done.is_set():
        for kind in ("search", "ask"):
            ours = browser.post(f"/api/collections/c/{kind}", json=body)
            assert ours.status_code == 200
            assert "harbour" in ours.text
            theirs = browser.post(f"/api/collections/theirs/{kind}", json=body)
            assert theirs.status_code < 500
            answers[theirs.status_code] += 1
    changing.join(60)
    assert set(changes) == {200}
    require_alive(running, browser)


def test_a_strangers_events_change_nothing(running: RunningApp, browser: httpx.Client) -> None:
    events = [one for one in config(browser)["dependencies"] if one["backend_fn"]]
    before = browser.get("/api/collections").json()
    with httpx.Client(base_url=running.address, trust_env=False, timeout=60) as stranger:
        for one in events:
            for first in ("c", None):
                data = [first, *["a.txt" for _ in one["inputs"][1:]]][: len(one["inputs"])]
                status, _ = send(stranger, event(one["id"], data, "stranger"), queued=False)
                assert status < 500, one["targets"]
        for path in ("c", "c/documents?source=a.txt"):
            assert stranger.delete(f"/api/collections/{path}").status_code == 401
    assert browser.get("/api/collections").json() == before


def require_alive(running: RunningApp, client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert "c" in {one["name"] for one in client.get("/api/collections").json()}
    assert running.process.poll() is None
    assert not [line for line in running.lines if "Exception in ASGI" in line]
