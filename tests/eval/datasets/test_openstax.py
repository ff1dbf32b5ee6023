"""Questions at the ends of sections are judged by the module that they end."""

import json

import pytest

from eval.datasets.openstax import choice, retrieval
from eval.errors import DatasetError
from eval.retrieval.external import documents
from eval.retrieval.metrics import mean, mrr

QUESTION = {"id": "b:m1:q0", "book": "b", "module": "m1", "question": "?", "options": ["x", "y"]}
PASSAGES = ["b:m1:0", "b:m1:g2", "b:m2:0"]


@pytest.fixture
def books(tmp_path):
    (tmp_path / "openstax").mkdir()

    def write(**changed):
        record = {**QUESTION, "answer": "B", "answer_idx": 1, **changed}
        (tmp_path / "openstax" / "mcq.jsonl").write_text(json.dumps(record))
        lines = [json.dumps({"id": passage, "text": passage}) for passage in PASSAGES]
        (tmp_path / "openstax" / "passages.jsonl").write_text("\n".join(lines))
        return tmp_path

    return write


def test_any_passage_of_the_module_is_a_hit(books):
    data = retrieval(books())
    assert data.queries == {"b:m1:q0": "?"}
    assert data.qrels == {"b:m1:q0": {"b:m1": 1}}
    assert data.parents == {"b:m1:0": "b:m1", "b:m1:g2": "b:m1", "b:m2:0": "b:m2"}
    run = {"b:m1:q0": {"b:m2:0": 3.0, "b:m1:g2": 2.0, "b:m1:0": 1.0}}
    folded = {query: documents(hits, query, data) for query, hits in run.items()}
    assert mean(mrr(folded, data.qrels)) == 0.5


def test_choices_come_with_the_books_as_their_corpus(books):
    data = choice(books())
    assert data.name == "openstax"
    assert (data.questions[0].choices, data.questions[0].answer) == (("x", "y"), 1)
    assert data.questions[0].subject == "b"
    assert data.corpus is not None
    assert data.corpus.name == "passages.jsonl"


def test_a_module_that_the_books_lack_is_named(books):
    with pytest.raises(DatasetError, match=r"lacks 1 of 1 .*'b:m3'"):
        retrieval(books(module="m3"))


def test_a_question_without_module_is_named(books):
    folder = books()
    (folder / "openstax" / "mcq.jsonl").write_text(
        json.dumps({key: value for key, value in QUESTION.items() if key != "module"})
    )
    with pytest.raises(DatasetError, match=r"mcq.jsonl line 1 .*question with book and module"):
        retrieval(folder)


@pytest.mark.parametrize("load", [retrieval, choice])
def test_missing_files_are_said_with_the_hint(tmp_path, load):
    for folder in (None, tmp_path):
        with pytest.raises(DatasetError, match=r"openstax is missing: .*--data-dir"):
            load(folder)


def test_counts_of_the_real_books(shared_data):
    data = retrieval(shared_data)
    assert len(data.queries) == 2805
    assert len(data.parents) == 24_783
    assert len(choice(shared_data).questions) == 2805
