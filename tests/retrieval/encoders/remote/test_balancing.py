import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import pytest

from retrieval.encoders.base import Vectors
from retrieval.encoders.errors import EncoderUnavailableError
from retrieval.encoders.remote.balancing import Balancer
from retrieval.encoders.remote.embedding_server import EmbeddingServer
from tests.embeddings_server import EmbeddingsServer, ids_of, vector_of


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def balancer(clock: Clock) -> Balancer:
    return Balancer([httpx.URL("http://a/v1"), httpx.URL("http://b/v1")], clock)


def always(_: BaseException) -> bool:
    return True


def use(balancer: Balancer, error: type[Exception] | None = None, fails=always) -> str:
    """Which server a request goes to that ends well, or with an error."""
    with suppress(*[error] if error else []), balancer.chosen(fails) as url:
        if error:
            raise error
    return url.host


def test_the_least_busy_server_is_taken(balancer):
    with balancer.chosen(always) as first, balancer.chosen(always) as second:
        assert (first.host, second.host) == ("a", "b")
        with balancer.chosen(always) as third:
            assert third.host == "a"
    assert use(balancer) == "a"


def test_one_that_fails_is_left_alone_for_a_while(balancer, clock):
    assert use(balancer, ConnectionError) == "a"
    assert balancer.others_left
    with balancer.chosen(always) as busy, balancer.chosen(always) as still:
        assert (busy.host, still.host) == ("b", "b")
    clock.now += 10
    assert use(balancer) == "a"


def test_where_all_have_failed_the_one_that_failed_first_is_tried(balancer, clock):
    use(balancer, ConnectionError)
    clock.now += 1
    use(balancer, ConnectionError)
    assert not balancer.others_left
    assert use(balancer) == "a"
    assert balancer.others_left


def test_a_refusal_of_what_was_asked_is_not_held_against_the_server(balancer):
    use(balancer, ValueError, fails=lambda error: isinstance(error, ConnectionError))
    assert use(balancer) == "a"


@pytest.fixture
def servers() -> Iterator[list[EmbeddingsServer]]:
    started = [EmbeddingsServer().start() for _ in range(2)]
    yield started
    for one in started:
        one.stop()


@pytest.fixture
def client(servers: list[EmbeddingsServer]) -> Iterator[EmbeddingServer]:
    url = " ".join(one.url for one in servers)
    made = EmbeddingServer(url, servers[0].model, pause=30.0, attempts=1)
    yield made
    made.close()


def vector(client: EmbeddingServer, text: str) -> Vectors:
    return client.embed([text], raw=True).vectors[0]


def test_several_requests_at_once_are_shared_out(servers, client):
    together = threading.Barrier(2)

    def wait(vectors):
        together.wait(10)  # each server has one
        return vectors

    for one in servers:
        one.change = wait
    with ThreadPoolExecutor(2) as threads:
        found = list(
            threads.map(lambda text: client.embed([text], raw=True).vectors[0], ["one", "two"])
        )
    np.testing.assert_array_equal(found, [vector_of(ids_of(text)) for text in ["one", "two"]])
    assert [len(one.requests) for one in servers] == [1, 1]


def test_when_a_server_dies_the_other_answers_at_once(servers, client):
    client.embed(["warm"])
    servers[0].stop()
    for text in ("one", "two", "three"):  # the first would wait up to 30 s for the same server
        np.testing.assert_array_equal(
            client.embed([text], raw=True).vectors[0], vector_of(ids_of(text))
        )
    assert len(servers[1].requests) == 3
    assert client.tokenize("one") == ids_of("one")


def test_a_busy_server_is_gone_around(servers, client):
    servers[0].failures = [503]
    client.embed(["one"])
    assert [len(one.requests) for one in servers] == [1, 1]


def test_when_all_are_dead_the_error_names_all(servers, client):
    for one in servers:
        one.stop()
    with pytest.raises(EncoderUnavailableError) as error:
        client.embed(["one"])
    assert all(one.url in str(error.value) for one in servers)
