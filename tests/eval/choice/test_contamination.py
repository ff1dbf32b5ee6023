"""Overlap is found word for word, wherever it stands, and nowhere else."""

import json
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.choice.contamination import overlapping, shares_ngram

WORDS = [f"w{number}" for number in range(40)]


def words(start: int, end: int) -> str:
    return " ".join(WORDS[start:end])


def test_thirteen_words_in_a_row_overlap_and_twelve_do_not() -> None:
    question = words(0, 30)
    assert shares_ngram(question, ["before it " + words(9, 22) + " after it"])
    assert not shares_ngram(question, ["before it " + words(9, 21) + " after it"])
    assert not shares_ngram(question, [words(0, 12) + " break " + words(12, 24)])


def test_case_punctuation_and_line_breaks_do_not_matter() -> None:
    question = "Which of these, if any, is the cause of 'tidal locking' (of a moon)?"
    passage = "WHICH of these if\nany is -- the cause of tidal\nlocking of a moon is asked often."
    assert shares_ngram(question, ["nothing of the kind", passage])


@pytest.mark.parametrize("length", [8, 10, 12])
def test_short_questions_must_be_found_whole(length: int) -> None:
    assert shares_ngram(words(0, length), [f"a {words(0, length)} b"])
    assert not shares_ngram(words(0, length), [f"a {words(0, length - 1)} b"])


def test_questions_of_fewer_than_eight_words_never_count() -> None:
    assert not shares_ngram(words(0, 7), [words(0, 7)])
    assert not shares_ngram("", ["", "anything"])


def test_the_number_of_words_can_be_chosen() -> None:
    assert shares_ngram(words(0, 9), [words(2, 7)], n=5)
    assert not shares_ngram(words(0, 9), [words(2, 6)], n=5)


@given(
    st.dictionaries(st.text("xyz", min_size=1), st.lists(st.sampled_from("abc"), max_size=20)),
    st.lists(st.lists(st.sampled_from("abc"), max_size=30), max_size=4),
    st.integers(1, 13),
)
def test_finds_what_comparing_everything_with_everything_finds(
    questions: dict[str, list[str]], passages: list[list[str]], n: int
) -> None:
    def grams(text: list[str], length: int) -> set[tuple[str, ...]]:
        return {tuple(text[i : i + length]) for i in range(len(text) - length + 1)}

    expected = {
        name
        for name, text in questions.items()
        for length in [max(min(n, len(text)), min(n, 8))]
        if any(grams(text, length) & grams(passage, length) for passage in passages)
    }
    texts = {name: " ".join(text) for name, text in questions.items()}
    assert overlapping(texts, (" ".join(passage) for passage in passages), n) == expected


def test_a_question_planted_in_a_real_corpus_is_found(shared_data: Path) -> None:
    with (shared_data / "mmlu" / "mmlu.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, 500)]
    questions = {row["id"]: row["question"] for row in rows}
    planted = next(name for name, text in questions.items() if len(text.split()) > 20)
    with (shared_data / "openstax" / "passages.jsonl").open(encoding="utf-8") as lines:
        passages = [json.loads(line)["text"] for line in islice(lines, 300)]
    before = overlapping(questions, passages)
    passages[150] += "\n" + questions[planted].upper()
    assert planted not in before
    # Others may share a phrase with the planted one, so nothing is said of these.
    assert planted in overlapping(questions, passages)
