import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.rag_app.command import rag_app
from tests.ui.running import READY, RunningApp

NOTE = "The harbour light at Skerry Point flashes twice every twelve seconds."


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """As a person starts it: all other tests fork a process that has the modules already."""
    app = RunningApp(tmp_path_factory.mktemp("storage"), ["serve", "--port", "0"], fresh=True)
    yield app
    app.stop()
    assert app.process.returncode == 0


@pytest.fixture
def client(running: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address, trust_env=False, timeout=30) as client:
        yield client


def test_importing_the_commands_imports_no_web_framework() -> None:
    code = "import sys, ui.commands; print([m for m in sys.modules if m in {'gradio', 'fastapi'}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_line_for_programs_and_one_for_people_say_where_the_application_is(
    running: RunningApp,
) -> None:
    assert [bool(READY.search(line)) for line in running.lines] == [True, False]
    assert running.page.startswith(f"{running.address}/login?key=")
    assert running.address.startswith("http://127.0.0.1:")


def test_page_and_probes_answer_once_it_is_ready(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    deadline = time.monotonic() + 60  # a busy machine takes longer over the encoder than a probe
    while (said := client.get("/readyz").json())["status"] != "ready":
        assert time.monotonic() < deadline, said
    assert "window.gradio_config" in client.get("/").text


def test_owner_note_names_the_address_and_is_private(running: RunningApp) -> None:
    note = running.storage / "owner.json"
    owner = json.loads(note.read_text())
    assert owner["address"] == running.address
    assert owner["pid"] == running.process.pid
    assert len(owner["token"]) >= 32
    assert stat.S_IMODE(note.stat().st_mode) == 0o600


def test_other_commands_work_through_the_running_application(
    running: RunningApp, tmp_path: Path
) -> None:
    note = tmp_path / "light.md"
    note.write_text(NOTE)
    taken = rag_app("ingest", note, "--json", storage=running.storage, network=True)
    assert json.loads(taken.stdout)["documents"]["added"] == 1, taken.stderr
    question = "How often does the light flash?"
    found = rag_app("search", question, "--json", storage=running.storage, network=True)
    assert [hit["source"] for hit in json.loads(found.stdout)["hits"]] == ["light.md"]


def test_second_ui_names_the_running_one(running: RunningApp) -> None:
    second = rag_app("ui", "--no-open", storage=running.storage)
    assert second.returncode == 0
    assert f"running already at {running.address}" in second.stderr


def test_second_serve_is_refused(running: RunningApp) -> None:
    second = rag_app("serve", "--port", "0", storage=running.storage)
    assert second.returncode == 1
    assert "is in use" in second.stderr


def test_answers_forbid_the_browser_to_reach_elsewhere(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/api/collections/default/search"])
def test_requests_that_another_site_makes_are_refused(client: httpx.Client, path: str) -> None:
    answer = client.post(
        path, json={"question": "?"}, headers={"Origin": "http://evil.example", **_FOREIGN}
    )
    assert answer.status_code == 403


def test_other_host_names_are_refused(client: httpx.Client) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_changes_need_the_token(client: httpx.Client) -> None:
    assert client.delete("/api/collections/default").status_code == 401


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "owner.json", "../owner.json", "http://127.0.0.1:1/"]
)
def test_no_file_of_the_machine_is_served(
    client: httpx.Client, running: RunningApp, path: str
) -> None:
    name = str(running.storage / path) if path.endswith("json") else path
    assert client.get(f"/gradio_api/file={name}").status_code in {400, 403, 404}


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signal_ends_it_at_once_though_a_page_listens(tmp_path: Path, name: str) -> None:
    import signal

    app = RunningApp(tmp_path, ["serve", "--port", "0"])
    listening = threading.Event()

    def listen() -> None:
        with httpx.Client(trust_env=False, timeout=30) as page:
            url = f"{app.address}/gradio_api/heartbeat/somebody"
            try:
                with page.stream("GET", url) as stream:
                    for _ in stream.iter_raw():
                        listening.set()
            except httpx.HTTPError:
                pass

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        assert listening.wait(120)
    finally:
        app.stop(signal.Signals[name])
        thread.join(10)
    assert app.process.returncode == 0
    assert not (tmp_path / "owner.json").exists()
    assert not (tmp_path / "uploads").exists()


def test_signal_ends_it_at_once_though_files_are_being_read(tmp_path: Path) -> None:
    passages = tmp_path / "many.jsonl"
    with passages.open("w") as file:
        for i in range(20_000):
            file.write(json.dumps({"_id": str(i), "text": f"Passage {i} of many. {NOTE}" * 5}))
            file.write("\n")
    storage = tmp_path / "storage"
    app = RunningApp(storage, ["serve", "--port", "0"])
    owner = json.loads((storage / "owner.json").read_text())
    headers = {"Authorization": f"Bearer {owner['token']}"}
    writing = threading.Event()

    def ingest() -> None:
        try:
            with httpx.stream(
                "POST", f"{app.address}/api/collections/many/ingest",
                json={"paths": [str(passages)]}, headers=headers, timeout=30, trust_env=False,
            ) as stream:  # fmt: skip
                for line in stream.iter_lines():
                    if json.loads(line)["data"]["passages"]:
                        writing.set()
        except httpx.HTTPError:
            pass

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        assert writing.wait(120)
    finally:
        app.stop()  # fails where the process has not gone
        thread.join(10)
    assert app.process.returncode == 0
    after = rag_app("documents", "list", "--collection", "many", "--json", storage=storage)
    assert json.loads(after.stdout)["documents"][0]["state"] == "interrupted"


