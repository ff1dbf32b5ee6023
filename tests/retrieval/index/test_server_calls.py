"""Calls to a server are repeated when that can help, and explained when it did not."""

import socket

import grpc
import httpx
import pytest
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from retrieval.index.errors import StoreError
from retrieval.index.server_calls import Calls, is_transient
from retrieval.index.server_collections import connect
from tests.retrieval.index.scripted_server import scripted_server


@pytest.fixture
def server():
    with scripted_server() as script:
        yield script


@pytest.fixture
def silent_port():
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def status(code: int) -> UnexpectedResponse:
    return UnexpectedResponse(code, "reason", b"", httpx.Headers())


class GrpcFailure(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (status(503), True),
        (status(500), True),
        (status(429), True),
        (status(400), False),
        (status(401), False),
        (ResponseHandlingException(httpx.ConnectError("refused")), True),
        (ResponseHandlingException(httpx.ReadTimeout("slow")), True),
        (ResponseHandlingException(ValueError("no such model")), False),
        (GrpcFailure(grpc.StatusCode.UNAVAILABLE), True),
        (GrpcFailure(grpc.StatusCode.DEADLINE_EXCEEDED), True),
        (GrpcFailure(grpc.StatusCode.UNAUTHENTICATED), False),
        (ValueError("ours"), False),
    ],
)
def test_only_what_may_pass_is_repeated(error, transient):
    assert is_transient(error) is transient


def test_a_busy_server_is_asked_again_until_it_answers(server):
    server.failures = [503, 500]
    client = connect(server.url)
    assert Calls(client, pause=0.001)(client.get_aliases).aliases == []
    assert len(server.requests) == 3


def test_a_server_that_stays_busy_is_given_up(server):
    server.failures = [503] * 9
    client = connect(server.url)
    with pytest.raises(StoreError, match=f"{server.url} refused a request: 503"):
        Calls(client, attempts=3, pause=0.001)(client.get_aliases)
    assert len(server.requests) == 3


def test_a_server_that_asks_for_a_pause_gets_it_up_to_a_minute(server, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    server.failures, server.retry_after = [429, 429], "7"
    client = connect(server.url)
    assert Calls(client, pause=0.001)(client.get_aliases).aliases == []
    assert pauses == [7, 7]
    server.failures, server.retry_after = [429] * 9, "3600"
    with pytest.raises(StoreError, match="refused a request"):
        Calls(client, attempts=2, pause=0.001)(client.get_aliases)
    assert pauses[2:] == [60]


def test_a_refusal_is_not_repeated(server):
    server.failures = [401]
    client = connect(server.url)
    with pytest.raises(StoreError, match=r"401.*Check the API key"):
        Calls(client)(client.get_aliases)
    assert len(server.requests) == 1


@pytest.mark.parametrize("prefer_grpc", [False, True])
def test_nobody_listening_is_said_with_the_address_and_the_hint(silent_port, prefer_grpc):
    url = f"http://127.0.0.1:{silent_port}"
    client = connect(url, prefer_grpc=prefer_grpc, grpc_port=silent_port, timeout=2)
    with pytest.raises(StoreError) as caught:
        Calls(client, attempts=2, pause=0.001)(client.get_collections)
    for part in (url, "does not answer", "refused", "Start it", "embedded store"):
        assert part in str(caught.value)
    client.close()


def test_our_own_mistakes_pass_through():
    with pytest.raises(ZeroDivisionError):
        Calls(connect("http://127.0.0.1:1"))(lambda: 1 // 0)


@pytest.mark.parametrize("arguments", [{"attempts": 0}, {"pause": 0}])
def test_senseless_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Calls(connect("http://127.0.0.1:1"), **arguments)
