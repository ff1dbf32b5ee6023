"""Training of tiny checkpoints, and of MiniLM for a step."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("peft", reason="optional: needs the extra `train`")

from retrieval.encoders.local.transformer import TransformersEncoder
from retrieval.encoders.minilm import MiniLMEmbedding
from retrieval.encoders.minilm_graph import model_folder
from retrieval.encoders.registry import built_in
from retrieval.training import encoder as training
from retrieval.training.examples import Example, TrainingDataError
from retrieval.training.trainer import HISTORY_FILE, Plan
from tests.tiny_models import tiny_bert

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the libraries that train
SMALL = Plan(epochs=6, batch_size=4, mini_batch_size=4, negatives=1, rate=3e-3, length=32)
WORDS = ["otter", "ferry", "turbine", "lagoon", "harbour", "winter", "lantern", "copper"]
EXAMPLES = [
    Example(
        query=f"where is the {word}",
        pos=[f"the {word} lies in the {word} room"],
        neg=[f"nobody saw it near {WORDS[at - 1]}"],
        reasoning_query=f"the {word} room holds the {word}",
        kind="test",
    )
    for at, word in enumerate(WORDS)
]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("start") / "bert")


def row(name="minilm"):
    return built_in()[name].model_copy(update={"dimension": 64})


def vectors(made, folder):
    used = TransformersEncoder(made, folder, device="cpu")
    return used.encode_queries([one.query for one in EXAMPLES]).vectors


@pytest.mark.parametrize("method", ["infonce", "redapter"])
def test_training_lowers_the_loss_and_writes_a_row_that_can_be_used(start, tmp_path, method):
    plan = replace(SMALL, method=method, start_step=4)
    made = training.train(row(), start, EXAMPLES, plan, tmp_path, "mine")
    history = json.loads((tmp_path / HISTORY_FILE).read_text())
    assert len(history) == 12
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert made.name == "mine"
    assert made.revision.startswith("sha256:")
    assert made.revision != row().revision
    assert "8 test" in (tmp_path / "README.md").read_text()
    assert not (tmp_path / "checkpoints").exists()
    assert not np.allclose(vectors(made, tmp_path), vectors(row(), start), atol=1e-3)


def test_an_interrupted_training_goes_on_to_the_same_weights(start, tmp_path):
    plan = replace(SMALL, epochs=3, save_steps=2)
    whole = training.train(row(), start, EXAMPLES, plan, tmp_path / "whole", "one")
    seen = []

    def stop(step, steps, loss):
        seen.append(step)
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(row(), start, EXAMPLES, plan, tmp_path / "cut", "one", stop)
    seen.clear()
    again = training.train(
        row(), start, EXAMPLES, plan, tmp_path / "cut", "one", lambda step, *_: seen.append(step)
    )
    assert seen == [3, 4, 5, 6]
    np.testing.assert_allclose(
        vectors(again, tmp_path / "cut"), vectors(whole, tmp_path / "whole"), atol=1e-5
    )


def test_a_two_way_llama_with_lora_keeps_its_instruction_out_of_the_pool(tiny_reasonir, tmp_path):
    """What is written would be refused if its vectors in use were not those of training."""
    plan = replace(SMALL, epochs=1, lora=True, rank=4, length=96)
    made = training.train(row("reasonir-8b"), tiny_reasonir, EXAMPLES, plan, tmp_path, "llama")
    assert not made.pool_prefix
    found = vectors(made, tmp_path)
    assert not np.allclose(found, vectors(row("reasonir-8b"), tiny_reasonir), atol=1e-4)


def test_nothing_is_kept_of_the_training_where_its_share_is_none(start, tmp_path):
    plan = replace(SMALL, epochs=1, keep=0.0)
    made = training.train(row(), start, EXAMPLES, plan, tmp_path, "same")
    np.testing.assert_allclose(vectors(made, tmp_path), vectors(row(), start), atol=1e-6)


def test_a_trained_minilm_runs_in_int8_as_the_bundled_one_does(tmp_path):
    plan = replace(SMALL, epochs=0.5, rate=2e-5, length=16)
    made = training.train(
        built_in()["minilm"], model_folder(), EXAMPLES, plan, tmp_path / "mine", "mine"
    )
    texts = [one.query for one in EXAMPLES]
    found = {
        precision: MiniLMEmbedding(
            tmp_path, precision, 1, model_dir=tmp_path / "mine", row=made
        ).encode_passages(texts).vectors
        for precision in ("int8", "fp32")
    }  # fmt: skip
    assert (found["int8"] * found["fp32"]).sum(1).min() > 0.99
    exact = (
        TransformersEncoder(made, tmp_path / "mine", device="cpu").encode_passages(texts).vectors
    )
    np.testing.assert_allclose(found["fp32"], exact, atol=1e-4)
    bundled = MiniLMEmbedding(tmp_path, "fp32", 1)
    trained = MiniLMEmbedding(tmp_path, "fp32", 1, model_dir=tmp_path / "mine", row=made)
    assert trained.fingerprint != bundled.fingerprint


def test_redapter_without_reasoned_queries_is_refused(start, tmp_path):
    plain = [Example(query=one.query, pos=one.pos) for one in EXAMPLES]
    with pytest.raises(TrainingDataError, match="reasoned query"):
        training.train(row(), start, plain, replace(SMALL, method="redapter"), tmp_path, "x")
