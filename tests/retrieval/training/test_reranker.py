"""Training of tiny cross-encoders, and what the files give in use."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("datasets", reason="optional: needs the extra `train`")

from retrieval.reranking import local_cross_encoder
from retrieval.reranking.local_cross_encoder import LocalCrossEncoder, load_scorer
from retrieval.training import reranker as training
from retrieval.training.batches import Row
from retrieval.training.examples import Example
from retrieval.training.trainer import HISTORY_FILE, Plan, TrainingError
from tests.retrieval.reranking.scripted import ids, passages
from tests.tiny_models import tiny_bert

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the libraries that train
WORDS = ["otter", "ferry", "turbine", "lagoon", "harbour", "winter", "lantern", "copper"]
EXAMPLES = [
    Example(
        query=f"where is the {word}",
        pos=[f"the {word} lies in the {word} room"],
        neg=[f"nobody saw it near {WORDS[at - 1]}", f"{WORDS[at - 2]} is a word"],
        kind="test",
    )
    for at, word in enumerate(WORDS)
]
SMALL = Plan(epochs=12, batch_size=8, negatives=2, rate=3e-3, length=48)


async def in_order(folder):
    """How many examples have their positive in front of their negatives."""
    reranker = LocalCrossEncoder(str(folder))
    found = [await reranker.rerank(one.query, passages([*one.neg, one.pos[0]])) for one in EXAMPLES]
    return sum(ids(reranked.nodes)[0] == "p2" for reranked in found)


async def test_training_lowers_the_loss_and_mends_the_order(tmp_path):
    start = tiny_bert(tmp_path / "start", pairs=True)
    digest = training.train(start, EXAMPLES, SMALL, tmp_path / "out", "mine")
    history = json.loads((tmp_path / "out" / HISTORY_FILE).read_text())
    assert len(history) == 12
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert await in_order(start) < 6
    assert await in_order(tmp_path / "out") == len(EXAMPLES)
    assert load_scorer(str(tmp_path / "out")).longest == SMALL.length
    card = (tmp_path / "out" / "README.md").read_text()
    assert digest in card
    assert "8 test" in card
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_an_interrupted_training_goes_on_where_it_was(tmp_path):
    """From an encoder, which gets a head of its own."""
    start, seen = tiny_bert(tmp_path / "start"), []
    plan = replace(SMALL, epochs=4, save_steps=1)

    def stop(step, _steps, _loss):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(start, EXAMPLES, plan, tmp_path / "out", "one", stop)
    for data, other in ((EXAMPLES[::-1], plan), (EXAMPLES, replace(plan, rate=1e-4))):
        with pytest.raises(TrainingError, match="other data or settings"):
            training.train(start, data, other, tmp_path / "out", "one")
    training.train(
        start, EXAMPLES, plan, tmp_path / "out", "one", lambda step, *_: seen.append(step)
    )
    assert seen == [3, 4]


def test_a_training_is_kept_where_it_will_be_used_in_half_precision(tmp_path, monkeypatch):
    """As on a GPU: bfloat16 has three digits, which says nothing about the files."""
    monkeypatch.setattr(
        local_cross_encoder,
        "pick_dtype",
        lambda dtype, _: "bfloat16" if dtype == "auto" else dtype,
    )
    start = tiny_bert(tmp_path / "start", pairs=True)
    training.train(start, EXAMPLES, replace(SMALL, epochs=6), tmp_path / "out", "mine")
    assert (tmp_path / "out" / "README.md").is_file()


def test_passages_of_the_positives_document_are_no_negatives():
    table = training.pairs([Row("q", ("yes", "also", "no"), (1, 1, 2), "")])
    assert table == {"query": ["q", "q"], "passage": ["yes", "no"], "label": [1.0, 0.0]}


def test_what_gives_two_scores_is_refused_with_its_reason(tmp_path):
    two = tiny_bert(tmp_path / "two", pairs=True, labels=2)
    with pytest.raises(TrainingError, match="no reranker can be trained"):
        training.train(two, EXAMPLES, SMALL, tmp_path / "out", "mine")
    assert not (tmp_path / "out").exists()
