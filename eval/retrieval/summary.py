"""The numbers of a retrieval evaluation, from its samples: what metrics.json holds.

Every mean is over all queries of the judgements: one that failed, found nothing or was not asked
counts 0. Hits are taken in the order in which the system gave them, whatever their scores, as its
user sees them. Samples may come in any order; but for latency the result is the same to the byte.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from eval.datasets.retrieval import RetrievalDataset
from eval.retrieval import metrics
from eval.retrieval.metrics import Qrels, Run
from eval.retrieval.sample import RetrievalSample
from eval.statistics.bootstrap import paired_difference
from eval.statistics.holm import holm
from eval.statistics.intervals import mean_interval
from eval.statistics.paired import outcomes, paired_t, sign_flip
from eval.statistics.rounding import rounded

_LENGTH = re.compile(r"(?P<system>.+)/len=(?P<length>\d+)")
_METRICS: Mapping[str, Callable[[Run, Qrels], dict[str, float]]] = {
    "ndcg@10": lambda run, qrels: metrics.ndcg(run, qrels, 10),
    "recall@100": lambda run, qrels: metrics.recall(run, qrels, 100),
    "mrr@10": lambda run, qrels: metrics.mrr(run, qrels, 10),
    "judged@10": lambda run, qrels: metrics.judged(run, qrels, 10),
}
_COMPARED = "ndcg@10"


def summarise(
    samples: Iterable[RetrievalSample], dataset: RetrievalDataset, *, bootstrap: int = 10_000
) -> dict[str, Any]:
    """All that metrics.json says but for published numbers, floats at six significant digits.

    Systems named ``NAME/len=64`` are points of a curve over the length of queries: they are under
    ``lengths`` and compared with nothing.

    Args:
        samples: of all systems; those of queries without judgements are passed over.
        dataset: what was asked; documents must be named as its judgements name them.
    """
    systems: dict[str, list[RetrievalSample]] = {}
    for sample in samples:
        if sample.query in dataset.qrels:
            systems.setdefault(sample.system, []).append(sample)
    whole, lengths = {}, dict[str, dict[str, Any]]()
    scores: dict[str, list[float]] = {}
    for name in sorted(systems):
        asked = sorted(systems[name], key=lambda sample: sample.query)
        of = per_query(asked, dataset.qrels)
        found = _system(asked, of, len(dataset.qrels))
        curve = _LENGTH.fullmatch(name)
        if curve:
            point = {key: found[key] for key in (_COMPARED, "ci95", "query_tokens")}
            lengths.setdefault(curve["system"], {})[curve["length"]] = point
        else:
            whole[name], scores[name] = found, list(of[_COMPARED].values())
    result: dict[str, Any] = rounded(
        {
            "dataset": dataset.name,
            "revision": dataset.revision,
            "queries": len(dataset.qrels),
            "systems": whole,
            "comparisons": _comparisons(scores, bootstrap),
            "lengths": lengths,
        }
    )
    return result


def per_query(samples: Iterable[RetrievalSample], qrels: Qrels) -> dict[str, dict[str, float]]:
    """Metric -> query -> value of one system, for every query of the judgements, by query."""
    run = {sample.query: _ranks(sample) for sample in samples if sample.state == "ok"}
    ordered = {query: qrels[query] for query in sorted(qrels)}
    return {name: metric(run, ordered) for name, metric in _METRICS.items()}


def _ranks(sample: RetrievalSample) -> dict[str, float]:
    """Scores that fall strictly with the rank, so that equal scores cannot change the order."""
    return {document: 1 / rank for rank, (document, _) in enumerate(sample.hits, start=1)}


def _system(
    samples: Sequence[RetrievalSample], of: Mapping[str, Mapping[str, float]], queries: int
) -> dict[str, Any]:
    searched = [sample for sample in samples if sample.state == "ok"]
    errors = len(samples) - len(searched)
    found = sum(bool(sample.hits) for sample in searched)
    times = [sample.milliseconds for sample in searched]
    return {
        **{name: metrics.mean(values) for name, values in of.items()},
        "ci95": mean_interval(list(of[_COMPARED].values())).clipped().pair(),
        "without_hits": queries - errors - found,
        "errors": errors,
        "p50_ms": float(np.percentile(times, 50)) if times else None,
        "p95_ms": float(np.percentile(times, 95)) if times else None,
        "flops_per_query": _mean([sample.flops for sample in searched]),
        "query_tokens": _mean([sample.query_tokens for sample in searched]),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _comparisons(scores: Mapping[str, Sequence[float]], bootstrap: int) -> list[dict[str, Any]]:
    """Every two systems, by name; Holm's correction is of the randomisation tests of all pairs."""
    found = [_comparison(a, b, scores[a], scores[b], bootstrap) for a, b in combinations(scores, 2)]
    corrected = holm([one["p_randomisation"] for one in found])
    return [one | {"p_holm": p} for one, p in zip(found, corrected, strict=True)]


def _comparison(
    a: str, b: str, first: Sequence[float], second: Sequence[float], bootstrap: int
) -> dict[str, Any]:
    counts = outcomes(first, second)
    return {
        "a": a,
        "b": b,
        "metric": _COMPARED,
        "delta": float(np.mean(np.subtract(first, second))),
        "ci95": paired_difference(first, second, resamples=bootstrap).pair(),
        "p_t": paired_t(first, second).p,
        "p_randomisation": sign_flip(first, second).p,
        "wins": counts.wins,
        "ties": counts.ties,
        "losses": counts.losses,
    }