def test_taken_port_is_named_with_the_hint(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = rag_app("serve", "--port", str(port), storage=tmp_path)
    assert refused.returncode == 2
    assert f"port {port}" in refused.stderr
    assert "--port" in refused.stderr


@pytest.mark.parametrize("name", ["ui", "serve"])
def test_other_addresses_need_a_password(tmp_path: Path, name: str) -> None:
    refused = rag_app(name, "--host", "0.0.0.0", "--port", "0", storage=tmp_path)
    assert refused.returncode == 2
    assert "RAG_APP_SERVER__PASSWORD" in refused.stderr


def test_password_closes_the_page_and_the_api(tmp_path: Path) -> None:
    app = RunningApp(
        tmp_path,
        ["serve", "--port", "0", "--host", "0.0.0.0"],
        RAG_APP_SERVER__PASSWORD="hunter2-hunter2",
    )
    try:
        with httpx.Client(base_url=app.address, trust_env=False, timeout=30) as client:
            assert client.get("/config").status_code == 401
            assert client.get("/api/collections").status_code == 401
            wrong = {"username": "admin", "password": "wrong"}
            assert client.post("/login", data=wrong).status_code == 401
            assert client.get("/config").status_code == 401
            right = {**wrong, "password": "hunter2-hunter2"}
            assert client.post("/login", data=right).status_code == 303
            assert client.get("/config").status_code == 200
            assert (
                client.get("/api/collections", auth=("admin", "hunter2-hunter2")).status_code == 200
            )
        assert any(f"Log in at {app.address}/login" in line for line in app.lines)
        with httpx.Client(base_url=app.address, trust_env=False, timeout=30) as stranger:
            for number in range(12):  # another address each time, as it says of itself
                said = {"X-Forwarded-For": f"10.0.0.{number}", "Authorization": "Bearer wrong"}
                status = stranger.get("/api/collections", headers=said).status_code
            assert status == 429
    finally:
        app.stop()


def test_first_ui_takes_the_samples_in_and_a_later_one_leaves_them(tmp_path: Path) -> None:
    app = RunningApp(tmp_path, ["ui", "--no-open", "--port", "0"])
    try:
        deadline = time.monotonic() + 60
        while (found := _documents(app, "samples")) is None or len(found) < 12:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        app.stop()
    again = RunningApp(tmp_path, ["ui", "--no-open", "--port", "0"])
    try:
        assert len(_documents(again, "samples") or []) >= len(found)
        with again.browser() as client:
            names = client.get("/api/collections").json()
        assert [one["name"] for one in names] == ["samples"]
    finally:
        again.stop()


def _documents(app: RunningApp, collection: str) -> list[object] | None:
    with app.browser() as client:
        answer = client.get(f"/api/collections/{collection}/documents")
    if answer.status_code != 200:
        return None
    return [one for one in answer.json() if one["state"] == "ready"]


_FOREIGN = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}


def test_sighup_has_the_settings_read_again_but_for_what_indexes_are_made_with(
    tmp_path: Path,
) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("\n\n".join(f"# Light {n}\n\n{NOTE}" for n in range(5)), "utf-8")
    file = tmp_path / "rag-app.toml"
    file.write_text("retrieval.top_k = 3\n", "utf-8")
    app = RunningApp(tmp_path / "storage", ["--config", str(file), "serve", "--port", "0"])

    def hits() -> int:
        found = client.post("/api/collections/default/search", json={"question": "Which light?"})
        return len(found.raise_for_status().json()["hits"])

    def hang_up(settings: str | None, said: str) -> None:
        if settings:
            file.write_text(settings, "utf-8")
        app.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while not any(said in line for line in app.lines):
            assert time.monotonic() < deadline, app.lines
            time.sleep(0.01)

    try:
        with app.browser() as client:
            client.post(
                "/api/collections/default/documents?name=notes.md", content=notes.read_bytes()
            ).raise_for_status()
            assert hits() == 3
            hang_up("retrieval.top_k = 1\nchunking.tokens = 99\n", "changed under chunking needs a")
            assert hits() == 1
            hang_up("retrieval.top_k = 0\n", "keeps its settings: setting retrieval.top_k")
            hang_up("reader.kind = 'os:getcwd'\n", "keeps its settings: setting reader.kind")
            assert hits() == 1
            file.unlink()
            os.mkfifo(file)
            hang_up(None, "keeps its settings: settings file")
            assert hits() == 1
    finally:
        app.stop()
