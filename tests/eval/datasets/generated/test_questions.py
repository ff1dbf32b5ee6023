"""Kept questions, and when a passage counts as the gold one."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from eval.datasets.generated.questions import (
    GeneratedQuestion,
    Place,
    questions_path,
    read,
    revision,
    write,
)
from eval.errors import EvalError

GOLD = Place("a.txt", None, 100, 200)


@pytest.mark.parametrize(
    ("start", "end", "relevant"),
    [(100, 200, True), (0, 150, True), (0, 149, False), (150, 400, True), (151, 400, False),
     (0, 1000, True), (120, 169, False)],
)  # fmt: skip
def test_a_passage_counts_where_it_holds_half_of_the_gold_one(start, end, relevant) -> None:
    assert Place("a.txt", None, start, end).holds_half_of(GOLD) is relevant


def test_another_document_or_page_never_counts() -> None:
    assert not Place("b.txt", None, 100, 200).holds_half_of(GOLD)
    assert not Place("a.txt", 1, 100, 200).holds_half_of(GOLD)
    assert not Place("a.txt", None, 100, 100).holds_half_of(Place("a.txt", None, 100, 100))


def test_ids_tell_places_apart() -> None:
    assert GOLD.id == "a.txt#:100"
    assert Place("a.txt", 3, 0, 9).id == "a.txt#3:0"


@given(some.text(), some.text(min_size=1))
def test_a_set_is_read_as_it_was_written(tmp_path_factory, question, source) -> None:
    path = questions_path(tmp_path_factory.mktemp("storage"), "c")
    kept = [GeneratedQuestion("1", question, "llm", "m", Place(source, 2, 0, 5))]
    write(path, kept)
    assert read(path) == kept
    assert path.name == "c.jsonl"


def test_revisions_differ_with_content() -> None:
    first = GeneratedQuestion("1", "q", "cloze", "", GOLD)
    assert revision([first]) == revision([first])
    assert revision([first]) != revision([GeneratedQuestion("1", "p", "cloze", "", GOLD)])


@pytest.mark.parametrize("content", ["no JSON", '{"id": "1"}', "[]", '{"source": 1}'])
def test_a_damaged_set_is_refused_with_the_hint(tmp_path, content) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(content)
    with pytest.raises(EvalError, match="--fresh"):
        read(path)


def test_a_missing_set_is_refused(tmp_path) -> None:
    with pytest.raises(EvalError, match="cannot be read"):
        read(tmp_path / "none.jsonl")
