"""Which questions changed."""

from eval.report import answers
from eval.report.answers import Outcome, changes, outcomes


def record(arm, name, chosen=2, state="ok", **more):
    given = {"repeat": 0, "answer": 2, "passages": []}
    return {"arm": arm, "id": name, "chosen": chosen, "state": state, **given, **more}


def passage(score, text="words"):
    return {"source": "book", "score": score, "text": text}


def test_an_answer_is_right_only_where_it_is_one():
    found = outcomes(
        [
            record("rag", "a"),
            record("rag", "b", chosen=1),
            record("rag", "c", state="unparsed"),
            {"arm": "rag", "id": "d", "repeat": 0, "state": "error", "detail": "down"},
        ]
    )
    assert [one.correct for one in found["rag"].values()] == [True, False, False, False]


def test_changes_go_both_ways_and_leave_errors_out():
    base = {
        ("a", 0): Outcome(False, "ok"), ("b", 0): Outcome(True, "ok"),
        ("c", 0): Outcome(True, "ok"), ("d", 0): Outcome(False, "unparsed"),
        ("e", 0): Outcome(True, "ok"),
    }  # fmt: skip
    arm = {
        ("a", 0): Outcome(True, "ok"), ("b", 0): Outcome(False, "truncated"),
        ("c", 0): Outcome(True, "ok"), ("d", 0): Outcome(True, "ok"),
        ("e", 0): Outcome(False, "error"),
    }  # fmt: skip
    found = changes(base, arm)
    assert {key for key, _ in found.gained} == {"a", "d"}
    assert list(found.lost) == [("b", 0)]


def test_which_changes_come_first_does_not_depend_on_the_order_of_the_log():
    wrong = {(str(n), 0): Outcome(False, "ok") for n in range(50)}
    right = {(str(n), 0): Outcome(True, "ok") for n in range(50)}
    turned = dict(reversed(wrong.items()))
    assert changes(wrong, right).gained == changes(turned, right).gained
    assert changes(wrong, right).gained != sorted(wrong)


def test_a_case_shows_what_every_arm_chose_and_the_arms_passages():
    records = [
        record("rag", "a", passages=[passage(0.5, f"text {n}") for n in range(9)]),
        record("closed_book", "a", chosen=0),
        record("random", "a", chosen=None, state="truncated", passages=[passage(0.1, "noise")]),
        record("rag", "other"),
    ]
    texts = {"a": {"question": "Why?", "choices": ["w", "x", "y", "z"]}}
    case = answers.cases(records, [("a", 0)], "rag", texts)["a", 0]
    assert case.outcomes == [
        ("right answer", "C"), ("closed_book", "A, wrong"), ("rag", "C, right"),
        ("random", "truncated"),
    ]  # fmt: skip
    assert case.choices[2] == ("C ✓", "y")
    assert [one.text for one in case.passages] == [f"text {n}" for n in range(5)]


def test_a_case_without_texts_has_its_id_and_letters():
    case = answers.cases([record("rag", "a", passages=[passage(1.0)])], [("a", 0)], "rag", None)
    assert case["a", 0].name == "a"
    assert (case["a", 0].question, case["a", 0].passages[0].text) == ("", "")
