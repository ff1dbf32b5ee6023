import pytest

from rag_app.cost.flops import (
    Workload,
    compared,
    configurations,
    cost_of,
    model_named,
    operations,
)
from rag_app.cost.metering import Call, Meter
from rag_app.cost.shapes import SHAPES, flops
from rag_app.errors import SettingsError
from retrieval.encoders.registry import built_in

QWEN, LLAMA = SHAPES["qwen2.5-32b"], SHAPES["llama-3.1-8b"]


def call(stage: str, model: str, prompt: int | None, written: int | None) -> Call:
    return Call(stage, model, prompt, written, 1.0)


def test_every_call_counts_with_its_own_context():
    meter = Meter([call("rerank", "Qwen/Qwen2.5-32B-Instruct", 500, 1)] * 3)
    meter.calls.append(call("read", "Llama-3.1-8B", 2000, 100))
    cost = cost_of(meter)
    assert cost == {"rerank": 3 * flops(QWEN, 500, 1), "read": flops(LLAMA, 2000, 100)}
    assert cost["rerank"] < flops(QWEN, 1500, 3)


def test_what_is_not_known_counts_nothing():
    calls = [call("read", "gpt-4o", 10, 5), call("read", "gpt-4o", 10, 5),
             call("read", "qwen3-8b", None, None)]  # fmt: skip
    assert cost_of(Meter(calls)) == {}


def test_a_number_of_parameters_stands_in_for_an_unknown_shape():
    cost = cost_of(Meter([call("read", "mine", 10, 5)]), {"mine": 7.6e9})
    assert cost == {"read": 2 * 7.6e9 * 14}


def test_a_known_shape_wins_over_a_number():
    meter = Meter([call("read", "qwen3-8b", 10, 5)])
    assert cost_of(meter, {"qwen3-8b": 1.0}) == cost_of(meter)


def test_a_number_is_close_to_the_shape_it_stands_for():
    shape = SHAPES["qwen2.5-7b"]
    assert operations(shape.total, 500, 20) == pytest.approx(operations(shape, 500, 20), rel=0.2)


@pytest.mark.parametrize("text", ["gpt-4o", "", "-3", "0", "nan", "inf"])
def test_a_model_that_is_neither_known_nor_a_number_is_refused(text):
    with pytest.raises(SettingsError, match=r"is not known.*qwen2\.5-32b.*32e9"):
        model_named(text)


def test_a_model_may_be_a_name_or_a_number():
    assert model_named("Qwen/Qwen2.5-32B-Instruct") == QWEN
    assert model_named("32e9") == 32e9


def found(work: Workload) -> dict[str, float]:
    made = configurations(work, built_in()["reasonir-8b"], LLAMA, QWEN, QWEN, 3.9e6)
    return {one.name.removeprefix("reasonir-8b").lstrip(" +"): one.total for one in made}


def test_rewriting_is_paid_by_whoever_uses_it():
    usual, longer = found(Workload()), found(Workload(rewrite=2048))
    unchanged = {name for name in usual if usual[name] == longer[name]}
    assert unchanged == {"", "QwenRerank", "BM25 + Rank1", "cross-encoder"}


def test_reranking_grows_with_the_candidates():
    usual, twice = found(Workload()), found(Workload(candidates=200))
    assert twice["BM25 + Rank1"] == 2 * usual["BM25 + Rank1"]
    assert twice[""] == usual[""]


def test_ratios_are_to_the_first_two():
    made = configurations(Workload(), built_in()["reasonir-8b"], LLAMA, QWEN, QWEN, 3.9e6)
    lines = compared(made)
    assert lines[0]["times_retriever"] == lines[1]["times_rewriting"] == 1
    assert lines[4]["times_rewriting"] == made[4].total / made[1].total


def test_an_encoder_of_unpublished_size_is_refused():
    with pytest.raises(SettingsError, match="how many parameters"):
        configurations(Workload(), built_in()["openai-3-large"], LLAMA, QWEN, QWEN, 3.9e6)
