"""Retrieval metrics as trec_eval defines them.

A *run* maps query id -> passage id -> score; *qrels* map query id -> passage id -> relevance, where
0 or less means judged and not relevant. Every metric returns a value for every query of the qrels:
one that the run lacks, or for which nothing is relevant, gets 0 and still counts in the mean
(``trec_eval -c``). Passages are ranked by falling score, equal scores by falling passage id, as
trec_eval does (https://github.com/usnistgov/trec_eval); it reads scores in single precision, these
functions compare them as given.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Mapping

from data.arguments import at_least

Run = Mapping[str, Mapping[str, float]]
Qrels = Mapping[str, Mapping[str, int]]


def ndcg(run: Run, qrels: Qrels, k: int = 10) -> dict[str, float]:
    """Normalised discounted cumulative gain of the first k (trec_eval's ``ndcg_cut_k``).

    The gain of a passage is its relevance (linear, not 2**r - 1), its discount log2(rank + 1);
    the ideal ranking is over all judged passages (Jarvelin and Kekalainen, TOIS 2002).
    """

    def one(ranking: list[str], judged: Mapping[str, int]) -> float:
        ideal = _discounted(heapq.nlargest(k, judged.values()))
        return _discounted(judged.get(passage, 0) for passage in ranking) / ideal if ideal else 0.0

    return _per_query(one, run, qrels, k)


def recall(run: Run, qrels: Qrels, k: int = 100) -> dict[str, float]:
    """Share of the relevant passages that are among the first k (trec_eval's ``recall_k``)."""

    def one(ranking: list[str], judged: Mapping[str, int]) -> float:
        relevant = sum(grade > 0 for grade in judged.values())
        found = sum(judged.get(passage, 0) > 0 for passage in ranking)
        return found / relevant if relevant else 0.0

    return _per_query(one, run, qrels, k)


def mrr(run: Run, qrels: Qrels, k: int = 10) -> dict[str, float]:
    """1 / rank of the first relevant passage among the first k, or 0 (reciprocal rank)."""

    def one(ranking: list[str], judged: Mapping[str, int]) -> float:
        ranks = (rank for rank, p in enumerate(ranking, start=1) if judged.get(p, 0) > 0)
        return 1 / next(ranks, math.inf)

    return _per_query(one, run, qrels, k)


def judged(run: Run, qrels: Qrels, k: int = 10) -> dict[str, float]:
    """Share of the first k found that anyone judged, relevant or not (pyserini's ``judged@k``).

    Where it is low, a low nDCG may mean that good passages were never judged. Where fewer than k
    are found, it is the share of these; a query without any gets 0.
    """

    def one(ranking: list[str], grades: Mapping[str, int]) -> float:
        return sum(passage in grades for passage in ranking) / len(ranking) if ranking else 0.0

    return _per_query(one, run, qrels, k)


def mean(per_query: Mapping[str, float]) -> float:
    """Mean over all queries of a metric's result; 0 for no queries."""
    return math.fsum(per_query.values()) / len(per_query) if per_query else 0.0


def _per_query(
    metric: Callable[[list[str], Mapping[str, int]], float], run: Run, qrels: Qrels, k: int
) -> dict[str, float]:
    at_least(1, k=k)
    return {query: metric(_ranking(run.get(query, {}), k), qrels[query]) for query in qrels}


def _ranking(scores: Mapping[str, float], k: int) -> list[str]:
    return [
        passage
        for passage, _ in heapq.nlargest(k, scores.items(), key=lambda hit: (hit[1], hit[0]))
    ]


def _discounted(grades: Iterable[int]) -> float:
    return sum(
        grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1) if grade > 0
    )
