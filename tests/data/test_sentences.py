from itertools import pairwise
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sentences import split_sentences


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


@pytest.mark.parametrize("unit", [".", ". ", "\n", "\n ", "(", "x", " ", "。", "1. ", ".)", "z. "])
def test_the_work_grows_with_the_size_of_the_text(unit):
    def seconds(count: int) -> float:
        start = process_time()
        split_sentences(unit * count)
        return process_time() - start

    seconds(1000)
    assert min(seconds(80_000) for _ in range(3)) < 8 * min(seconds(20_000) for _ in range(3)) + 0.1


CASES = Path(__file__).parent / "sentence_cases.txt"


def cases() -> list[tuple[str, list[str]]]:
    """Each text with its sentences; see the head of the file."""
    lines = [
        line.partition(" ")[2]
        for line in CASES.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    return [
        (line.replace(" | ", " ").replace(" |", ""), line.replace(" | ", " |").split(" |"))
        for line in lines
    ]


def test_there_are_two_hundred_cases():
    assert len(cases()) >= 200


@pytest.mark.parametrize(("text", "expected"), cases())
def test_sentences_in_six_languages(text, expected):
    assert sentences(text) == expected
