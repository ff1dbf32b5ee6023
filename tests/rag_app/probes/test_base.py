import asyncio
import socket
import threading
import time

import pytest

from rag_app.probes import base
from rag_app.probes.base import Check, Problem, container_hint, in_thread, judged, shown
from tests.rag_app.probes.servers import closed_port


async def tried(run, **more):
    answer, start = asyncio.create_task(run()), time.perf_counter()
    probe = await judged(Check("part", run, **more), answer, start)
    answer.cancel()
    return probe


async def test_what_was_found_is_told_with_its_milliseconds():
    async def run() -> str:
        await asyncio.sleep(0.02)
        return "fine"

    probe = await tried(run)
    assert (probe.role, probe.ok, probe.detail, probe.hint) == ("part", True, "fine", "")
    assert 15 < probe.ms < 1000


async def test_an_expected_error_is_a_line_with_the_hint():
    async def run() -> str:
        raise Problem("it is broken", cause="somebody broke it", hint="Mend it")

    probe = await tried(run)
    assert (probe.ok, probe.detail) == (False, "it is broken: somebody broke it")
    assert probe.hint == "Mend it"


async def test_a_fault_of_ours_keeps_its_traceback():
    async def run() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await tried(run)


async def test_what_hangs_has_failed_at_the_deadline_and_is_named():
    async def run() -> str:
        await asyncio.sleep(60)
        return "late"

    start = time.monotonic()
    probe = await tried(run, address="http://reader:8000/v1", seconds=0.1)
    assert time.monotonic() - start < 25
    assert (probe.ok, probe.detail) == (
        False, "http://reader:8000/v1 did not answer within 0.1 s"
    )  # fmt: skip
    assert "--deadline" in probe.hint


@pytest.mark.parametrize("inside", [True, False])
async def test_who_refuses_at_localhost_is_explained_in_a_container_alone(
    monkeypatch, tmp_path, inside
):
    mark = tmp_path / "mark"
    monkeypatch.setattr(base, "MARKS", (mark,))
    if inside:
        mark.touch()

    async def run() -> str:
        raise Problem("refused", hint="Start it")

    probe = await tried(run, address=f"http://localhost:{closed_port()}/v1")
    assert ("host.docker.internal" in probe.hint) == inside
    assert (probe.hint == "Start it") == (not inside)


async def test_a_thread_gives_its_result_or_its_error():
    def fail() -> None:
        raise Problem("no")

    assert await in_thread(lambda: threading.current_thread().daemon)
    with pytest.raises(Problem, match="no"):
        await in_thread(fail)


def test_a_thread_that_outlives_its_loop_ends_quietly():
    go, before = threading.Event(), set(threading.enumerate())

    async def leave() -> None:
        task = asyncio.create_task(in_thread(go.wait))
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(leave())
    (left,) = set(threading.enumerate()) - before  # others of this process may end meanwhile
    go.set()
    left.join(60)
    assert not left.is_alive()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("https://user:secret@host/v1?key=secret#secret", "https://host/v1"),
        ("http://a/v1 http://user:secret@b/v1", "http://a/v1 http://b/v1"),
        ("http://[::1", "an address that cannot be read"),
        ("", ""),
    ],
)
def test_addresses_are_shown_without_credentials(url, told):
    assert shown(url) == told


@pytest.fixture
def container(tmp_path, monkeypatch):
    """As if this were one."""
    (tmp_path / "mark").touch()
    monkeypatch.setattr(base, "MARKS", (tmp_path / "absent", tmp_path / "mark"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_refusal_at_localhost_names_the_ways_out(container, host):
    said = container_hint(f"http://{host}:{closed_port()}/v1")
    assert "service's name" in said
    assert "host.docker.internal" in said


def test_nothing_is_said_outside_of_containers(monkeypatch, tmp_path):
    monkeypatch.setattr(base, "MARKS", (tmp_path / "absent",))
    assert container_hint(f"http://localhost:{closed_port()}") == ""


def test_nothing_is_said_of_a_server_that_listens(container):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert container_hint(f"http://127.0.0.1:{listener.getsockname()[1]}") == ""


@pytest.mark.parametrize(
    "address", ["", "http://reader:8000/v1", "http://[::1", "http://localhost:x", "localhost"]
)
def test_nothing_is_said_of_other_addresses(container, address):
    assert container_hint(address) == ""
