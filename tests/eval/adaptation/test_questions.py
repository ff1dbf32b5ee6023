import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.adaptation.questions import Question, part, read
from eval.errors import EvalError
from retrieval.training.pairs import Passage

PASSAGES = [
    Passage("handbook.md", "The spare pump is in the north shed."),
    Passage("d7", "Tides."),
    Passage("handbook.md", "Oil it daily.", ("Pumps",), "handbook.md", "5f0c"),
]


def written(tmp_path, *records):
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def test_the_answer_may_be_a_document_a_passage_or_words(tmp_path):
    path = written(
        tmp_path,
        {"question": "where?", "document": "handbook.md"},
        {"question": "which tides?", "passage_id": "d7", "answer": "spring"},
        {"question": "which shed?", "text": "in the north shed"},
        {"question": "how often?", "passage_id": "5f0c"},
    )
    assert read(path, PASSAGES) == [
        Question("where?", "handbook.md"),
        Question("which tides?", "d7"),
        Question("which shed?", "handbook.md", "in the north shed"),
        Question("how often?", "handbook.md", "Pumps Oil it daily."),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"question": "where?"},
        {"question": "where?", "document": "other.md"},
        {"question": "where?", "text": "in the south shed"},
        {"question": " ", "document": "d7"},
        {"document": "d7"},
        ["where?"],
    ],
)
def test_a_line_that_cannot_be_judged_is_named(tmp_path, bad):
    with pytest.raises(EvalError, match="line 2"):
        read(written(tmp_path, {"question": "q", "document": "d7"}, bad), PASSAGES)


@given(st.sets(st.text(max_size=5)), st.integers(0, 5))
def test_a_key_falls_on_the_same_side_whatever_others_there_are(keys, seed):
    held = part(keys, 0.3, seed)
    assert held <= keys
    assert all((key in held) == bool(part([key], 0.3, seed)) for key in keys)


def test_about_the_share_is_held_out():
    assert 250 < len(part(map(str, range(1000)), 0.3, 0)) < 350
