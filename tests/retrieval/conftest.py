"""Servers for the tests of retrieval.

Scripted ones, one a test; and real vLLM servers of the golden ReasonIR checkpoint, each started
once, when first needed.
"""

import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from llama_index.llms.openai_like import OpenAILike

from retrieval.encoders.registry import row
from retrieval.encoders.remote.serving import serve_command
from tests.openai_server import openai_server
from tests.vllm_server import VllmServer, vllm_server

__all__ = ["openai_server"]


@pytest.fixture
async def model() -> AsyncIterator[Callable[..., OpenAILike]]:
    """Makes clients of a server at an address; their connections are closed after the test."""
    async with httpx.AsyncClient(trust_env=False) as connections:

        def make(address: str, **settings: object) -> OpenAILike:
            arguments = {
                "model": "tiny-model",
                "api_base": address,
                "api_key": "unused",
                "is_chat_model": True,
                "max_retries": 0,
                "async_http_client": connections,
                **settings,
            }
            return OpenAILike(**arguments)

        yield make


@pytest.fixture(scope="session")
def golden_reasonir(shared_data: Path) -> Path:
    """A tiny checkpoint, and what the authors' own code gave for it."""
    return shared_data / "golden_reasonir"


@pytest.fixture(scope="session")
def reasonir_server(
    golden_reasonir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """Served by the printed command, with the plugin."""
    command = serve_command(row("reasonir-8b"), str(golden_reasonir))
    folder = tmp_path_factory.mktemp("vllm")
    with vllm_server(command.argv, folder, plugins=("rag_app",)) as running:
        yield running


@pytest.fixture(scope="session")
def stock_server(
    stock_reasonir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """Served without the plugin: the instruction is in the mean."""
    stock = row("reasonir-8b").model_copy(update={"pool_prefix": True})
    command = serve_command(stock, str(stock_reasonir))
    with vllm_server(command.argv, tmp_path_factory.mktemp("vllm")) as running:
        yield running


@pytest.fixture(scope="session")
def causal_server(
    stock_reasonir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """Served as a Llama is that nobody has told otherwise, except for the mean."""
    causal = row("reasonir-8b").model_copy(update={"pool_prefix": True, "causal": True})
    command = serve_command(causal, str(stock_reasonir))
    with vllm_server(command.argv, tmp_path_factory.mktemp("vllm")) as running:
        yield running


@pytest.fixture(scope="session")
def stock_reasonir(golden_reasonir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint as a Llama that vLLM knows by itself."""
    folder = tmp_path_factory.mktemp("stock") / "reasonir"
    shutil.copytree(golden_reasonir, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["architectures"] = ["LlamaModel"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
