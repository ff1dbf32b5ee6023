"""McNemar's exact test equals statsmodels'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar

from eval.statistics.mcnemar import exact_mcnemar


@pytest.mark.parametrize("gained", [0, 1, 2, 6, 25, 100, 999])
@pytest.mark.parametrize("lost", [1, 3, 6, 24, 180, 1000])
def test_equals_statsmodels_on_a_grid(gained: int, lost: int) -> None:
    expected = mcnemar([[7, gained], [lost, 5]], exact=True).pvalue
    assert exact_mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.integers(0, 500), st.integers(0, 500))
def test_does_not_care_which_way_is_called_first(gained: int, lost: int) -> None:
    assert exact_mcnemar(gained, lost) == exact_mcnemar(lost, gained) <= 1


def test_no_discordant_question_shows_nothing() -> None:
    assert exact_mcnemar(0, 0) == 1


def test_six_discordant_pairs_are_the_fewest_that_reach_five_percent() -> None:
    assert exact_mcnemar(5, 0) > 0.05 > exact_mcnemar(6, 0)


def test_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="-1"):
        exact_mcnemar(-1, 3)
