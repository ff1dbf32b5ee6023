"""A comparison is of the questions that both arms answered."""

import pytest

from eval.choice.comparison import FEWEST_SUBJECTS, brief, by_subject, full, pairs
from eval.choice.sample import ChoiceSample
from eval.statistics.holm import holm
from eval.statistics.mcnemar import exact_mcnemar
from eval.statistics.power import minimum_detectable_effect


def arm(rights: dict[str, list[bool]], subject: str = "s") -> dict[str, dict[int, ChoiceSample]]:
    """Question -> whether each repeat was right, as answers."""
    return {
        name: {
            repeat: ChoiceSample("any", name, repeat, subject, (0, 1), 0, 0 if right else 1, "ok")
            for repeat, right in enumerate(row)
        }
        for name, row in rights.items()
    }


def flips(gained: int, lost: int, same: int) -> tuple[dict[str, list[bool]], dict[str, list[bool]]]:
    rows = [(True, False)] * gained + [(False, True)] * lost + [(True, True)] * same
    after = {f"q{i}": [a] for i, (a, _) in enumerate(rows)}
    return after, {f"q{i}": [b] for i, (_, b) in enumerate(rows)}


def test_counts_points_and_tests_are_of_the_flips() -> None:
    after, before = flips(30, 10, 160)
    found = full(pairs(arm(after), arm(before)), repeats=1, seed=0, bootstrap=2000)
    assert found["points"] == pytest.approx(10)
    assert (found["gained"], found["lost"], found["n"]) == (30, 10, 200)
    assert found["discordance"] == 0.2
    assert found["mcnemar_p"] == exact_mcnemar(30, 10)
    assert found["mde"] == 100 * minimum_detectable_effect(200, 0.2)
    assert found["relative_percent"] == pytest.approx(100 * (190 / 170 - 1))
    low, high = found["ci95"]
    assert (low, high) == (pytest.approx(4, abs=0.6), pytest.approx(16, abs=0.6))
    assert "mcnemar_on" not in found


def test_a_question_that_one_arm_lacks_is_in_no_pair() -> None:
    compared = pairs(arm({"a": [True], "b": [True]}), arm({"b": [False], "c": [False]}))
    assert [pair.id for pair in compared] == ["b"]


def test_repeats_are_averaged_and_only_the_first_is_tested() -> None:
    after = {"a": [True, True], "b": [False, True], "c": [True, False]}
    before = {"a": [True, False], "b": [True, False], "c": [False, False]}
    found = full(pairs(arm(after), arm(before)), repeats=2, seed=0, bootstrap=100)
    assert found["points"] == pytest.approx(100 * (0.5 + 0 + 0.5) / 3)
    assert (found["gained"], found["lost"], found["mcnemar_on"]) == (1, 1, "repeat 0")


def test_repeats_that_one_arm_lacks_are_left_out_of_both() -> None:
    found = pairs(arm({"a": [True, False]}), arm({"a": [True]}))
    assert (found[0].after, found[0].before) == (1, 1)


def test_no_gain_over_nothing_right_is_relative_to_anything() -> None:
    compared = pairs(arm({"a": [True]}), arm({"a": [False]}))
    assert full(compared, repeats=1, seed=0, bootstrap=10)["relative_percent"] is None


@pytest.mark.parametrize(
    ("subjects", "unit"), [(FEWEST_SUBJECTS - 1, "questions"), (FEWEST_SUBJECTS, "subjects")]
)
def test_whole_subjects_are_drawn_where_there_are_enough(subjects: int, unit: str) -> None:
    """Each subject gains or loses as one, so drawing subjects gives a far wider interval."""
    after, before = {}, {}
    for number in range(subjects):
        gains = number % 2 == 0
        rows = {f"{number}:{i}": [gains] for i in range(30)}
        after |= arm(rows, f"s{number}")
        before |= arm({name: [not gains] for name in rows}, f"s{number}")
    found = full(pairs(after, before), repeats=1, seed=0, bootstrap=2000)
    assert found["resampled"] == unit
    assert (found["ci95"][1] - found["ci95"][0] > 60) == (unit == "subjects")


def test_subjects_are_corrected_together() -> None:
    compared = []
    for number, (gained, lost) in enumerate([(9, 0), (6, 1), (3, 3)]):
        after, before = flips(gained, lost, 10)
        compared += pairs(arm(after, f"s{number}"), arm(before, f"s{number}"))
    found = by_subject(compared)
    p_values = [exact_mcnemar(9, 0), exact_mcnemar(6, 1), exact_mcnemar(3, 3)]
    assert [one["mcnemar_p"] for one in found.values()] == p_values
    assert [one["holm_p"] for one in found.values()] == holm(p_values)
    assert found["s0"]["points"] == brief(compared[:19])["points"] == pytest.approx(900 / 19)
