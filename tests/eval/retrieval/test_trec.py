"""Runs and judgements survive the way out and in, in an order that no program can change."""

import gzip
import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.retrieval import trec
from eval.retrieval.metrics import mean, ndcg

SCORES = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 0.5, 1 / 3]), max_size=12)


@pytest.fixture
def written(tmp_path):
    def write(run, name="run.trec"):
        trec.write(tmp_path / name, run, "ours")
        return tmp_path / name

    return write


def test_a_run_has_six_fields_a_line(written):
    path = written({"q1": [("a", 2.5), ("b", 1.25)], "q2": [("a", -1.0)]})
    assert path.read_text().splitlines() == [
        "q1 Q0 a 1 2.5 ours",
        "q1 Q0 b 2 1.25 ours",
        "q2 Q0 a 1 -1 ours",
    ]


def test_ties_and_rising_scores_are_parted_by_the_smallest_step(written):
    run = trec.read(written({"q": [("a", 1.0), ("b", 1.0), ("c", 7.0), ("d", 0.5)]}))["q"]
    assert run["a"] == 1.0
    assert run["d"] == 0.5
    assert 1 - 3e-7 < run["c"] < run["b"] < 1


@given(SCORES)
def test_the_order_given_is_the_order_that_trec_eval_sees(tmp_path_factory, scores):
    documents = [f"d{at}" for at in range(len(scores))]
    path = tmp_path_factory.mktemp("run") / "run.trec"
    trec.write(path, {"q": [("first", 2e6), *zip(documents, scores, strict=True)]}, "ours")
    read = trec.read(path)["q"]
    assert list(read) == ["first", *documents]
    singles = [np.float32(value) for value in read.values()]
    assert all(after < before for before, after in pairwise(singles))


@given(st.lists(st.floats(-1e6, 1e6, width=32), unique=True, max_size=12))
def test_scores_that_fall_already_stay_what_they_are(tmp_path_factory, scores):
    hits = [(f"d{at}", value) for at, value in enumerate(sorted(scores, reverse=True))]
    path = tmp_path_factory.mktemp("run") / "run.trec"
    trec.write(path, {"q": hits, "other": [("d", 1.0)]}, "ours")
    read = trec.read(path).get("q", {})
    assert {document: np.float32(value) for document, value in read.items()} == dict(hits)


def test_names_that_end_in_gz_are_compressed_and_read_whatever_their_name(written, tmp_path):
    run = {"q": [("ä", 1.0)]}
    packed = written(run, "run.trec.gz")
    assert packed.read_bytes().startswith(b"\x1f\x8b")
    assert trec.read(packed.rename(tmp_path / "renamed")) == {"q": {"ä": 1.0}}


@pytest.mark.parametrize("odd", ["a b", "", "a\tb", " a", "a\n"])
def test_ids_that_the_form_cannot_hold_are_refused(written, odd, tmp_path):
    for run in ({odd: [("a", 1.0)]}, {"q": [(odd, 1.0)]}):
        with pytest.raises(EvalError, match=r"cannot stand in a TREC file.*white space"):
            written(run)
    with pytest.raises(EvalError, match="The tag"):
        trec.write(tmp_path / "run", {}, odd)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300])
def test_scores_that_are_no_single_precision_numbers_are_refused(written, value):
    with pytest.raises(EvalError, match="score of a for query q"):
        written({"q": [("a", value)]})


def test_a_document_that_stands_twice_is_refused(written, tmp_path):
    with pytest.raises(EvalError, match="a stands twice in the run of query q"):
        written({"q": [("a", 2.0), ("a", 1.0)]})
    (tmp_path / "theirs").write_text("q Q0 a 1 2 x\nq Q0 b 2 1 x\nq Q0 a 3 0 x\n")
    with pytest.raises(EvalError, match=r"line 3 .*a stands twice"):
        trec.read(tmp_path / "theirs")


@pytest.mark.parametrize(
    "line", ["q Q0 a 1 2", "q Q0 a 1 high x", "q Q0 a 1 nan x", "1 2 3 4 5 6 7"]
)
def test_a_broken_line_of_a_run_is_named(tmp_path, line):
    path = tmp_path / "run.trec"
    path.write_text(f"q\tQ0\tb\t1\t3e0\tx\n\n{line}\n")
    with pytest.raises(EvalError, match=r"run.trec line 3 cannot be read"):
        trec.read(path)


@pytest.mark.parametrize("content", ['{"q": 1}', '{"q": {"d": "high"}}', '{"q"'])
def test_a_broken_json_run_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(EvalError, match="no JSON object of objects of numbers"):
        trec.read(tmp_path / "run.json")


def test_runs_as_json_are_read(tmp_path):
    run = {"q": {"d": 1.5, "e": 2}}
    (tmp_path / "run.json.gz").write_bytes(gzip.compress(json.dumps(run).encode()))
    assert trec.read(tmp_path / "run.json.gz") == {"q": {"d": 1.5, "e": 2.0}}


def test_empty_absent_and_torn_files_are_refused(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "torn").write_bytes(gzip.compress(b"q Q0 a 1 2 x")[:-6])
    with pytest.raises(EvalError, match="empty is empty"):
        trec.read(tmp_path / "empty")
    with pytest.raises(EvalError, match="no such file"):
        trec.read(tmp_path / "absent")
    with pytest.raises(EvalError, match="torn cannot be read"):
        trec.read(tmp_path / "torn")


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("INF-X-Retriever", 0.67865),
        ("inf-retriever-v1-pro", 0.25505),
        ("bm25.bge-reasoner-rewritten", 0.2513),
    ],
)
def test_public_runs_score_what_was_published(shared_data, written, tmp_path, name, published):
    """nDCG@10 over the 76 queries, the judgements as released; the task excludes nothing."""
    from eval.datasets.catalogue import retrieval

    dataset = retrieval("bright:theoremqa_theorems", shared_data, tmp_path)
    run = trec.read(shared_data / "bright" / "runs" / f"{name}.theoremqa-theorems.json.gz")
    digits = len(str(published).partition(".")[2])
    found = mean(ndcg(run, dataset.qrels))
    assert round(found, digits) == published

    ordered = {
        query: sorted(hits.items(), key=lambda hit: (hit[1], hit[0]), reverse=True)
        for query, hits in run.items()
    }
    again = trec.read(written(ordered, "again.trec.gz"))
    qrels: dict[str, dict[str, int]] = {}
    released = shared_data / "bright" / "qrels.theoremqa-theorems.txt"
    for line in released.read_text().splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = int(grade)
    assert mean(ndcg(again, qrels)) == found
