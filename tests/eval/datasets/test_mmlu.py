"""MMLU is whole or refused."""

import json
from collections import Counter

import pytest

from eval.datasets.mmlu import find
from eval.errors import DatasetError


@pytest.mark.parametrize(("split", "questions"), [("test", 14_042), ("dev", 285)])
def test_the_local_copy_is_whole(shared_data, tmp_path, split, questions):
    data = find(shared_data, tmp_path, split)
    assert len(data.questions) == questions
    assert len({question.subject for question in data.questions}) == 57
    assert all(len(question.choices) == 4 for question in data.questions)
    assert data.corpus == shared_data / "openstax" / "passages.jsonl"
    assert not data.private
    assert list(tmp_path.iterdir()) == []


def test_answers_are_spread_over_all_positions(shared_data, tmp_path):
    shares = Counter(question.answer for question in find(shared_data, tmp_path).questions)
    assert set(shares) == {0, 1, 2, 3}
    assert min(shares.values()) > 3000


def test_the_splits_differ_in_revision_and_name(shared_data, tmp_path):
    test, dev = find(shared_data, tmp_path), find(shared_data, tmp_path, "dev")
    assert (test.name, dev.name) == ("mmlu", "mmlu (dev)")
    assert test.revision != dev.revision


def test_a_copy_of_the_form_of_the_hub_gets_the_same_ids(shared_data, tmp_path):
    ours = find(shared_data, tmp_path, "dev")
    folder = tmp_path / "data" / "mmlu"
    folder.mkdir(parents=True)
    with (folder / "dev.jsonl").open("w") as file:
        for q in ours.questions:
            row = {"question": q.question, "subject": q.subject, "choices": q.choices}
            file.write(json.dumps({**row, "answer": q.answer}) + "\n")
    theirs = find(tmp_path / "data", tmp_path, "dev")
    assert theirs.questions == ours.questions
    assert theirs.revision == ours.revision
    assert theirs.corpus is None


def test_a_part_is_refused(shared_data, tmp_path):
    lines = (shared_data / "mmlu" / "mmlu.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "mmlu" / "mmlu.jsonl").write_text("\n".join(lines[:50]), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"not whole: it has 50 questions .* not 14042 of 57"):
        find(tmp_path, tmp_path)


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"no split 'train'. It has test, dev"):
        find(None, tmp_path, "train")
