import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.cost.shapes import SHAPES, Shape, flops, shape_of
from retrieval.encoders.registry import built_in

PUBLISHED = {
    "llama-3.1-8b": 8_030_261_248,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-72b": 72_706_203_648,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
}
"""Weights in the published files, as the hub counts them."""
TINY = {
    "Llama": Shape(2, 64, 4, 2, 160, 300, head_width=16),
    "Qwen2": Shape(3, 64, 4, 2, 160, 300, head_width=16, qkv_bias=True),
    "Qwen3": Shape(2, 64, 4, 1, 160, 300, head_width=32, qk_norm=True, tied=True),
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_shapes_have_the_published_number_of_weights(name):
    assert SHAPES[name].total == PUBLISHED[name]


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_no_shape_is_without_a_published_number(name):
    assert SHAPES[name].total in PUBLISHED.values()


@pytest.mark.parametrize(
    ("encoder", "model"),
    [("reasonir-8b", "llama-3.1-8b"), ("reason-embed-qwen3-8b", "qwen3-8b"),
     ("reason-embed-qwen3-4b", "qwen3-4b"), ("gte-qwen2-7b", "qwen2.5-7b")],
)  # fmt: skip
def test_encoders_are_counted_as_the_models_they_are_made_from(encoder, model):
    assert built_in()[encoder].parameters == SHAPES[model].parameters


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Qwen/Qwen2.5-32B-Instruct", "qwen2.5-32b"),
        ("Qwen2.5-32B", "qwen2.5-32b"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b"),
        ("qwen2.5:72b", "qwen2.5-72b"),
        ("qwen3:8b-q4_K_M", "qwen3-8b"),
        ("Qwen/Qwen3-4B-Instruct-2507", "qwen3-4b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b"),
        ("llama3.1:8b", "llama-3.1-8b"),
        ("jhu-clsp/rank1-32b-awq", "qwen2.5-32b"),
    ],
)
def test_a_model_is_known_by_its_names(name, shape):
    assert shape_of(name) == SHAPES[shape]


@pytest.mark.parametrize(
    "name", ["gpt-4o", "", "tiny-model", "Qwen/Qwen2.5-VL-7B", "qwen3-80b", "qwen3-8bx", "32e9"]
)
def test_an_unknown_model_has_no_shape(name):
    assert shape_of(name) is None


def tiny(kind: str, shape: Shape):
    """The model that transformers makes of a shape."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        num_hidden_layers=shape.layers, hidden_size=shape.hidden,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_width, intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary, tie_word_embeddings=shape.tied,
        attn_implementation="eager",
    )  # fmt: skip
    return getattr(transformers, f"{kind}ForCausalLM")(config).eval()


@pytest.mark.parametrize("kind", sorted(TINY))
def test_weights_are_those_of_the_real_architecture(kind):
    shape = TINY[kind]
    model = tiny(kind, shape)
    assert shape.total == model.num_parameters()
    embeddings = model.get_input_embeddings().weight.numel()
    assert shape.parameters == model.model.num_parameters() - embeddings


@pytest.mark.parametrize("kind", sorted(TINY))
@pytest.mark.parametrize(("prompt", "written"), [(9, 0), (9, 1), (5, 8)])
def test_operations_are_those_that_torch_counts(kind, prompt, written):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    shape = TINY[kind]
    model, past = tiny(kind, shape), None
    passed = prompt + max(written - 1, 0)
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        for position in range(passed):  # one at a time, or products that are masked would count
            forward = model if written and position >= prompt - 1 else model.model
            token = torch.tensor([[position]])
            past = forward(token, past_key_values=past, use_cache=True).past_key_values
    vectors = sum(p.numel() for p in model.model.parameters() if p.dim() == 1)
    products = flops(shape, prompt, written) - 2 * vectors * passed  # torch counts no additions
    assert counted.get_total_flops() == products


TOKENS = st.integers(1, 5000)


@given(TOKENS, TOKENS)
def test_writing_goes_on_where_reading_ended(prompt, written):
    shape = SHAPES["qwen2.5-7b"]
    read_all = flops(shape, prompt + written - 1, 0)
    assert flops(shape, prompt, written) == read_all + 2 * shape.head * written


@given(TOKENS, TOKENS)
def test_reading_in_two_parts_costs_more_by_the_pairs_between_them(first, second):
    shape = SHAPES["llama-3.1-8b"]
    apart = flops(shape, first, 0) + flops(shape, second, 0)
    between = 4 * shape.layers * shape.attention_width * first * second
    assert flops(shape, first + second, 0) == pytest.approx(apart + between, rel=1e-12)


def test_attention_is_what_grows_faster_than_the_tokens():
    flat = dataclasses.replace(SHAPES["llama-3.1-8b"], heads=0, kv_heads=0)
    assert flops(flat, 2000, 0) == 2 * flops(flat, 1000, 0)
    assert flops(SHAPES["llama-3.1-8b"], 2000, 0) > 2 * flops(SHAPES["llama-3.1-8b"], 1000, 0)


@pytest.mark.parametrize(("prompt", "written"), [(-1, 0), (3, -1), (0, 1)])
def test_impossible_calls_are_refused(prompt, written):
    with pytest.raises(ValueError, match="no call has"):
        flops(SHAPES["qwen3-8b"], prompt, written)


def test_nothing_costs_nothing():
    assert flops(SHAPES["qwen3-8b"], 0, 0) == 0
