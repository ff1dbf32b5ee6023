"""The minimum detectable effect is what a simulation detects."""

import numpy as np
import pytest

from eval.statistics.mcnemar import exact_mcnemar
from eval.statistics.power import minimum_detectable_effect


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(198, 7.7, 10.0), (448, 5.1, 6.6), (12_032, 1.0, 1.3), (14_042, 0.9, 1.2)],
)
def test_points_for_the_sizes_of_known_benchmarks(n: int, low: float, high: float) -> None:
    points = [100 * minimum_detectable_effect(n, discordance) for discordance in (0.15, 0.25)]
    assert [round(value, 1) for value in points] == [low, high]


def detected(n: int, discordance: float, effect: float, *, exact: bool) -> float:
    """Share of 20,000 simulated comparisons in which McNemar's test finds the effect."""
    shares = [(discordance + effect) / 2, (discordance - effect) / 2, 1 - discordance]
    pairs = np.random.default_rng(1).multinomial(n, shares, size=20_000)[:, :2]
    if not exact:
        gained, lost = pairs.T.astype(float)
        return float(np.mean((gained - lost) ** 2 > 1.959964**2 * (gained + lost)))
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    found = [exact_mcnemar(int(gained), int(lost)) < 0.05 for gained, lost in kinds]
    return float(counts @ found / counts.sum())


@pytest.mark.parametrize("n", [198, 448, 1000])
@pytest.mark.parametrize("discordance", [0.15, 0.25])
def test_four_of_five_such_effects_are_found(n: int, discordance: float) -> None:
    effect = minimum_detectable_effect(n, discordance)
    assert detected(n, discordance, effect, exact=False) == pytest.approx(0.8, abs=0.035)
    assert 0.74 < detected(n, discordance, effect, exact=True) < 0.81


def test_effects_of_half_that_size_are_mostly_missed() -> None:
    assert detected(198, 0.2, minimum_detectable_effect(198, 0.2) / 2, exact=True) < 0.4


def test_few_discordant_pairs_set_a_floor_below_which_nothing_is_found() -> None:
    assert minimum_detectable_effect(100, 0.0) == 0.06
    assert minimum_detectable_effect(100, 0.001) == 0.06


def test_is_never_more_than_everything() -> None:
    assert minimum_detectable_effect(3, 0.9) == 1


@pytest.mark.parametrize(("n", "discordance"), [(0, 0.2), (10, 1.5), (10, -0.1)])
def test_refuses_what_cannot_be(n: int, discordance: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        minimum_detectable_effect(n, discordance)
