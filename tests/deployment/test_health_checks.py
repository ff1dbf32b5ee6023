"""Each health check of docker-compose.yml, run against what it looks at."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from rag_app.web.healthcheck import main
from tests.deployment.compose import services


@contextmanager
def server_that_says(answer: bytes) -> Iterator[int]:
    """A server on loopback that answers whatever is asked; yields its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked = b""
                while not asked.endswith(b"\r\n\r\n"):
                    asked += connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def _run(service: str, instead: tuple[str, str]) -> int:
    _, *command = services()[service]["healthcheck"]["test"]
    command = [word.replace("$$", "$").replace(*instead) for word in command]
    if command[0] in {"python", "python3"}:
        command[0] = sys.executable
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nall shards are ready", True),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\nx: 200\r\n\r\n 200 ", False),
        (b"", False),
    ],
)
def test_qdrant_is_healthy_when_it_says_so(answer, healthy):
    with server_that_says(answer) as port:
        assert (_run("qdrant", ("6333", str(port))) == 0) is healthy


def test_qdrant_is_not_healthy_when_nothing_listens():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert _run("qdrant", ("6333", str(port))) != 0


@pytest.mark.slow
def test_an_engine_is_healthy_when_vllm_says_so(chat_server):
    assert _run("reader", ("http://127.0.0.1:8000", chat_server.url)) == 0


def test_an_engine_is_not_healthy_when_it_is_dead():
    with server_that_says(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n") as port:
        assert _run("reader", ("8000", str(port))) != 0


@pytest.mark.parametrize(("status", "expected"), [(b"200 OK", 0), (b"503 Service Unavailable", 1)])
def test_the_application_is_ready_when_it_says_so(status, expected):
    answer = b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n"
    with server_that_says(answer) as port:
        assert main([f"http://127.0.0.1:{port}/readyz"]) == expected


def test_the_application_is_not_ready_when_nothing_listens(capsys):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert main([f"http://127.0.0.1:{port}/readyz"]) == 1
    assert "refused" in capsys.readouterr().err
    assert main(["file:///etc/hostname"]) == 2
