"""The laws of chunks, on made-up and on real text."""

import re
from itertools import pairwise

import pytest
from data.sections import Section, page_texts
from hypothesis import given
from hypothesis import strategies as st

from data.splitting import Splitter

_WORD = re.compile(r"\w+|[^\w\s]")


def count(text: str) -> int:
    return len(_WORD.findall(text))


WORDS = st.sampled_from(
    [
        "Heat",
        "flows",
        "from",
        "hot",
        "to",
        "cold.",
        "Why?",
        "e.g.",
        "(see",
        "Fig.",
        "3)",
        "\n",
        "\n\n",
        "  ",
        "x" * 90,
        "水是湿的。",
        "a;b",
        "1.",
        "ß",
        "\n \n",
        "...",
        "\t",
    ]
)
TEXTS = st.lists(WORDS, max_size=120).map(" ".join)
SECTIONS = st.lists(
    st.tuples(
        TEXTS,
        st.sampled_from([None, 1, 2]),
        st.sampled_from([(), ("A",), ("A", "B")]),
        st.integers(0, 12),
    ),
    max_size=6,
)


def addressed(drawn) -> list[Section]:
    """Sections with gaps, in order within each page."""
    ends: dict[int | None, int] = {}
    sections = []
    for text, page, path, gap in drawn:
        start = ends.get(page, 0) + gap
        sections.append(Section(text, page, path, start))
        ends[page] = start + len(text)
    return sections


@given(drawn=SECTIONS, limit=st.integers(1, 40), overlap=st.integers(0, 39))
def test_every_chunk_lies_where_it_says_and_fits(drawn, limit, overlap):
    sections = addressed(drawn)
    texts = page_texts(sections)
    chunks = list(Splitter(count, limit, min(overlap, limit - 1)).split(sections))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert texts[chunk.page][chunk.char_start : chunk.char_end] == chunk.text
        assert chunk.text.strip() == chunk.text != ""
        # a single character may be one token too many for a limit of none, never here
        assert count(chunk.text) <= limit


@given(drawn=SECTIONS, limit=st.integers(2, 40))
def test_all_text_but_white_space_is_covered(drawn, limit):
    sections = addressed(drawn)
    chunks = list(Splitter(count, limit, limit // 4).split(sections))
    for page, text in page_texts(sections).items():
        left = list(text)
        for chunk in chunks:
            if chunk.page == page:
                left[chunk.char_start : chunk.char_end] = " " * len(chunk.text)
        assert not "".join(left).strip()


@given(drawn=SECTIONS, limit=st.integers(4, 40))
def test_no_chunk_crosses_a_page_or_a_heading(drawn, limit):
    sections = addressed(drawn)
    for chunk in Splitter(count, limit, 2).split(sections):
        inside = [
            section
            for section in sections
            if section.page == chunk.page
            and section.text.strip()
            and section.char_start < chunk.char_end
            and chunk.char_start < section.char_end
        ]
        assert {section.heading_path for section in inside} == {chunk.heading_path}


@given(text=TEXTS, cut=st.integers(0, 400), limit=st.integers(4, 40))
def test_cutting_a_section_in_two_changes_no_chunk(text, cut, limit):
    cut = min(cut, len(text))
    chunker = Splitter(count, limit, limit // 4)
    halves = [Section(text[:cut]), Section(text[cut:], char_start=cut)]
    assert list(chunker.split(halves)) == list(chunker.split([Section(text)]))


def test_each_chunk_reaches_further_than_the_one_before():
    text = "One two three four. " * 200
    chunks = list(Splitter(count, 20, 19).split([Section(text)]))
    ends = [chunk.char_end for chunk in chunks]
    assert ends == sorted(set(ends))
    assert all(a.char_end > b.char_start for a, b in pairwise(chunks))


def test_repeated_text_gets_its_true_offsets():
    text = "| a | b |\n" + "| 1 | 0 |\n" * 800
    chunks = list(Splitter(count).split([Section(text)]))
    assert chunks[-1].char_end == len(text) - 1


def test_sentences_stay_whole_and_abbreviations_end_none():
    text = "Dr. Grey saw Fig. 3 of the report. It was wrong. " * 12
    for chunk in Splitter(count, 30, 0).split([Section(text)]):
        assert chunk.text.startswith(("Dr. Grey", "It was"))
        assert chunk.text.endswith(("report.", "wrong."))


def test_a_chunk_prefers_to_end_with_a_paragraph():
    first = "Rain fell on the hills. " * 3
    second = "Snow fell on the peaks. " * 6
    chunks = list(Splitter(count, 30, 0).split([Section(f"{first}\n\n{second}")]))
    assert chunks[0].text == first.strip()


def test_small_neighbours_under_one_heading_become_one_chunk():
    sections = [
        Section("Salt dissolves.", None, ("A",), 0),
        Section("Sand does not.", None, ("A",), 17),
    ]
    (chunk,) = Splitter(count).split(sections)
    assert chunk.text == "Salt dissolves.\n\nSand does not."


def test_passages_with_an_id_stay_whole_however_long():
    text = "Water boils. " * 500
    (chunk,) = Splitter(count, 10, 2).split([Section(text, None, ("T",), 7, "p1")])
    assert (chunk.text, chunk.char_start, chunk.passage_id) == (text, 7, "p1")


def test_a_long_word_that_counts_as_one_token_is_still_cut():
    chunks = list(Splitter(lambda _: 1, 10, 2).split([Section("x" * 5000)]))
    assert max(len(chunk.text) for chunk in chunks) <= 160


def test_a_counter_that_sees_more_in_the_whole_than_in_the_parts_is_obeyed():
    def superadditive(text: str) -> int:
        return max(1, len(text.split()) ** 2 // 10)

    text = "One two three four. " * 50
    chunks = list(Splitter(superadditive, 20, 5).split([Section(text)]))
    assert all(superadditive(chunk.text) <= 20 for chunk in chunks)
    assert chunks[-1].char_end == len(text.rstrip())


def test_a_megabyte_on_one_line_is_cut_with_few_counts():
    calls = 0

    def counted(text: str) -> int:
        nonlocal calls
        calls += len(text)
        return count(text)

    text = " ".join(f"word{number}" for number in range(110_000))
    chunks = list(Splitter(counted).split([Section(text)]))
    assert all(text[chunk.char_start : chunk.char_end] == chunk.text for chunk in chunks)
    assert calls < 6 * len(text)


@pytest.mark.parametrize(("limit", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_impossible_sizes_are_refused(limit, overlap):
    with pytest.raises(ValueError, match=r"must be"):
        Splitter(count, limit, overlap)


def test_identity_tells_settings_apart():
    assert Splitter(count, 200, 32).identity != Splitter(count, 200, 16).identity
