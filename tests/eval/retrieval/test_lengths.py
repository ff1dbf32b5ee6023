"""Cutting queries at word boundaries."""

from hypothesis import given
from hypothesis import strategies as st

from eval.retrieval.lengths import cut, cut_name


def pieces(text: str) -> int:
    """Two tokens a word, and one more for every four characters of it."""
    return sum(2 + len(word) // 4 for word in text.split())


@given(st.text(alphabet="ab \n", max_size=200), st.integers(1, 60))
def test_a_cut_is_the_longest_beginning_of_whole_words_that_fits(text: str, tokens: int) -> None:
    kept = cut(text, tokens, pieces)
    assert text.startswith(kept)
    words, left = text.split(), kept.split()
    assert left == words[: len(left)]
    if len(left) < len(words):
        assert pieces(" ".join(words[: len(left) + 1])) > tokens
    if len(left) > 1:
        assert pieces(kept) <= tokens


def test_a_word_that_is_too_long_is_kept_rather_than_nothing() -> None:
    assert cut("abcdefgh b", 1, pieces) == "abcdefgh"


def test_a_query_that_is_short_enough_stays_as_it_is() -> None:
    assert cut(" a  b\n", 4, pieces) == " a  b\n"


def test_cut_systems_have_names_of_their_own() -> None:
    assert cut_name("dense@minilm", 64) == "dense@minilm/len=64"
