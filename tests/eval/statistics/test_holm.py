"""Holm's correction equals statsmodels'."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from eval.statistics.holm import holm


@pytest.mark.parametrize("m", [1, 2, 5, 57])
@pytest.mark.parametrize("decimals", [1, 12])
def test_equals_statsmodels_with_and_without_ties(m: int, decimals: int) -> None:
    p_values = (np.random.default_rng(m).random(m) ** 3).round(decimals).tolist()
    expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected.tolist(), abs=1e-12)


def test_of_nothing_is_nothing() -> None:
    assert holm([]) == []


def test_a_worked_example() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
