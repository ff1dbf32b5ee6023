"""One batch through a model."""

from pathlib import Path

import pytest
import torch

from retrieval.encoders.local.checkpoint import load_network
from retrieval.encoders.local.network import Network, free_cached, out_of_memory
from retrieval.encoders.local.tokenising import Tokeniser, Tokens
from retrieval.encoders.registry import built_in


@pytest.fixture
def network(tiny_reasonir: Path) -> Network:
    row = built_in()["reasonir-8b"].model_copy(update={"dimension": 64})
    return load_network(tiny_reasonir, row, Tokeniser(tiny_reasonir), "cpu", "auto")


def test_a_batch_gives_a_unit_vector_for_each_text(network: Network) -> None:
    vectors = network.start([Tokens([0, 5, 6], 1, False), Tokens([0, 7], 0, False)])()
    assert vectors.shape == (2, 64)
    assert vectors.dtype.name == "float32"
    assert ((vectors**2).sum(axis=1) - 1 < 1e-6).all()


def test_tokens_before_the_start_are_not_pooled(network: Network) -> None:
    states = network.states([[0, 5, 6]])[0]
    vector = network.start([Tokens([0, 5, 6], 2, False)])()[0]
    assert torch.allclose(torch.from_numpy(vector), states[2] / states[2].norm(), atol=1e-6)


def test_the_memory_errors_of_torch_are_told_from_others() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50, dtype=torch.uint8)
    assert out_of_memory(raised.value)
    assert out_of_memory(torch.OutOfMemoryError("of a GPU"))
    with pytest.raises(RuntimeError) as raised:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert not out_of_memory(raised.value)


def test_a_processor_has_no_cache_to_free() -> None:
    free_cached("cpu")
