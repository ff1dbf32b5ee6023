"""Scripted servers that grade, one for each test, and clients of them."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import httpx
import pytest
from llama_index.llms.openai_like import OpenAILike

from tests.openai_server import OpenAIServer
from tests.retrieval.reranking.scripted import RerankServer, client_of


@pytest.fixture
async def connections() -> AsyncIterator[httpx.AsyncClient]:
    """A pool of connections, closed after the test."""
    async with httpx.AsyncClient(trust_env=False) as pool:
        yield pool


@pytest.fixture
def client(connections: httpx.AsyncClient) -> Callable[..., OpenAILike]:
    """Makes clients of an address."""
    return partial(client_of, connections)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Grades as scripted."""
    running = OpenAIServer().start()
    yield running
    running.close()


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    """Scores as scripted."""
    running = RerankServer()
    running.start()
    yield running
    running.close()
