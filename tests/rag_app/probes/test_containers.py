import socket

import pytest

from rag_app.probes import containers
from rag_app.probes.containers import hint
from tests.rag_app.probes.servers import closed_port


@pytest.fixture
def container(tmp_path, monkeypatch):
    """As if this were one."""
    (tmp_path / "mark").touch()
    monkeypatch.setattr(containers, "MARKS", (tmp_path / "absent", tmp_path / "mark"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_refusal_at_localhost_names_the_ways_out(container, host):
    said = hint(f"http://{host}:{closed_port()}/v1")
    assert "service's name" in said
    assert "host.docker.internal" in said


def test_nothing_is_said_outside_of_containers(monkeypatch, tmp_path):
    monkeypatch.setattr(containers, "MARKS", (tmp_path / "absent",))
    assert hint(f"http://localhost:{closed_port()}") == ""


def test_nothing_is_said_of_a_server_that_listens(container):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert hint(f"http://127.0.0.1:{listener.getsockname()[1]}") == ""


@pytest.mark.parametrize(
    "address", ["", "http://reader:8000/v1", "http://[::1", "http://localhost:x", "localhost"]
)
def test_nothing_is_said_of_other_addresses(container, address):
    assert hint(address) == ""
