"""Holm's correction of p values that were looked at together."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given (Holm, Scand. J. Statist. 1979).

    The i-th smallest of m (i from 0) is multiplied by m - i, is no less than the one before, and at
    most 1. Those below alpha may be called significant with a chance of any false one below alpha.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, position in enumerate(by_size):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted
