"""metrics.json of a retrieval evaluation says what the samples say, whatever their order."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from eval.datasets.retrieval import RetrievalDataset
from eval.retrieval import metrics
from eval.retrieval.sample import RetrievalSample
from eval.retrieval.summary import per_query, summarise
from eval.statistics.bootstrap import paired_difference
from eval.statistics.holm import holm
from eval.statistics.intervals import mean_interval
from eval.statistics.paired import paired_t, sign_flip

QRELS = {f"q{number}": {f"d{number}": 2, f"d{number + 1}": 1, "d0": 0} for number in range(30)}
DATASET = RetrievalDataset("beir:tiny", None, dict.fromkeys(QRELS, "text"), QRELS, "r1")


def sample(
    system: str,
    query: str,
    hits: Sequence[str],
    *,
    milliseconds: float = 0.0,
    flops: float = 0.0,
    query_tokens: int = 0,
) -> RetrievalSample:
    """Hits that all score the same, best first."""
    return RetrievalSample(
        system,
        query,
        tuple((hit, 1.0) for hit in hits),
        milliseconds=milliseconds,
        flops=flops,
        query_tokens=query_tokens,
    )


def run(system: str, seed: int) -> list[RetrievalSample]:
    rng = np.random.default_rng(seed)
    return [
        sample(
            system, query, [f"d{place}" for place in rng.permutation(32)[:12]],
            milliseconds=float(seed), flops=float(rng.random()), query_tokens=5,
        )
        for query in QRELS
    ]  # fmt: skip


def test_the_order_of_hits_counts_and_not_their_scores() -> None:
    """By score alone, d9 would come first: trec_eval breaks ties by the falling id."""
    found = summarise([sample("a", "q1", ["d1", "d2", "d9"])], DATASET)["systems"]["a"]
    assert found["ndcg@10"] == found["mrr@10"] == pytest.approx(1 / 30, abs=1e-6)


def test_metrics_are_those_of_the_run_over_all_judged_queries() -> None:
    samples = run("a", 1)[:20]
    falling = {
        one.query: {hit: -float(rank) for rank, (hit, _) in enumerate(one.hits)} for one in samples
    }
    found = summarise(samples, DATASET)["systems"]["a"]
    ndcg = metrics.ndcg(falling, QRELS, 10)
    assert len(ndcg) == 30
    assert found["ndcg@10"] == pytest.approx(metrics.mean(ndcg), rel=1e-5)
    assert found["ci95"] == pytest.approx(mean_interval(list(ndcg.values())).pair(), rel=1e-5)
    for name, metric, k in (
        ("recall@100", metrics.recall, 100),
        ("mrr@10", metrics.mrr, 10),
        ("judged@10", metrics.judged, 10),
    ):
        assert found[name] == pytest.approx(metrics.mean(metric(falling, QRELS, k)), rel=1e-5)


def test_what_failed_or_found_nothing_is_counted_and_is_zero() -> None:
    samples = run("a", 1)
    whole = per_query(samples, QRELS)["ndcg@10"]
    samples[3] = sample("a", "q3", [])
    samples[4] = RetrievalSample("a", "q4", (), "error", "the server is down", 0, 0.0, 1e6)
    del samples[5]
    found = summarise(samples, DATASET)["systems"]["a"]
    assert (found["without_hits"], found["errors"]) == (2, 1)
    kept = sum(value for query, value in whole.items() if query not in {"q3", "q4", "q5"})
    assert found["ndcg@10"] == pytest.approx(kept / 30, rel=1e-5)
    assert found["p95_ms"] == 1


def test_queries_without_judgements_are_passed_over() -> None:
    extra = sample("a", "unjudged", ["d1"], milliseconds=1e6)
    assert summarise([*run("a", 1), extra], DATASET) == summarise(run("a", 1), DATASET)


def test_cost_is_a_mean_over_the_queries_that_were_searched() -> None:
    samples = [
        sample("a", "q1", ["d1"], milliseconds=10.0, flops=4.0, query_tokens=8),
        sample("a", "q2", ["d1"], milliseconds=30.0, flops=2.0, query_tokens=4),
    ]
    found = summarise(samples, DATASET)["systems"]["a"]
    assert (found["p50_ms"], found["flops_per_query"], found["query_tokens"]) == (20.0, 3.0, 6.0)


def test_all_pairs_of_systems_are_compared_on_the_same_queries() -> None:
    samples = {name: run(name, seed) for seed, name in enumerate(["hybrid", "bm25", "dense"])}
    found = summarise([one for each in samples.values() for one in each], DATASET)["comparisons"]
    assert [(one["a"], one["b"]) for one in found] == [
        ("bm25", "dense"),
        ("bm25", "hybrid"),
        ("dense", "hybrid"),
    ]
    scores = {
        name: list(per_query(each, QRELS)["ndcg@10"].values()) for name, each in samples.items()
    }
    first, second = scores["bm25"], scores["dense"]
    one = found[0]
    assert one["metric"] == "ndcg@10"
    assert one["delta"] == pytest.approx((sum(first) - sum(second)) / 30, rel=1e-4)
    assert one["ci95"] == pytest.approx(paired_difference(first, second).pair(), rel=1e-4)
    assert one["p_t"] == pytest.approx(paired_t(first, second).p, rel=1e-5)
    assert one["p_randomisation"] == pytest.approx(sign_flip(first, second).p, rel=1e-5)
    assert one["wins"] + one["ties"] + one["losses"] == 30
    corrected = holm([each["p_randomisation"] for each in found])
    assert [each["p_holm"] for each in found] == pytest.approx(corrected, rel=1e-5)


def test_lengths_of_queries_are_a_curve_and_no_systems() -> None:
    names = ["dense", "dense/len=64", "dense/len=512", "dense@a/b/len=64"]
    found = summarise([one for i, name in enumerate(names) for one in run(name, i)], DATASET)
    assert set(found["systems"]) == {"dense"}
    assert found["comparisons"] == []
    assert {name: set(curve) for name, curve in found["lengths"].items()} == {
        "dense": {"64", "512"},
        "dense@a/b": {"64"},
    }
    assert set(found["lengths"]["dense"]["64"]) == {"ndcg@10", "ci95", "query_tokens"}


def test_the_order_of_samples_does_not_matter_to_the_byte() -> None:
    samples = run("a", 1) + run("b", 2)
    text = json.dumps(summarise(samples, DATASET))
    assert json.dumps(summarise(samples[::-1], DATASET)) == text


def test_one_query_leaves_the_mean_open() -> None:
    dataset = RetrievalDataset("beir:one", None, {"q": "text"}, {"q": {"d": 1}}, "r1")
    found = summarise([sample("a", "q", ["d"]), sample("b", "q", ["e"])], dataset)
    assert found["systems"]["a"]["ci95"] == [0.0, 1.0]
    assert found["comparisons"][0]["p_t"] == 1
