"""Two ranked lists, one from each engine, to one."""

import math
import operator
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from data.arguments import within
from retrieval.errors import FusionError

Scored = tuple[str, float]
"""A passage id and its score; lists of them are best first."""


class Fusion(Protocol):
    """Makes one ranking of the dense and the sparse one."""

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """Every credited passage once, best first; equal scores by passage id.

        A passage that a list repeats counts once, where it is first. Sparse hits with a score of
        zero or less share no term with the query and are ignored.

        Raises:
            FusionError: a score is infinite or not a number.
        """


def reciprocal_ranks(rankings: Iterable[Iterable[str]], k: float = 60) -> dict[str, float]:
    """What each passage gets from all rankings together: the sum of 1 / (k + rank).

    The sum is the same in whatever order the rankings come.

    Args:
        rankings: of passage ids, each once, best first.
        k: how slowly credit falls with rank; 60 in the paper (Cormack et al., SIGIR 2009).
    """
    parts: dict[str, list[float]] = defaultdict(list)
    for ranking in rankings:
        for rank, passage in enumerate(ranking, start=1):
            parts[passage].append(1 / (k + rank))
    return {passage: math.fsum(given) for passage, given in parts.items()}


def ranked(totals: dict[str, float]) -> list[Scored]:
    """Passage ids with their scores, best first, equal scores by passage id."""
    falling = sorted(zip(map(operator.neg, totals.values()), totals, strict=True))
    return [(passage, -score) for score, passage in falling]


class ReciprocalRankFusion:
    """Each list gives a passage 1 / (k + rank), ranks from 1 (Cormack et al., SIGIR 2009).

    Raises:
        ValueError: `k` is negative or infinite.
    """

    def __init__(self, k: float = 60) -> None:
        if not 0 <= k < math.inf:
            raise ValueError(f"k is {k}; it must be 0 or more")
        self.k = k

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """See `Fusion.fuse`."""
        return ranked(reciprocal_ranks((_scores(dense), _credited(sparse)), self.k))


class MinMaxFusion:
    """A weighted sum of scores, each list's brought to one scale.

    This is the convex combination of Bruch et al., An Analysis of Fusion Functions for Hybrid
    Retrieval (TOIS 2023), between a theoretical minimum (0 for BM25; for the cosine that of
    unrelated texts, `floor`) and a high mark of the list. The mark is the mean of its best 20
    scores, which one outlier moves less than the maximum that the paper takes.

    A passage that a list lacks scored no more than the list's last, and is taken to have scored
    just that; but 0 in a sparse list shorter than the dense one, which was not cut off: there,
    nothing else shared a term with the query. Both lists should be asked for with the same limit.

    A side whose share is 0 is left out. How the defaults were found, and what was rejected:
    docs/decisions/0003-default-fusion.md.

    Args:
        weight: share of the dense list, from 0 to 1; the sparse list has the rest.
        floor: cosine that the encoder gives to unrelated texts, below 1; near 0 for MiniLM and many
            others, higher for encoders whose cosines all lie close together.

    Raises:
        ValueError: an argument is out of its range.
    """

    _MARK_DEPTH = 20
    _NARROWEST = 0.1  # of cosines; where even the best is hardly related, noise is not blown up

    def __init__(self, weight: float = 0.65, floor: float = 0.0) -> None:
        within(0, 1, weight=weight)
        if not -1 <= floor < 1:
            raise ValueError(f"floor is {floor}; it must be at least -1 and below 1")
        self.weight = weight
        self.floor = floor

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """See `Fusion.fuse`."""
        near = self._dense_parts(_scores(dense)) if self.weight > 0 else {}
        shared = self._sparse_parts(_credited(sparse)) if self.weight < 1 else {}
        near_last = min(near.values(), default=0.0)
        cut_off = len(shared) >= len(near)
        shared_last = min(shared.values(), default=0.0) if cut_off else 0.0
        totals = {
            passage: part + shared.get(passage, shared_last) for passage, part in near.items()
        }
        for passage, part in shared.items():
            if passage not in totals:
                totals[passage] = near_last + part
        return ranked(totals)

    def _dense_parts(self, scores: dict[str, float]) -> dict[str, float]:
        span = max(self._mark(scores) - self.floor, self._NARROWEST)
        return {
            passage: self.weight * (score - self.floor) / span for passage, score in scores.items()
        }

    def _sparse_parts(self, scores: dict[str, float]) -> dict[str, float]:
        mark, share = self._mark(scores), 1 - self.weight
        return {passage: share * score / mark for passage, score in scores.items()}

    def _mark(self, scores: dict[str, float]) -> float:
        best = sorted(scores.values(), reverse=True)[: self._MARK_DEPTH]
        return math.fsum(best) / len(best) if best else 0.0


class ObservedMinMaxFusion:
    """A weighted sum of scores, each list's lowest brought to 0 and its highest to 1.

    This is the form that published pipelines were measured with (BGE-Reasoner:
    https://github.com/VectorSpaceLab/agentic-search, BGE-Reasoner/fusion_results). A passage that a
    list lacks gets nothing from it; of equal scores each is 1. One outlier, or a list cut off
    elsewhere, moves all the others: for use, `MinMaxFusion` is the better one.

    A side whose share is 0 is left out.

    Raises:
        ValueError: `weight` is out of its range.
    """

    def __init__(self, weight: float = 0.5) -> None:
        within(0, 1, weight=weight)
        self.weight = weight

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """See `Fusion.fuse`."""
        totals: dict[str, float] = {}
        shares = ((self.weight, _scores(dense)), (1 - self.weight, _credited(sparse)))
        for share, scores in shares:
            if share > 0:
                for passage, part in _observed(scores).items():
                    totals[passage] = totals.get(passage, 0.0) + share * part
        return ranked(totals)


class NoFusion:
    """Passes the only list on; for retrievers that use one engine."""

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """See `Fusion.fuse`; also raises FusionError when there are hits in both lists."""
        if dense and sparse:
            raise FusionError(
                "Fusion 'none' cannot combine dense and BM25 hits",
                cause="it only passes a single list on",
                hint="Choose fusion 'rrf' or 'minmax', or the retriever 'dense' or 'bm25'",
            )
        return ranked(_scores(dense) or _credited(sparse))


def _scores(hits: Sequence[Scored]) -> dict[str, float]:
    """Passage id -> score in rank order, the first of each; refuses what is not a number."""
    if not all(map(math.isfinite, (score for _, score in hits))):
        passage, score = next(hit for hit in hits if not math.isfinite(hit[1]))
        raise FusionError(
            f"Passage {passage} has the score {score}",
            cause="only finite numbers can be ranked",
            hint="Check the encoder and the stored vectors",
        )
    scores = dict(hits)
    if len(scores) < len(hits):
        scores.clear()
        for passage, score in hits:
            scores.setdefault(passage, score)
    return scores


def _credited(hits: Sequence[Scored]) -> dict[str, float]:
    return {passage: score for passage, score in _scores(hits).items() if score > 0}


def _observed(scores: dict[str, float]) -> dict[str, float]:
    """To 0..1 by the list's own lowest and highest; all 1 where these are the same."""
    low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    span = high - low
    return {passage: (score - low) / span if span > 0 else 1.0 for passage, score in scores.items()}
