"""The test at load passes sound models, and refuses each silent fault."""

from pathlib import Path

import pytest
import torch

from retrieval.encoders.errors import ModelMismatchError
from retrieval.encoders.local.checkpoint import load_network
from retrieval.encoders.local.network import Network
from retrieval.encoders.local.self_test import self_test
from retrieval.encoders.local.tokenising import Tokeniser
from retrieval.encoders.registry import EncoderRow, built_in
from tests.tiny_models import tiny_llama

ROW = built_in()["reasonir-8b"].model_copy(update={"dimension": 64})
CAUSAL = EncoderRow(
    name="causal", model_id="tests/causal", dimension=64, pooling="last", causal=True, licence="MIT"
)


def loaded(folder: Path, row: EncoderRow, dtype: str = "float32") -> tuple[Network, Tokeniser]:
    tokeniser = Tokeniser(folder)
    return load_network(folder, row, tokeniser, "cpu", dtype), tokeniser  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_sound_models_pass(
    tiny_reasonir: Path, tiny_causal: Path, tiny_two_way: Path, dtype: str
) -> None:
    self_test(*loaded(tiny_reasonir, ROW, dtype), ROW, "reasonir")
    self_test(*loaded(tiny_causal, CAUSAL, dtype), CAUSAL, "qwen")
    self_test(*loaded(tiny_two_way, ROW, dtype), ROW, "bert")


def test_a_silently_causal_model_is_refused(tiny_reasonir: Path) -> None:
    network, tokeniser = loaded(tiny_reasonir, ROW)
    network.model.config.is_causal = True  # as transformers that knows no such field would run it
    with pytest.raises(ModelMismatchError, match="its attention is causal"):
        self_test(network, tokeniser, ROW, "reasonir")


def test_a_bidirectional_model_of_a_causal_row_is_refused(tiny_causal: Path) -> None:
    network, tokeniser = loaded(tiny_causal, CAUSAL)
    network.model.config.is_causal = False
    with pytest.raises(ModelMismatchError, match="its attention is bidirectional"):
        self_test(network, tokeniser, CAUSAL, "qwen")


def test_a_missing_start_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match="no start token before a text"):
        self_test(*loaded(tiny_llama(tmp_path, bos=False), ROW), ROW, "reasonir")


def test_another_dimension_is_refused(tiny_reasonir: Path) -> None:
    row = built_in()["reasonir-8b"]
    with pytest.raises(ModelMismatchError, match="its states have 64 dimensions"):
        self_test(*loaded(tiny_reasonir, row), row, "reasonir")


def test_states_that_are_not_finite_are_refused(tiny_reasonir: Path) -> None:
    network, tokeniser = loaded(tiny_reasonir, ROW)
    with torch.inference_mode():
        network.model.norm.weight[3] = float("nan")
    with pytest.raises(ModelMismatchError, match="not finite"):
        self_test(network, tokeniser, ROW, "reasonir")


def test_a_batch_that_changes_a_text_is_refused(tiny_two_way: Path) -> None:
    network, tokeniser = loaded(tiny_two_way, ROW)

    def forget_the_mask(_: object, positional: object, named: dict[str, object]) -> object:
        named.pop("attention_mask", None)
        return positional, named

    network.model.register_forward_pre_hook(forget_the_mask, with_kwargs=True)
    with pytest.raises(ModelMismatchError, match="a batch changes the states of a text"):
        self_test(network, tokeniser, ROW, "bert")
