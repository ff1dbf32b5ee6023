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
    trained = {json.loads(line)["pos_id"][0] for line in (out / "train.jsonl").open()}
    asked = {one["question"] for one in samples}
    assert trained < set(texts)
    assert asked.isdisjoint(json.loads(line)["query"] for line in (out / "train.jsonl").open())
    assert "nDCG@10" in (out / "report.md").read_text()
    listed = json.loads(rag_app("indexes", "list", "--json", storage=storage).stdout)
    assert {"minilm", "mine"} <= {one["encoder"] for one in listed["indexes"]}
