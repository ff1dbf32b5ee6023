import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.training.mining import mine


def units(seed, count):
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 50), st.integers(0, 6), st.sampled_from([0.8, 0.95, 1.0]))
def test_negatives_are_of_other_groups_in_falling_order_and_below_the_guard(seed, first, margin):
    queries, passages = units(seed, 4), units(seed + 1000, 60)
    groups = [f"g{row % 12}" for row in range(60)]
    positives = [frozenset({f"g{at}"}) for at in range(4)]
    found = mine(queries, passages, groups, positives, first=first, last=30, margin=margin, keep=7)
    for at, rows in enumerate(found):
        scores = passages @ queries[at]
        own = max(scores[row] for row in range(60) if groups[row] == f"g{at}")
        others = sorted(
            (row for row in range(60) if groups[row] != f"g{at}"), key=lambda r: -scores[r]
        )
        allowed = [row for row in others[first:30] if scores[row] < margin * own]
        assert rows == allowed[:7]


def test_a_query_whose_positive_is_not_there_has_no_guard():
    found = mine(
        units(1, 1), units(2, 20), ["g"] * 20, [frozenset({"elsewhere"})], first=0, keep=99
    )
    assert len(found[0]) == 19
