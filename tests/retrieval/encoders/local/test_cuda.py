"""What the encoder does on a GPU alone: pinned copies, batches in flight, too little memory."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from retrieval.encoders.local.tokenising import Tokeniser
from retrieval.encoders.local.transformer import TransformersEncoder
from retrieval.encoders.registry import row
from tests.llama_reference import LlamaReference
from tests.tiny_models import tiny_llama

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="optional: there is no GPU")

TEXTS = [" ".join(f"word{(7 * at) % 31}" for at in range(n % 97 + 1)) for n in range(1, 600, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("cuda"))


@pytest.fixture(scope="module")
def expected(folder: Path) -> "np.ndarray[Any, Any]":
    """The vectors by the formula, in float64."""
    model = LlamaReference(folder)
    tokens = Tokeniser(folder, pool_prefix=False).tokenise(TEXTS, "", 2048)
    return np.array([model.vector(one.ids, one.start) for one in tokens])


def encoder(folder: Path, **given: Any) -> TransformersEncoder:
    return TransformersEncoder(row("reasonir-8b"), folder, device="cuda", instruction="", **given)


@pytest.mark.parametrize("batch_tokens", [64, 512, 16_384])
def test_float32_is_exact_in_order_whatever_is_in_flight(
    folder: Path, expected: "np.ndarray[Any, Any]", batch_tokens: int
) -> None:
    model = encoder(folder, dtype="float32", batch_tokens=batch_tokens)
    vectors = model.encode_passages(TEXTS).vectors
    assert float(np.abs(vectors - expected).max()) < 1e-5


def test_bfloat16_is_what_auto_takes_and_points_the_same_way(
    folder: Path, expected: "np.ndarray[Any, Any]"
) -> None:
    model = encoder(folder)
    vectors = model.encode_passages(TEXTS).vectors
    assert model._open()[0].dtype == torch.bfloat16
    assert float((vectors * expected).sum(1).min()) > 0.98


def test_a_batch_beyond_the_memory_is_halved_until_it_fits(
    folder: Path, expected: "np.ndarray[Any, Any]", caplog: pytest.LogCaptureFixture
) -> None:
    model = encoder(folder, dtype="float32", batch_tokens=4_000_000)
    model.encode_passages(TEXTS[:2])
    many = [*TEXTS, *(" ".join(["word3"] * 1500) for _ in range(1000))]
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**29) / total)
    try:
        with caplog.at_level(logging.WARNING):
            vectors = model.encode_passages(many).vectors
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "did not fit into memory and is halved" in caplog.text
    assert float(np.abs(vectors[: len(TEXTS)] - expected).max()) < 1e-5
