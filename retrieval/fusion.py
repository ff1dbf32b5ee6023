"""Two ranked lists, one from each engine, to one."""

import math
from collections.abc import Sequence
from typing import Protocol

from retrieval.errors import FusionError

Scored = tuple[str, float]
"""A chunk id and its score; lists of them are best first."""


class Fusion(Protocol):
    """Makes one ranking of the dense and the sparse one."""

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """Every credited chunk once, best first; ties are broken by chunk id."""
        ...


class ReciprocalRankFusion:
    """Each list gives a chunk 1 / (k + rank), ranks from 1 (Cormack et al., SIGIR 2009).

    Sparse hits with a score of zero or less share no term with the query and get no credit.
    A chunk that one list repeats counts once, at its best rank.

    Args:
        k: how slowly credit falls with rank; 60 in the paper.

    Raises:
        ValueError: `k` is negative.
    """

    def __init__(self, k: float = 60) -> None:
        if not 0 <= k < math.inf:
            raise ValueError(f"k is {k}; it must be 0 or more")
        self.k = k

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """See `Fusion.fuse`; raises FusionError for a score that is not a number."""
        totals: dict[str, float] = {}
        for side in (_unique(dense), _credited(sparse)):
            for rank, chunk in enumerate(side, start=1):
                totals[chunk] = totals.get(chunk, 0.0) + 1 / (self.k + rank)
        return _ranked(totals)


class MinMaxFusion:
    """A weighted sum of scores, each list's stretched to [0, 1].

    Convex combination, as in Bruch et al., An Analysis of Fusion Functions for Hybrid Retrieval
    (TOIS 2023). A chunk absent from a list gets 0 from it.

    Args:
        weight: share of the dense list, from 0 to 1; the sparse list has the rest.

    Raises:
        ValueError: `weight` is out of its range.
    """

    def __init__(self, weight: float = 0.6) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"weight is {weight}; it must be from 0 to 1")
        self.weight = weight

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """See `Fusion.fuse`; raises FusionError for a score that is not a number."""
        totals: dict[str, float] = {}
        for side, share in ((_unique(dense), self.weight), (_credited(sparse), 1 - self.weight)):
            if not side:
                continue
            low, high = min(side.values()), max(side.values())
            span = high - low
            for chunk, score in side.items():
                part = (score - low) / span if span > 0 else 1.0
                totals[chunk] = totals.get(chunk, 0.0) + share * part
        return _ranked(totals)


class NoFusion:
    """Passes the only list on; for retrievers that use one engine."""

    def fuse(self, dense: Sequence[Scored], sparse: Sequence[Scored]) -> list[Scored]:
        """The non-empty list; raises FusionError when there are two."""
        if dense and sparse:
            raise FusionError(
                "Fusion 'none' cannot combine dense and BM25 hits",
                cause="it only passes a single list on",
                way_out="Choose fusion 'rrf' or 'minmax', or the retriever 'dense' or 'bm25'",
            )
        return _ranked(_unique(dense) if dense else _credited(sparse))


def _unique(hits: Sequence[Scored]) -> dict[str, float]:
    """Chunk id -> score, in rank order, the first of each; refuses what is not a number."""
    scores: dict[str, float] = {}
    for chunk, score in hits:
        if not math.isfinite(score):
            raise FusionError(
                f"Chunk {chunk} has the score {score}",
                cause="only finite scores can be ranked",
                way_out="Check the encoder and the stored vectors",
            )
        scores.setdefault(chunk, score)
    return scores


def _credited(hits: Sequence[Scored]) -> dict[str, float]:
    return {chunk: score for chunk, score in _unique(hits).items() if score > 0}


def _ranked(totals: dict[str, float]) -> list[Scored]:
    return sorted(totals.items(), key=lambda hit: (-hit[1], hit[0]))
