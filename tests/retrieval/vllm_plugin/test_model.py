"""A real server with the plugin, and without it, against the vectors of ReasonIR's authors."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tokenizers import Tokenizer

from retrieval.encoders.registry import row
from retrieval.encoders.remote.serving import serve_command
from tests.llama_reference import LlamaReference
from tests.vllm_server import VllmServer, vllm_server

KINDS = ("query_bright", "query_math", "document", "none")
QUERY_LIKE = 9
"""The text that begins as a query does: without an instruction, the server takes it for one."""


class Golden:
    """The checkpoint, and what the authors' own code gave for texts and instructions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        told = json.loads((folder / "texts.json").read_text("utf-8"))
        self.texts: list[str] = told["texts"]
        self.instructions: dict[str, str] = told["instructions"]
        with np.load(folder / "vectors.npz") as arrays:
            self.vectors = {name: arrays[name].astype(np.float64) for name in arrays.files}

    def prompts(self, kind: str) -> list[str]:
        return [self.instructions[kind] + text for text in self.texts]

    def cosines(self, server: VllmServer, kind: str, limit: int = 8192) -> Any:
        """Of each text's vectors in one request, and in requests of their own: [2, texts]."""
        prompts = self.prompts(kind)
        together = embed(server, prompts, limit)
        alone = np.concatenate([embed(server, [prompt], limit) for prompt in prompts])
        expected = self.vectors[f"{kind}|{limit}|single"]
        return np.stack([np.sum(vectors * expected, axis=1) for vectors in (together, alone)])


def embed(server: VllmServer, prompts: list[str], limit: int) -> Any:
    model = row("reasonir-8b").model_id
    body = {"model": model, "input": prompts, "truncate_prompt_tokens": limit}
    data = server.post("/v1/embeddings", body)["data"]
    vectors = np.array([one["embedding"] for one in data])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    return vectors


@pytest.fixture(scope="module")
def golden(golden_reasonir: Path) -> Golden:
    return Golden(golden_reasonir)


@pytest.fixture
def server(reasonir_server: VllmServer) -> VllmServer:
    return reasonir_server


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "limit"),
    [("query_bright", 8192), ("query_math", 512), ("document", 512), ("none", 512)],
)
def test_the_vectors_are_those_of_the_authors(
    server: VllmServer, golden: Golden, kind: str, limit: int
) -> None:
    cosines = golden.cosines(server, kind, limit)
    if kind == "none":
        cosines = np.delete(cosines, QUERY_LIKE, axis=1)
    assert cosines.min() >= 0.99999


@pytest.mark.slow
@pytest.mark.parametrize(
    "prefix", [row("reasonir-8b").query_prefix(), row("reasonir-8b").passage_prefix(), ""]
)
def test_the_vectors_are_those_of_the_formulas(
    server: VllmServer, golden: Golden, prefix: str
) -> None:
    tokenizer = Tokenizer.from_file(str(golden.folder / "tokenizer.json"))
    reference = LlamaReference(golden.folder)
    texts = ["a", "\n\nA heading", " \tblank", "<|embed|>\n", "one <|embed|>\ntwo", "words " * 99]
    prompts = [prefix + text for text in (texts if prefix else texts[4:])]
    start = len(tokenizer.encode(prefix).ids) if prefix else 0
    expected = [reference.vector(tokenizer.encode(prompt).ids, start) for prompt in prompts]
    cosines = np.sum(embed(server, prompts, 2048) * expected, axis=1)
    assert cosines.min() >= 0.99999


@pytest.mark.slow
def test_a_text_that_begins_as_a_query_is_taken_for_one(server: VllmServer, golden: Golden) -> None:
    assert golden.cosines(server, "none", 512)[:, QUERY_LIKE].max() < 0.9


@pytest.mark.slow
def test_a_prompt_without_text_is_refused(server: VllmServer) -> None:
    body = {"model": row("reasonir-8b").model_id, "input": ["a text", "<|embed|>\n"]}
    assert httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=60).status_code == 400
    assert embed(server, ["the server lives on"], 512).shape == (1, 128)


@pytest.mark.slow
def test_without_the_plugin_instructions_spoil_the_mean(
    golden: Golden, stock_server: VllmServer
) -> None:
    assert golden.cosines(stock_server, "none", 512).min() >= 0.99999
    for kind in ("query_bright", "query_math", "document"):
        assert golden.cosines(stock_server, kind, 512).min() < 0.99


@pytest.mark.slow
def test_causal_attention_gives_other_vectors(golden: Golden, causal_server: VllmServer) -> None:
    for kind in KINDS:
        assert golden.cosines(causal_server, kind, 512).max() < 0.99


@pytest.mark.slow
def test_prompts_in_pieces_are_refused(golden: Golden, tmp_path: Path) -> None:
    command = serve_command(row("reasonir-8b"), str(golden.folder))
    argv = [*command.argv, "--enable-chunked-prefill"]
    with pytest.raises(AssertionError, match="no --enable-chunked-prefill"):
        with vllm_server(argv, tmp_path, plugins=("rag_app",)):
            pass
