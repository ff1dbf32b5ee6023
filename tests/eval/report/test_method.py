"""Plans and environments as tables."""

from eval.report.method import flat, sections


def test_leaves_stand_under_their_dotted_names():
    tree = {"a": {"b": 1, "c": [1, "x"]}, "d": [{"e": None}, {"e": True}], "f": {}}
    assert flat(tree) == {
        "a.b": "1", "a.c": "1, x", "d.1.e": "–", "d.2.e": "yes", "f": "–",
    }  # fmt: skip


def test_a_run_without_an_environment_has_no_table_of_it():
    measured, environment = sections("choice", {"seed": 0}, {})
    assert len(measured.blocks) == 3
    assert not environment.blocks
