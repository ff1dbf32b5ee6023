"""A collection is adapted to, from its documents alone, in one command."""

import json

import pytest

from tests.rag_app.command import rag_app
from tests.rag_app.support import prose, write

pytest.importorskip("peft", reason="optional: needs the extra `train`")


def test_a_collection_is_trained_on_measured_and_reported(tmp_path):
    storage, out = tmp_path / "storage", tmp_path / "out"
    texts = {f"{name}.md": f"# The {name} handbook\n\n{prose(name, 40)}" for name in "abcdefgh"}
    rag_app("ingest", write(tmp_path / "in", texts), storage=storage)
    done = rag_app(
        *("adapt", "--name", "mine", "--out", out, "--limit", "24", "--epochs", "1"),
        *("--batch-size", "8", "--switch", "--json"),
        storage=storage,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["test"] > 0
    low, high = found["delta"]["ci95"]
    assert low <= found["delta"]["points"] <= high
    gain = found["after"]["ndcg@10"] - found["before"]["ndcg@10"]
    assert found["delta"]["points"] == pytest.approx(100 * gain)
    assert found["switched"] == (found["delta"]["points"] > 0 and found["delta"]["p"] < 0.05)
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == found["test"]
    examples = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    trained = {one["pos_id"][0] for one in examples}
    asked = {one["question"] for one in samples}
    tested = {name for name, text in texts.items() if any(one in text for one in asked)}
    assert trained < set(texts)
    assert tested
    assert trained.isdisjoint(tested)
    assert asked.isdisjoint(one["query"] for one in examples)
    negatives = {name for one in examples for name in one["neg_id"]}
    assert negatives
    assert negatives.isdisjoint(tested), "what is tested was trained on as a negative"
    assert all(set(one["neg_id"]).isdisjoint(one["pos_id"]) for one in examples)
    assert "nDCG@10" in (out / "report.md").read_text()
    listed = json.loads(rag_app("indexes", "list", "--json", storage=storage).stdout)
    assert {"minilm", "mine"} <= {one["encoder"] for one in listed["indexes"]}
