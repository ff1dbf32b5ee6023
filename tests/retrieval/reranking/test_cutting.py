from hypothesis import given
from hypothesis import strategies as st

from data.tokens import estimate_tokens
from retrieval.reranking.cutting import cut


def words(text: str) -> int:
    return len(text.split())


def test_a_short_text_stays_as_it_is():
    assert cut("one two ", 2, words) == "one two "


def test_a_long_text_is_cut_behind_a_whole_word():
    assert cut("one two three four", 2, words) == "one two"
    assert cut("electricity electricity", 5, estimate_tokens) == "electricity"


def test_text_without_blanks_is_cut_all_the_same():
    assert cut("x" * 500, 10, estimate_tokens) == "x" * 32
    assert cut("水" * 500, 30, estimate_tokens) == "水" * 32


@given(st.text(max_size=200), st.integers(0, 60))
def test_what_is_left_is_a_beginning_within_the_budget(text, budget):
    left = cut(text, budget, estimate_tokens)
    assert text.startswith(left)
    assert estimate_tokens(left) <= budget
    assert left == text or estimate_tokens(text) > budget
