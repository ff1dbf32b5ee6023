"""A text's states are those of the text alone, packed or padded on either side."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from retrieval.encoders.local.forward import (
    PACKED,
    packable,
    packed_states,
    padded_states,
    register_packed,
)
from tests.llama_reference import LlamaReference

CPU = torch.device("cpu")
LENGTHS = (1, 2, 8, 8, 8, 9, 31, 31, 64, 150)
BATCH = [[(7 * n + 13 * at) % 900 + 3 for at in range(n)] for n in LENGTHS]


def model(folder: Path, attention: str, *, causal: bool) -> Any:
    register_packed()
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if not causal:
        config.is_causal = False
    return AutoModel.from_pretrained(folder, config=config, attn_implementation=attention).eval()


def furthest(states: tuple[torch.Tensor, ...], folder: Path, *, causal: bool) -> float:
    reference = LlamaReference(folder)
    pairs = zip(states, BATCH, strict=True)
    return max(
        float(np.abs(one.numpy() - reference.states(ids, causal=causal)).max())
        for one, ids in pairs
    )


@pytest.mark.parametrize("causal", [False, True])
@torch.inference_mode()
def test_packed_texts_have_the_reference_states(tiny_reasonir: Path, causal: bool) -> None:
    states = packed_states(model(tiny_reasonir, PACKED, causal=causal), BATCH, CPU)
    assert furthest(states, tiny_reasonir, causal=causal) <= 1e-4
    assert furthest(states, tiny_reasonir, causal=not causal) > 0.1


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@torch.inference_mode()
def test_padded_texts_have_the_reference_states(
    tiny_reasonir: Path, causal: bool, left: bool
) -> None:
    states = padded_states(
        model(tiny_reasonir, "sdpa", causal=causal), BATCH, CPU, pad_id=2, left=left
    )
    assert furthest(states, tiny_reasonir, causal=causal) <= 1e-4
    assert furthest(states, tiny_reasonir, causal=not causal) > 0.1


@torch.inference_mode()
def test_texts_of_equal_length_get_no_mask(tiny_two_way: Path) -> None:
    bert = model(tiny_two_way, "sdpa", causal=True)
    seen: list[dict[str, Any]] = []
    bert.register_forward_pre_hook(
        lambda _module, _positional, named: seen.append(named), with_kwargs=True
    )
    padded_states(bert, [[3, 4, 5], [5, 6, 7]], CPU)
    padded_states(bert, [[3, 4, 5], [5, 6]], CPU)
    assert "attention_mask" not in seen[0]
    assert seen[0]["input_ids"].shape == (2, 3)
    assert seen[1]["attention_mask"].tolist() == [
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
    ]


def test_models_whose_attention_is_more_than_causal_or_full_are_padded(
    tiny_reasonir: Path, tiny_causal: Path, tiny_two_way: Path
) -> None:
    llama, qwen, bert = (
        AutoConfig.from_pretrained(folder, local_files_only=True)
        for folder in (tiny_reasonir, tiny_causal, tiny_two_way)
    )
    assert packable(llama)
    assert packable(qwen)
    assert not packable(bert)
    llama.sliding_window = 128
    assert not packable(llama)
    qwen.layer_types = ["full_attention", "sliding_attention"]
    assert not packable(qwen)
