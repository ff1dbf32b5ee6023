"""Servers that grade: scripted ones, one for each test, and a real one, started once."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from llama_index.llms.openai_like import OpenAILike

from tests.openai_server import OpenAIServer
from tests.retrieval.reranking.scripted import RerankServer, client_of
from tests.tiny_models import tiny_chat
from tests.vllm_server import VllmServer, vllm_server


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


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model with random weights."""
    return tiny_chat(tmp_path_factory.mktemp("tiny") / "chat")


@pytest.fixture(scope="session")
def chat_server(chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """The tiny chat model, served by a real vLLM under the name ``tiny-chat``."""
    flags = ["--served-model-name", "tiny-chat", "--max-model-len", "2048"]
    command = ["vllm", "serve", str(chat_model), *flags]
    with vllm_server(command, tmp_path_factory.mktemp("vllm")) as running:
        yield running
