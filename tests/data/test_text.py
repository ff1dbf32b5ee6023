"""Stems and stop words are those of Snowball and of the lists, in any order of looking up."""

import pytest

from data.text import ENGLISH_STOP_WORDS, QUESTION_STOP_WORDS, Stems


def test_words_become_stems_and_stop_words_nothing():
    stems = Stems("english", ENGLISH_STOP_WORDS)
    assert [stems[word] for word in ("the", "running", "runs", "to", "runs")] == [
        "", "run", "run", "", "run"
    ]  # fmt: skip


def test_without_a_language_words_stay_as_they_are():
    assert Stems("none")["running"] == "running"


def test_other_languages_have_their_own_stems():
    assert Stems("german")["häuser"] == Stems("german")["haus"]


def test_an_unknown_language_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"klingon.*english"):
        Stems("klingon")


def test_questions_pass_over_words_that_a_search_counts():
    assert {"describe", "explain"} <= QUESTION_STOP_WORDS - ENGLISH_STOP_WORDS
