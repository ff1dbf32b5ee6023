"""Servers that really answer on loopback, as each of the four kinds lists its models."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data.errors import RagAppError
from rag_app.errors import ApplicationError
from rag_app.probes.connecting import ModelConnection, find_servers
from rag_app.settings import Settings, override
from rag_app.settings.connection import read_connection
from tests.openai_server import OpenAIServer

OLLAMA = b'{"object":"list","data":[{"id":"llama3.2:3b","object":"model","owned_by":"library"}]}'
OLLAMA_EMPTY = b'{"object":"list","data":null}'
LLAMA_CPP = (
    b'{"models":[{"name":"m.gguf"}],"object":"list",'
    b'"data":[{"id":"m.gguf","meta":{"n_ctx_train":4096}}]}'
)


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[int]:
    """A server that answers everything alike; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/v1/models")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_servers_of_this_machine_are_found_by_what_they_list():
    with (
        answering(OLLAMA) as ollama,
        answering(OLLAMA_EMPTY) as empty,
        answering(LLAMA_CPP) as llama,
        answering(b"<html>") as page,
        answering(b"[1]") as odd,
        answering(b'{"data":[{"id":"x"}]}', 302) as elsewhere,
        answering(b'{"data":[' + b" " * (1 << 21)) as endless,
    ):
        ports = (ollama, empty, llama, page, odd, elsewhere, endless, 9)
        found = await find_servers([(str(port), port) for port in ports])
    assert [(one.name, one.models) for one in found] == [
        (str(ollama), ("llama3.2:3b",)),
        (str(empty), ()),
        (str(llama), ("m.gguf",)),
    ]
    assert found[0].address == f"http://127.0.0.1:{ollama}/v1"


@pytest.fixture
def used() -> list[Settings]:
    return []


@pytest.fixture
def connection(settings, used) -> ModelConnection:
    return ModelConnection(settings, used.append)


async def test_a_model_is_tested_kept_and_used(
    connection: ModelConnection, used: list[Settings], openai_server: OpenAIServer, settings
):
    openai_server.api_key, openai_server.max_model_len = "sk-2", 2048
    assert await connection.models(f" {openai_server.url}/ ", "sk-2") == [openai_server.model]
    assert used == []
    said = await connection.connect(openai_server.url, "sk-2", openai_server.model)
    assert openai_server.model in said
    assert openai_server.requests[-1]["stream"] is True  # as questions are asked
    [now] = used
    assert (now.llm.model, now.llm.context_window) == (openai_server.model, 2048)
    assert now.reader.kind == "llm"
    assert connection.reads == openai_server.model
    assert read_connection(settings.storage.path)["llm"]["api_key"] == "sk-2"
    assert await connection.connect(openai_server.url, "", openai_server.model)  # the known key


async def test_what_does_not_answer_changes_nothing(
    connection: ModelConnection, used: list[Settings], openai_server: OpenAIServer, settings
):
    openai_server.api_key = "sk-3"
    for key, model in (("wrong", openai_server.model), ("sk-3", "unknown"), ("sk-3", "")):
        with pytest.raises(RagAppError):
            await connection.connect(openai_server.url, key, model)
    assert (used, connection.changed, read_connection(settings.storage.path)) == ([], False, {})


async def test_a_key_never_goes_to_another_address(settings, used, openai_server: OpenAIServer):
    elsewhere = {"llm": {"api_base": "http://127.0.0.1:9/v1", "api_key": "sk-secret"}}
    connection = ModelConnection(override(settings, elsewhere), used.append)
    await connection.connect(openai_server.url, "", openai_server.model)
    assert used[0].llm.api_key.get_secret_value() == "none"


@pytest.mark.parametrize(
    "address",
    [
        "", "127.0.0.1:8000", "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http://[::1",
        "http://a:b@127.0.0.1/v1", "http://127.0.0.1/v1?x=1", "http://169.254.169.254/latest",
        "http://[fe80::1]/v1", "http://[::ffff:169.254.169.254]/v1", "http://127.0.0.1:99999/v1", "http://127.0.0.1/\r\nx",
    ],
)  # fmt: skip
async def test_other_addresses_are_not_asked(connection: ModelConnection, address: str):
    with pytest.raises(ApplicationError):
        await connection.models(address, "")
