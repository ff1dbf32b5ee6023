"""Your own questions are read, and broken ones are refused with the line and the reason."""

import json

import pytest

from eval.datasets.choice import Question
from eval.datasets.choice_jsonl import find, load
from eval.errors import DatasetError

GOOD = {"id": "1", "question": "Who purrs?", "choices": ["dogs", "cats"], "answer_idx": 1}


@pytest.fixture
def written(tmp_path):
    def write(*records):
        path = tmp_path / "questions.jsonl"
        lines = (r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "record",
    [
        {**GOOD, "subject": "zoology"},
        {**GOOD, "book": "zoology", "answer": "B", "unknown": 1},
        {"id": 1, "question": "Who purrs?", "options": ["dogs", "cats"], "answer": "b",
         "subject": "zoology"},
    ],
)  # fmt: skip
def test_fields_and_their_other_names(written, record):
    expected = Question("1", "Who purrs?", ("dogs", "cats"), 1, "zoology")
    assert load(written(record)) == [expected]


def test_a_subject_may_be_absent(written):
    assert load(written(GOOD))[0].subject == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": " "}, "no question"),
        ({"question": None}, "no question"),
        ({"choices": "dogs, cats"}, "no choices"),
        ({"choices": [1, 2]}, "no choices"),
        ({"choices": ["dogs"]}, "1 choices; 2 to 26"),
        ({"choices": ["x"] * 27}, "27 choices; 2 to 26"),
        ({"id": None}, "no id"),
        ({"id": ""}, "no id"),
        ({"subject": 7}, "subject is no text"),
        ({"answer_idx": 2}, r"answer_idx 2 points at none of 2 choices \(from 0\)"),
        ({"answer_idx": -1}, "points at none"),
        ({"answer_idx": True}, "no whole number"),
        ({"answer_idx": "1"}, "no whole number"),
        ({"answer_idx": None}, "neither answer_idx nor answer"),
        ({"answer_idx": None, "answer": 1}, "no letter; give answer_idx"),
        ({"answer_idx": None, "answer": "cats"}, "no letter; give answer_idx"),
        ({"answer_idx": None, "answer": "C"}, "points at none"),
        ({"answer_idx": 1, "answer": "A"}, "answer_idx 1 and its answer A differ"),
    ],
)
def test_a_broken_field_is_named_with_its_line_and_the_hint(written, change, reason):
    path = written(GOOD, "", {**GOOD, "id": "2", **change})
    with pytest.raises(DatasetError, match=rf"questions.jsonl line 3 .*{reason}.*must look like"):
        load(path)


@pytest.mark.parametrize("line", ["{", "[]", "7"])
def test_a_line_that_is_no_object_is_named(written, line):
    with pytest.raises(DatasetError, match=r"line 2 .*must look like"):
        load(written(GOOD, line))


def test_an_answer_that_is_its_own_text_and_not_a_letter_is_ignored_beside_an_index(written):
    assert load(written({**GOOD, "answer": "cats"}))[0].answer == 1


def test_ids_that_stand_twice_and_empty_files_are_refused(written):
    with pytest.raises(DatasetError, match="two questions with the id '1'"):
        find(str(written(GOOD, GOOD)), None)
    with pytest.raises(DatasetError, match="has no questions"):
        find(str(written()), None)


def test_a_file_is_found_by_its_path_or_within_the_data_folder(written, tmp_path):
    path = written(GOOD)
    assert find(str(path), None).name == f"jsonl:{path}"
    found = find("questions.jsonl", tmp_path)
    assert found.name == "jsonl:questions.jsonl"
    assert found.corpus is None
    with pytest.raises(DatasetError, match=r"absent.jsonl cannot be read: no such file"):
        find("absent.jsonl", tmp_path)


def test_passages_beside_the_questions_are_their_corpus(written, tmp_path):
    (tmp_path / "passages.jsonl").write_text("")
    assert find(str(written(GOOD)), None).corpus == tmp_path / "passages.jsonl"


def test_the_revision_is_that_of_the_questions_however_they_are_written(written):
    before = find(str(written(GOOD)), None).revision
    other = {"id": 1, "question": "Who purrs?", "options": ["dogs", "cats"], "answer": "B"}
    assert find(str(written(other)), None).revision == before
    assert find(str(written({**GOOD, "answer_idx": 0})), None).revision != before
