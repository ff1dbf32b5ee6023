"""Real vLLM servers of the golden ReasonIR checkpoint; each is started once, when first needed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.encoders.registry import row
from retrieval.encoders.remote.serving import serve_command
from tests.vllm_server import VllmServer, vllm_server


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
