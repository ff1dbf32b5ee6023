"""No event and no route of the page reads, serves, moves or deletes a file of the machine."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adversity.pages import config, event, send
from tests.ui.running import RunningApp

SECRET = "the heron's nest is under the third sluice"


@pytest.fixture
def browser(running: RunningApp) -> Iterator[httpx.Client]:
    with running.browser() as client:
        yield client


@pytest.fixture
def targets(running: RunningApp, tmp_path: Path) -> dict[str, Path]:
    """What an attacker would name; each holds the secret."""
    found = {"file": tmp_path / "secret.md", "folder": tmp_path / "folder"}
    found["file"].write_text(SECRET)
    found["folder"].mkdir()
    (found["folder"] / "inside.md").write_text(SECRET)
    found["store"] = running.storage / "owner.json"
    uploads = running.storage / "uploads"
    found["link"] = uploads / "link.md"
    found["link"].unlink(missing_ok=True)
    found["link"].symlink_to(found["file"])
    found["device"] = Path("/dev/zero")
    found["dots"] = uploads / ".." / "owner.json"
    return found


def files(path: str) -> list[Any]:
    """Ways to name a file in an event."""
    whole = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.md", "size": 3}
    return [
        whole,
        [whole],
        {**whole, "is_stream": True},
        {**whole, "url": f"/gradio_api/file={path}"},
        {"value": {"image": [whole]}, "path": None},
        {"path": path},
        [[path, "a.md"]],
        [path],
        path,
    ]


def test_no_event_takes_a_path(
    running: RunningApp, browser: httpx.Client, targets: dict[str, Path]
) -> None:
    before = {name: _state(path) for name, path in targets.items()}
    events = [one for one in config(browser)["dependencies"] if one["backend_fn"]]
    attacks = [attack for path in list(targets.values())[1:] for attack in files(str(path))[1:3]]
    attacks += files(str(targets["file"]))
    tried = 0
    for one in events:
        for attack in attacks:
            data = [attack for _ in one["inputs"]]
            sent = event(one["id"], data, f"s{tried}", event_data=attack)
            status, answer = send(browser, sent, queued=False)
            assert status < 500, (one["targets"], attack, answer)
            assert SECRET not in answer
            tried += 1
    assert tried > 250
    assert {name: _state(path) for name, path in targets.items()} == before
    assert _documents(browser) == []


def test_an_upload_is_named_by_its_id_and_by_its_browser_alone(
    running: RunningApp, browser: httpx.Client
) -> None:
    add = _event_of(browser, "upload")
    (name,) = browser.post("/gradio_api/upload", files={"files": ("a.md", SECRET)}).json()
    assert len(name) == 32
    with running.browser() as other:
        _, answer = send(other, event(add, [None, [[name, "a.md"]], None], "other"), queued=True)
        assert "not here any longer" in answer
    for odd in ("..", f"../{name}", f"{name}/", name.upper(), "0" * 32, name + "\x00"):
        _, answer = send(browser, event(add, [None, [[odd, "a.md"]], None], "own"), queued=True)
        assert "not here any longer" in answer
    opened = _event_of(browser, "load", inputs=2)
    send(browser, event(opened, ["", None], "own"), queued=False)
    send(browser, event(add, [None, [[name, "../../a.md"]], None], "own"), queued=True)
    deadline = time.monotonic() + 60
    while not (listed := _documents(browser)) and time.monotonic() < deadline:
        time.sleep(0.01)  # the page says how far it is, and does not wait
    assert [one["source"] for one in listed] == ["a.md"]
    assert list((running.storage / "uploads").glob("visitor-*/*")) == []


@pytest.mark.parametrize(
    "path",
    [
        "file={0}", "file/{0}", "stream/{0}", "proxy=file://{0}", "proxy=http://127.0.0.1:1/",
        "stream/x/y/z/playlist.m3u8", "stream/x/y/z/playlist-file",
        "custom_component/1/client/x/{0}",
        "info", "openapi.json", "runs", "deep_link", "vibe-code", "user", "token",
    ],
)  # fmt: skip
def test_gradio_serves_no_files_and_no_programs(
    browser: httpx.Client, targets: dict[str, Path], path: str
) -> None:
    for target in targets.values():
        answer = browser.get(f"/gradio_api/{path.format(target)}")
        assert answer.status_code in {403, 404}
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "api/predict", "call/_add", "call/v2/_add", "run/_add", "component_server",
        "component_server/", "process_recording", "stream/x", "stream/x/close", "reset",
        "vibe-edit", "undo-vibe-edit", "vibe-code", "vibe-starter-queries", "profiling/clear",
        "run-history/connect", "login",
    ],
)  # fmt: skip
def test_gradio_takes_nothing_but_the_pages_events(
    browser: httpx.Client, targets: dict[str, Path], path: str
) -> None:
    for attack in files(str(targets["file"])):
        body = {"data": [attack], "session_hash": "s", "component_id": 10, "fn_name": "ls"}
        assert browser.post(f"/gradio_api/{path}", json=body).status_code == 404


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc/passwd", "/etc/passwd"])
@pytest.mark.parametrize("folder", ["assets", "static", "svelte"])
def test_the_pages_own_files_are_no_way_out(running: RunningApp, folder: str, path: str) -> None:
    port = int(running.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as raw:
        head = f"GET /{folder}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        raw.sendall(head.encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert b"root:" not in answer
    assert answer.split()[1] in {b"403", b"404"}


@pytest.mark.parametrize(
    "where", ["folder dataset", "choice dataset", "answers dataset", "score option-run_file"]
)
def test_the_evaluation_page_reads_no_path_of_the_machine(
    browser: httpx.Client, targets: dict[str, Path], where: str
) -> None:
    page = config(browser)
    props = {one["id"]: one["props"] for one in page["components"]}
    clicks = [one for one in page["dependencies"] if one["targets"][0][1] == "click"]
    start = max(clicks, key=lambda one: len(one["inputs"]))  # it takes the whole form
    names = [props[one].get("elem_id") for one in start["inputs"]]
    values = [props[one].get("value") for one in start["inputs"]]
    subject, field = where.split()
    values[names.index("subject")] = subject
    values[names.index("dataset")] = "beir:scifact"
    for path in ("/etc", "beir:/etc", "jsonl:/etc/passwd", "../x", str(targets["folder"]), "x"):
        values[names.index(field)] = path
        status, answer = send(browser, event(start["id"], values, subject), queued=False)
        assert status == 200, answer
        assert "there is no data set" in answer


def _event_of(client: httpx.Client, trigger: str, inputs: int | None = None) -> int:
    found = [
        one["id"]
        for one in config(client)["dependencies"]
        if one["targets"][0][1] == trigger and (inputs is None or len(one["inputs"]) == inputs)
    ]
    assert len(found) == 1
    return int(found[0])


def _state(path: Path) -> object:
    return (os.lstat(path).st_ino, os.lstat(path).st_size)


def _documents(client: httpx.Client) -> list[dict[str, Any]]:
    answer = client.get("/api/collections/default/documents")
    return json.loads(answer.text) if answer.status_code == 200 else []
