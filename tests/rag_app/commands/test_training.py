"""From documents to an encoder of one's own, by the commands."""

import json

import pytest
from typer.testing import CliRunner

from rag_app.commands.program import app
from rag_app.errors import SettingsError
from retrieval.training import examples
from tests.rag_app.command import rag_app
from tests.rag_app.support import prose, write

pytest.importorskip("peft", reason="optional: needs the extra `train`")


def document(*arguments, storage):
    done = rag_app(*arguments, "--json", storage=storage, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_documents_become_pairs_and_pairs_an_encoder(tmp_path):
    storage, data = tmp_path / "storage", tmp_path / "data"
    texts = {f"{name}.md": f"# The {name} handbook\n\n{prose(name, 40)}" for name in "abcdef"}
    rag_app("ingest", write(tmp_path / "in", texts), storage=storage)
    report = document(
        "synthesize", "pairs", "--out", data, "--limit", "24", "--negatives", "2", storage=storage
    )
    made = examples.read(data)
    assert report["examples"] == len(made) == 24
    assert report["negatives"] == sum(len(one.neg) for one in made)
    assert all(set(one.neg_id).isdisjoint(one.pos_id) for one in made)
    assert set(report["error_rate"]) == {"bm25", "dense"}
    options = ("--epochs", "1", "--batch-size", "8", "--negatives", "1", "--length", "32")
    trained = document("train", data, "--name", "mine", *options, storage=storage)
    assert trained["trained_from"] == "minilm"
    encoded = document("encode", "tides", "--encoder", "mine", storage=storage)
    assert encoded["encoder"] == "mine"
    start = document("encode", "tides", storage=storage)
    assert encoded["fingerprint"] != start["fingerprint"]
    assert encoded["vectors"] != start["vectors"]
    reranker = document(
        "train", data, "--name", "mine", "--kind", "reranker", *options, storage=storage
    )
    assert reranker["folder"] == str(storage / "rerankers" / "mine")
    used = {"RAG_APP_RERANK__KIND": "cross-encoder", "RAG_APP_RERANK__MODEL": reranker["folder"]}
    found = rag_app("search", "tides", "--json", storage=storage, **used)
    assert found.returncode == 0, found.stderr
    assert all(0 < hit["grade"] < 1 for hit in json.loads(found.stdout)["hits"])
    again = rag_app("train", data, "--name", "mine", storage=storage)
    assert again.returncode == 2
    assert "there is an encoder mine already" in again.stderr
    bad = rag_app("train", data, "--name", "../mine", storage=storage)
    assert bad.returncode == 2


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("reranker", ["--lora"]),
        ("reranker", ["--preset", "reasonir"]),
        ("encoder", ["--from", "folder"]),
    ],
)
def test_flags_of_the_other_kind_are_refused(tmp_path, kind, flags):
    command = ["train", str(tmp_path), "--name", "mine", "--kind", kind, *flags]
    refused = CliRunner().invoke(app, command).exception
    assert isinstance(refused, SettingsError)
    assert f"{flags[0]} is not for a" in str(refused)
