"""MMLU-Pro is read from the hub's form, whole or refused."""

import json

import pytest

from eval.datasets.mmlu_pro import COUNTS, find
from eval.errors import DatasetError


def row(number, **changed):
    usual = {
        "question_id": number,
        "question": f"What is {number}?",
        "options": ["a", "b", "c", "N/A", "N/A"],
        "answer": "C",
        "answer_index": 2,
        "cot_content": "",
        "category": "math",
        "src": "made",
    }
    return {**usual, **changed}


@pytest.fixture
def copied(tmp_path):
    def write(rows, split="validation"):
        folder = tmp_path / "mmlu_pro"
        folder.mkdir()
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines)
        return tmp_path

    return write


def test_rows_become_questions_without_the_choices_that_fill_up(copied):
    data = find(copied(row(number) for number in range(70)), copied, "dev")
    assert data.name == "mmlu_pro (dev)"
    assert data.questions[7].id == "7"
    assert data.questions[7].choices == ("a", "b", "c")
    assert (data.questions[7].answer, data.questions[7].subject) == (2, "math")


def test_ten_choices_are_kept(copied):
    ten = list("abcdefghij")
    rows = [row(n, options=ten, answer="J", answer_index=9) for n in range(COUNTS["test"])]
    data = find(copied(rows, "test"), copied)
    assert len(data.questions) == 12_032
    assert data.questions[0].choices == tuple(ten)
    assert data.questions[0].answer == 9


def test_a_part_is_refused(copied):
    with pytest.raises(
        DatasetError, match=r"mmlu_pro \(dev\) is not whole: .*69 questions, not 70"
    ):
        find(copied(row(number) for number in range(69)), copied, "dev")


def test_a_broken_row_is_named(copied):
    rows = [row(1), row(2, answer_index=3)]
    with pytest.raises(
        DatasetError, match=r"validation.jsonl line 2 .*answer_idx 3 points at none"
    ):
        find(copied(rows), copied, "dev")


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"no split 'train'. It has test and dev"):
        find(None, tmp_path, "train")
