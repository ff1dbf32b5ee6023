"""A gate closes where the new run is worse beyond chance, and nowhere else."""

import pytest

from eval.errors import EvalError
from eval.report.gate import gate
from tests.eval.report.runs import choice_run, metrics, retrieval_run


def test_a_run_passes_against_itself_and_against_a_worse_one(tmp_path):
    good, bad = choice_run(tmp_path / "a", gain=0.6), choice_run(tmp_path / "b", gain=0.0)
    assert gate(good, good).passed
    assert gate(bad, good).passed


def test_a_run_that_lost_is_worse_in_the_arm_that_lost(tmp_path):
    good, bad = choice_run(tmp_path / "a", gain=0.6), choice_run(tmp_path / "b", gain=0.0)
    found = gate(good, bad)
    assert not found.passed
    assert [row.name for row in found.worse] == ["rag"]
    assert found.as_dict()["worse"] == ["rag"]
    assert found.lines()[-1] == "failed: the new run is worse"
    assert gate(good, bad, tolerance=100).passed


def test_a_run_without_an_arm_of_the_baseline_is_refused(tmp_path):
    a, b = choice_run(tmp_path / "a"), choice_run(tmp_path / "b")
    kept = metrics(b)
    del kept["arms"]["rag"]
    b.write_json("metrics.json", kept)
    with pytest.raises(EvalError, match="it has no rag"):
        gate(a, b)


def test_a_run_with_failed_samples_decides_nothing(tmp_path):
    a, b = choice_run(tmp_path / "a"), choice_run(tmp_path / "b")
    kept = metrics(b)
    kept["arms"]["rag"]["errors"] = 3
    b.write_json("metrics.json", kept)
    with pytest.raises(EvalError, match=r"3 of its samples failed.*eval resume"):
        gate(a, b)


def test_rankings_are_gated_by_ndcg(tmp_path):
    run = retrieval_run(tmp_path / "a", {"bm25": (1,), "dense": (2, 0)})
    found = gate(run, run)
    assert found.passed
    assert {row["metric"] for row in found.as_dict()["rows"]} == {"ndcg@10"}
