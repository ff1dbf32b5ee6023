"""`rag-app eval retrieval` and `rag-app eval score`, as processes of their own."""

import json

import pytest

from tests.eval.retrieval.support import beir
from tests.rag_app.command import rag_app
from tests.rag_app.support import prose, write


@pytest.fixture
def dataset(tmp_path) -> str:
    return f"beir:{beir(tmp_path / 'small')}"


def test_systems_are_compared_scored_again_and_gone_on_with(tmp_path, dataset) -> None:
    storage, out = tmp_path / "storage", tmp_path / "run"
    names = ["--retrievers", "bm25,dense", "--systems", "hybrid@minilm"]
    done = rag_app("eval", "retrieval", dataset, *names, "--out", out, "--json", storage=storage)
    assert done.returncode == 0
    printed = json.loads(done.stdout)
    assert printed["directory"] == str(out)
    assert printed["metrics"] == json.loads((out / "metrics.json").read_text())
    assert [*printed["metrics"]["systems"]] == ["bm25", "dense", "hybrid@minilm"]
    assert (out / "report.html").is_file()

    again = rag_app("eval", "resume", out, "--json", storage=storage)
    assert json.loads(again.stdout) == printed

    run = out / "run.hybrid@minilm.trec"
    scored = rag_app("eval", "score", run, "--dataset", dataset, storage=storage)
    assert scored.returncode == 0
    quality = printed["metrics"]["systems"]["hybrid@minilm"]["ndcg@10"]
    assert scored.stdout.startswith(f"hybrid@minilm: ndcg@10 {quality:.4f}, recall@100 1.0000")
    assert list((storage / "evaluations").glob("score-beir-*"))


def test_own_documents_are_asked_about(tmp_path) -> None:
    storage = tmp_path / "storage"
    folder = write(tmp_path / "in", {"notes.txt": prose("notes", 120)})
    rag_app("ingest", folder, "--collection", "mine", storage=storage)
    done = rag_app(
        "eval", "retrieval", "own", "--collection", "mine", "--retrievers", "bm25,dense",
        "--questions", "3", storage=storage,
    )  # fmt: skip
    assert done.returncode == 0
    assert "bm25: ndcg@10" in done.stdout
    assert "favour retrieval by words" in done.stdout
    kept = storage / "evaluations" / "questions" / "mine.jsonl"
    assert len(kept.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("flags", "status", "told"),
    [
        (["--retrievers", "bm26"], 2, "retriever 'bm26' is unknown"),
        (["--systems", "bm25", "--lengths", "64,x"], 2, "--lengths '64,x' is not valid"),
        (["--systems", "dense@nothing"], 2, "'nothing'"),
        (["--systems", "dense@reasonir-8b"], 2, "--accept-license"),
        (["--systems", "bm25", "--queries", "gpt4_reason"], 1, "Only BRIGHT has rewritten ones"),
    ],
)
def test_wrong_usage_says_what_is_right(tmp_path, dataset, flags, status, told) -> None:
    done = rag_app("eval", "retrieval", dataset, *flags, storage=tmp_path / "storage")
    assert done.returncode == status
    assert told in done.stderr


def test_a_data_set_that_is_not_there_is_told(tmp_path) -> None:
    done = rag_app("eval", "retrieval", "beir:nowhere", storage=tmp_path / "storage")
    assert done.returncode == 1
    assert "beir:nowhere is neither a folder nor a data set of the hub" in done.stderr
