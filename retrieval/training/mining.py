"""Hard negatives: passages that a retriever finds for a query and that do not answer it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FIRST, LAST = 5, 50
"""Ranks, from 0, that negatives are taken from: the first ones are too often unjudged positives."""
MARGIN = 0.95
"""A passage that scores more than this share of the positive's score is taken for a positive (the
guard that NV-Retriever calls perc-pos-aware, https://arxiv.org/abs/2407.15831)."""


def mine(
    queries: NDArray[np.float32],
    passages: NDArray[np.float32],
    groups: Sequence[str],
    positives: Sequence[frozenset[str]],
    *,
    first: int = FIRST,
    last: int = LAST,
    margin: float = MARGIN,
    keep: int = 16,
) -> list[list[int]]:
    """For each query, rows of passages that are likely no answers, hardest first.

    Args:
        queries: unit vectors [queries, dimension].
        passages: unit vectors [passages, dimension].
        groups: of each passage, the document or whatever relevance is judged by.
        positives: of each query, the groups that answer it.
        first: rank among the passages of other groups, from 0, of the first that is taken.
        last: rank behind the last one.
        margin: see `MARGIN`; 1 or more still leaves out what scores above the positive's share.
        keep: most negatives of a query.
    """
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    found = []
    for query, relevant in zip(queries, positives, strict=True):
        scores = passages @ query
        relevant_rows = [row for group in relevant for row in members.get(group, ())]
        ceiling = margin * float(scores[relevant_rows].max()) if relevant_rows else np.inf
        scores[relevant_rows] = -np.inf
        count = min(last, len(scores) - 1)
        nearest = np.argpartition(-scores, count)[:count]
        ranked = nearest[np.argsort(-scores[nearest], kind="stable")][first:]
        hard = [int(row) for row in ranked if -np.inf < scores[row] < ceiling]
        found.append(hard[:keep])
    return found
