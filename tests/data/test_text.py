"""Stems and stop words are those of Snowball and of the lists, in any order of looking up."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.text import _PIECE, ENGLISH_STOP_WORDS, QUESTION_STOP_WORDS, Stems, content_words, nfkc


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


@pytest.mark.parametrize(
    ("question", "content"),
    [
        ("Wie viel Honig gab die Linde?", "Honig Linde?"),
        ("Où est la clé du hangar ?", "clé hangar ?"),
        ("¿Cuánto pesa la bomba del sótano?", "pesa bomba sótano?"),
        ("Quanto costa la chiave della cantina?", "costa chiave cantina?"),
        ("Hvor mange nøgler er der i skuret?", "nøgler skuret?"),
        ("What was the die in the hat of the man?", "What was the die in the hat of the man?"),
        ("Wer ist das?", "Wer ist das?"),
        ("Motor P-3", "Motor P-3"),
        ("", ""),
    ],
)
def test_function_words_of_a_questions_language_are_left_out(question, content):
    assert content_words(question) == content


@given(st.text())
def test_short_texts_are_normalised_as_unicode_says(text):
    assert nfkc(text) == unicodedata.normalize("NFKC", text)


def test_long_texts_are_normalised_in_pieces_between_words():
    text = "ﬁne cafe\u0301 １２ " * 1000
    assert nfkc(text) == unicodedata.normalize("NFKC", text)


def test_no_piece_is_so_long_that_its_square_costs_much():
    signs = "\u0300\u0316\u0327" * 70_000
    assert max(map(len, _PIECE.findall(signs))) == 1000
    assert "".join(_PIECE.findall(signs)) == signs
    assert sorted(nfkc(signs)) == sorted(signs)
