"""Text becomes the terms that BM25 counts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.text import ENGLISH_STOP_WORDS
from retrieval.analysis import Analyzer

ENGLISH = Analyzer("english")


def test_words_are_lowered_freed_of_function_words_and_stemmed():
    assert ENGLISH("The Cells of the mice were Dividing.") == ["cell", "mice", "divid"]


def test_repetitions_and_order_are_kept():
    assert ENGLISH("red, blue, red") == ["red", "blue", "red"]


def test_forms_of_a_word_share_a_term():
    assert len({*ENGLISH("connect connected connecting connection connections")}) == 1


def test_text_without_words_has_no_terms():
    assert ENGLISH("") == []
    assert ENGLISH("the and of — …!?") == []


def test_accents_survive_and_compatibility_forms_are_unified():
    assert Analyzer("none")("ﬁne naïve cafe\u0301 １２") == ["fine", "naïve", "café", "12"]


def test_scripts_other_than_latin_have_words():
    assert Analyzer("russian")("книги книга") == ["книг", "книг"]
    assert Analyzer("none")("Ωμέγα ١٢٣") == ["ωμέγα", "١٢٣"]


def test_letters_and_digits_are_terms_of_their_own():
    assert Analyzer("none")("IL-6 il6 CO2") == ["il", "6", "il", "6", "co", "2"]
    assert Analyzer("none")("ＩＬ６") == ["il", "6"]


@pytest.mark.parametrize("apostrophe", ["'", "’"])
def test_possessive_s_is_dropped(apostrophe):
    assert ENGLISH(f"Darwin{apostrophe}s finches, vitamin S") == ["darwin", "finch", "vitamin", "s"]


def test_signs_that_belong_to_letters_do_not_cut_words():
    assert Analyzer("none")("हिन्दी भाषा") == ["हिन्दी", "भाषा"]
    assert Analyzer("none")("שָׁלוֹם x̄y") == ["שָׁלוֹם", "x̄y"]


def test_scripts_without_spaces_are_cut_into_characters():
    assert Analyzer("none")("東京タワー2階") == ["東", "京", "タ", "ワ", "ー", "2", "階"]


def test_scripts_without_spaces_are_cut_into_clusters_of_letters_and_signs():
    assert Analyzer("none")("โกดังหมายเลขสาม") == [
        "โก", "ดั", "ง", "ห", "มา", "ย", "เล", "ข", "สา", "ม",
    ]  # fmt: skip
    assert Analyzer("none")("ເປີດ ឃ្លាំង ဂိုဒေါင်") == ["ເປີ", "ດ", "ឃ្លាំ", "ង", "ဂို", "ဒေါ", "င်"]


def test_none_neither_stems_nor_drops():
    assert Analyzer("none")("The cats") == ["the", "cats"]


def test_english_stop_words_do_not_apply_to_other_languages():
    assert Analyzer("german")("was die Häuser") == ["was", "die", "haus"]


def test_unknown_language_is_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match=r"'klingon'.*english.*german"):
        Analyzer("klingon")


def test_identity_tells_languages_apart():
    assert Analyzer("english").identity != Analyzer("german").identity
    assert Analyzer("english").identity == ENGLISH.identity


@pytest.mark.parametrize("context", ["{}", "({}) — {}"])
def test_no_stop_word_is_a_term(context):
    assert all(ENGLISH(context.format(word, word)) == [] for word in ENGLISH_STOP_WORDS)


def test_threads_may_share_an_analyzer():
    texts = [f"running{n} jumps{n} quickly{n}" for n in range(300)]
    shared = Analyzer("english")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(shared, texts * 3))
    assert results == [Analyzer("english")(text) for text in texts] * 3


@given(st.text())
def test_any_text_has_lower_case_terms_without_separators(text: str):
    terms = Analyzer("none")(text)
    assert all(term and not any(sign.isspace() for sign in term) for term in terms)


@given(st.text(), st.text())
def test_terms_of_lines_are_the_terms_of_each(left: str, right: str):
    assert ENGLISH(f"{left}\n{right}") == ENGLISH(left) + ENGLISH(right)
