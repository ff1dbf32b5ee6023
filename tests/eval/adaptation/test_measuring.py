import pytest

from eval.adaptation.measuring import compared, lost
from eval.adaptation.questions import Question


def test_a_gain_on_every_question_is_no_chance():
    found = compared([0.2] * 30, [0.5] * 30)
    assert found["points"] == pytest.approx(30)
    assert found["p"] < 0.001
    assert (found["wins"], found["ties"], found["losses"]) == (30, 0, 0)
    assert found["ci95"] == pytest.approx([30, 30])


def test_gains_and_losses_that_even_out_are_chance():
    found = compared([0.5] * 20, [0.4, 0.6] * 10)
    assert found["points"] == pytest.approx(0)
    assert found["p"] > 0.5
    assert found["ci95"][0] < 0 < found["ci95"][1]


def test_what_lost_is_listed_worst_first():
    asked = [Question(name, "d") for name in "abc"]
    rows = lost(asked, [1.0, 0.5, 1.0], [0.9, 0.6, 0.0])
    assert [row["question"] for row in rows] == ["c", "a"]
