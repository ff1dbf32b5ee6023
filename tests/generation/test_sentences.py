import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.sentences import split_sentences


def sentences(text: str, longest: int = 500) -> list[str]:
    return [text[a:b] for a, b in split_sentences(text, longest)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One is here. Two is there! Three?", ["One is here.", "Two is there!", "Three?"]),
        ("Fig. 3 by Dr. J. Smith et al. in 1990.", ["Fig. 3 by Dr. J. Smith et al. in 1990."]),
        ("It costs 3.50 today. Cheap.", ["It costs 3.50 today.", "Cheap."]),
        ("Wait ... what", ["Wait ... what"]),
        ('He said "go." She went.', ['He said "go."', "She went."]),
        ("Heading\n\nBody text", ["Heading", "Body text"]),
        ("Steps:\n- first\n- second\n1. third", ["Steps:", "- first", "- second", "1. third"]),
        ("一つ目。二つ目。", ["一つ目。", "二つ目。"]),
        ("a line\nthat goes on.", ["a line\nthat goes on."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_say(text, expected):
    assert sentences(text) == expected


def test_text_without_punctuation_is_cut_at_blanks():
    pieces = sentences("word " * 100, longest=40)
    assert max(map(len, pieces)) <= 40
    assert " ".join(pieces) == ("word " * 100).strip()


def test_a_too_short_limit_is_refused():
    with pytest.raises(ValueError, match="20"):
        split_sentences("a", longest=5)


@given(st.text(alphabet=" \n.!?aA1-。\"'[", max_size=200), st.integers(20, 60))
def test_sentences_cover_all_but_white_space(text, longest):
    spans = split_sentences(text, longest)
    assert all(0 < b - a <= longest for a, b in spans)
    assert all(text[a:b] == text[a:b].strip() for a, b in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert "".join("".join(text[a:b] for a, b in spans).split()) == "".join(text.split())


@pytest.mark.parametrize("unit", [".", ". ", "\n", "\n ", "(", "x", " ", "。", "1. ", ".)"])
def test_hostile_text_is_split_in_linear_time(unit):
    started = time.perf_counter()
    split_sentences(unit * 20_000)
    assert time.perf_counter() - started < 2
