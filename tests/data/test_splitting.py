"""The laws of chunks, on made-up and on real text."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.blocks import Block, Table, document_text
from data.cleaning import inline
from data.splitting import Splitter
from data.tables import index_text, table_block

_WORD = re.compile(r"\w+|[^\w\s]")


def of(text: str) -> Block:
    return Block("paragraph", text, joint="")


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
KINDS = st.sampled_from(["paragraph", "paragraph", "list_item", "line", "code", "note"])
BLOCKS = st.lists(
    st.one_of(
        st.builds(Block, KINDS, TEXTS, st.sampled_from([None, 1, 2])),
        st.builds(
            lambda text, level: Block("heading", text, level=level), TEXTS, st.integers(1, 3)
        ),
        st.lists(st.lists(TEXTS.map(inline), min_size=3, max_size=3), min_size=2, max_size=6).map(
            lambda rows: table_block(Table(tuple(map(tuple, rows)), 1, 1, "Title"))
        ),
    ),
    max_size=8,
)


@given(blocks=BLOCKS, limit=st.integers(4, 40), overlap=st.integers(0, 39))
def test_every_passage_lies_where_it_says(blocks, limit, overlap):
    text = document_text(blocks)
    passages = list(Splitter(count, limit, min(overlap, limit - 1)).split(blocks))
    assert [passage.index for passage in passages] == list(range(len(passages)))
    for passage in passages:
        assert text[passage.char_start : passage.char_end] == passage.text[passage.repeated :]
        assert passage.text.strip()


@given(text=TEXTS, limit=st.integers(1, 40), overlap=st.integers(0, 39))
def test_running_text_fits(text, limit, overlap):
    for passage in Splitter(count, limit, min(overlap, limit - 1)).split([of(text)]):
        assert passage.text.strip() == passage.text
        # a single character may be one token too many for a limit of none, never here
        assert count(passage.text) <= limit


@given(blocks=BLOCKS, limit=st.integers(2, 40))
def test_all_words_are_covered(blocks, limit):
    text = document_text(blocks)
    left = list(text)
    for passage in Splitter(count, limit, limit // 4).split(blocks):
        left[passage.char_start : passage.char_end] = " " * (passage.char_end - passage.char_start)
    tables = "".join(
        cell for block in blocks if block.table for row in block.table.rows for cell in row
    )
    missing = set("".join(left).split()) - {"|", "---", "Title"}
    assert all(word in tables for word in missing), "headers of tables that are cut are repeated"


@given(text=TEXTS, cut=st.integers(0, 400), limit=st.integers(4, 40))
def test_cutting_a_block_in_two_changes_no_passage(text, cut, limit):
    cut = min(cut, len(text))
    splitter = Splitter(count, limit, limit // 4)
    halves = [of(text[:cut]), of(text[cut:])]
    assert list(splitter.split(halves)) == list(splitter.split([of(text)]))


def test_a_passage_crosses_a_page_only_where_its_sentence_does():
    blocks = [
        Block("paragraph", "The pressure must not", 1),
        Block("paragraph", "exceed 16 bar.", 2, joint=" "),
        Block("paragraph", "A new page.", 3),
    ]
    passages = list(Splitter(count).split(blocks))
    assert [(p.page, p.text) for p in passages] == [
        (1, "The pressure must not exceed 16 bar."),
        (3, "A new page."),
    ]


def test_a_long_table_repeats_its_title_and_header():
    rows = (("Valve", "Leak rate"), *((f"V-{n}", f"{n} ml") for n in range(100, 160)))
    blocks = [Block("heading", "Leaks"), table_block(Table(rows, 1, 1, "Table 4: leak rates"))]
    passages = list(Splitter(count, 60, 8).split(blocks))
    assert len(passages) > 5
    for passage in passages:
        assert "Table 4: leak rates\n\n| Valve | Leak rate |\n| --- | --- |\n" in passage.text
        assert passage.heading_path == ("Leaks",)
    assert sum("Valve: V-143; Leak rate: 143 ml" in index_text(p.text) for p in passages) == 1


def test_a_table_that_fits_stays_whole():
    rows = (("a", "b"), *((str(n), str(n)) for n in range(5)))
    blocks = [of("Some words here. " * 14), table_block(Table(rows))]
    passages = list(Splitter(count, 60, 0).split(blocks))
    assert sum("| a | b |" in p.text for p in passages) == 1
    assert any("| 0 | 0 |" in p.text and "| 4 | 4 |" in p.text for p in passages)


def test_a_row_that_is_too_long_is_cut_between_cells_behind_its_label():
    names = ("Tag", *(f"Column {n}" for n in range(30)))
    row = ("P-7", *(f"value {n} of the pump" for n in range(30)))
    passages = list(Splitter(count, 60, 8).split([table_block(Table((names, row)))]))
    assert len(passages) > 3
    shown = "\n".join(index_text(passage.text) for passage in passages)
    assert all(f"Column {n}: value {n} of the pump" in shown for n in range(30))
    assert all("Tag: P-7" in index_text(passage.text) for passage in passages)


def test_a_list_that_is_cut_repeats_what_it_began_with():
    lead = Block("paragraph", "Before the start check:")
    items = [Block("list_item", f"- part {n} of the machine is clean") for n in range(30)]
    passages = list(Splitter(count, 60, 0).split([lead, *items]))
    assert len(passages) > 2
    assert all(passage.text.startswith("Before the start check:\n") for passage in passages)


def test_an_answer_stays_with_the_line_before_it():
    lines = [
        Block("line", f"[07:{n:02d}] Ola: line {n} of a long talk about pumps\n", joint="")
        for n in range(40)
    ]
    passages = [p.text for p in Splitter(count, 60, 4).split(lines)]
    for n in range(39):
        assert any(f"line {n} " in text and f"line {n + 1} " in text for text in passages)


def test_titles_are_capped_in_what_repeats_them():
    blocks = [Block("heading", "word " * 5000, level=1), of("Text. " * 50)]
    passages = list(Splitter(count, 60, 8).split(blocks))
    assert all(len(title) <= 200 for p in passages for title in p.heading_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: [of("word " * n)],
        lambda n: [of("x" * 5 * n)],
        lambda n: [of("A sentence here. " * (n // 3))],
        lambda n: [of("line\n" * n)],
        lambda n: [of("para\n\n" * n)],
        lambda n: [Block("heading", "word " * n), of("text " * 100)],
        lambda n: [Block("heading", f"H{k}", level=1 + k % 6) for k in range(n // 2)],
        lambda n: [Block("list_item", "- item of a list") for _ in range(n // 4)],
        lambda n: [Block("line", "a line of a log\n", joint="") for _ in range(n // 4)],
        lambda n: [table_block(Table((("a", "b"), *(("x", "y"),) * (n // 2))))],
        lambda n: [table_block(Table((("a",) * n, ("x y",) * n)))],
        lambda n: [Block("code", "code = 1\n" * n)],
    ],
)
def test_work_grows_with_the_text_and_not_with_its_square(make):
    def work(size: int) -> int:
        counted = 0

        def counting(text: str) -> int:
            nonlocal counted
            counted += len(text)
            return count(text)

        for passage in Splitter(counting, 60, 8).split(make(size)):
            counted += len(passage.text) + sum(map(len, passage.heading_path))
        return counted

    assert work(8000) <= 2.3 * work(4000)


def test_each_chunk_reaches_further_than_the_one_before():
    text = "One two three four. " * 200
    chunks = list(Splitter(count, 20, 19).split([of(text)]))
    ends = [chunk.char_end for chunk in chunks]
    assert ends == sorted(set(ends))
    assert all(a.char_end > b.char_start for a, b in pairwise(chunks))


def test_repeated_text_gets_its_true_offsets():
    text = "| a | b |\n" + "| 1 | 0 |\n" * 800
    chunks = list(Splitter(count).split([of(text)]))
    assert chunks[-1].char_end == len(text) - 1


def test_sentences_stay_whole_and_abbreviations_end_none():
    text = "Dr. Grey saw Fig. 3 of the report. It was wrong. " * 12
    for chunk in Splitter(count, 30, 0).split([of(text)]):
        assert chunk.text.startswith(("Dr. Grey", "It was"))
        assert chunk.text.endswith(("report.", "wrong."))


def test_a_chunk_prefers_to_end_with_a_paragraph():
    first = "Rain fell on the hills. " * 3
    second = "Snow fell on the peaks. " * 6
    chunks = list(Splitter(count, 30, 0).split([of(f"{first}\n\n{second}")]))
    assert chunks[0].text == first.strip()


def test_small_neighbours_under_one_heading_become_one_chunk():
    blocks = [Block("paragraph", "Salt dissolves."), Block("paragraph", "Sand does not.")]
    (chunk,) = Splitter(count).split(blocks)
    assert chunk.text == "Salt dissolves.\n\nSand does not."


def test_passages_with_an_id_stay_whole_however_long():
    text = "Water boils. " * 500
    block = Block("paragraph", text, title="T", passage_id="p1")
    (chunk,) = Splitter(count, 10, 2).split([block])
    assert (chunk.text, chunk.heading_path, chunk.passage_id) == (text, ("T",), "p1")


def test_a_long_word_that_counts_as_one_token_is_still_cut():
    chunks = list(Splitter(lambda _: 1, 10, 2).split([of("x" * 5000)]))
    assert max(len(chunk.text) for chunk in chunks) <= 160


def test_a_counter_that_sees_more_in_the_whole_than_in_the_parts_is_obeyed():
    def superadditive(text: str) -> int:
        return max(1, len(text.split()) ** 2 // 10)

    text = "One two three four. " * 50
    chunks = list(Splitter(superadditive, 20, 5).split([of(text)]))
    assert all(superadditive(chunk.text) <= 20 for chunk in chunks)
    assert chunks[-1].char_end == len(text.rstrip())


def test_a_megabyte_on_one_line_is_cut_with_few_counts():
    calls = 0

    def counted(text: str) -> int:
        nonlocal calls
        calls += len(text)
        return count(text)

    text = " ".join(f"word{number}" for number in range(110_000))
    chunks = list(Splitter(counted).split([of(text)]))
    assert all(text[chunk.char_start : chunk.char_end] == chunk.text for chunk in chunks)
    assert calls < 6 * len(text)


@pytest.mark.parametrize(("limit", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_impossible_sizes_are_refused(limit, overlap):
    with pytest.raises(ValueError, match=r"must be"):
        Splitter(count, limit, overlap)


def test_identity_tells_settings_apart():
    assert Splitter(count, 200, 32).identity != Splitter(count, 200, 16).identity


def heading(text: str, level: int = 1, page: int | None = None) -> Block:
    return Block("heading", text, page, level=level)


WIDE_ROW = Table((tuple(f"c{n}" for n in range(40)), tuple(f"value {n}" for n in range(40))))


@pytest.mark.parametrize(
    "body",
    [
        [Block("paragraph", "On the next page it goes on.", 2)],
        [of("word " * 59 + "end.")],
        [Block("list_item", "- " + "word " * 58)],
        [Block("line", "word " * 59)],
        [Block("note", "word " * 59), Block("paragraph", "More of it.")],
        [Block("code", "word\n" * 200)],
        [table_block(Table((("a", "b"), *(("x y z", "u v w"),) * 20)))],
        [table_block(WIDE_ROW)],
    ],
)
@pytest.mark.parametrize("titles", [["Pumps"], ["Machines", "Pumps"]])
def test_no_passage_is_a_heading_alone_where_something_follows(body, titles):
    headings = [heading(title, level, 1) for level, title in enumerate(titles, 1)]
    first, *others = Splitter(count, 60, 8).split([*headings, *body])
    assert first.text.startswith("\n\n".join(titles))
    assert len(first.text) > len("\n\n".join(titles)) + 10
    assert all("Machines" not in passage.text for passage in others)


def test_a_heading_without_anything_below_it_is_not_lost():
    passages = list(Splitter(count, 60, 8).split([heading("Part one"), heading("Part two")]))
    assert [passage.text for passage in passages] == ["Part one", "Part two"]


def test_sentences_end_where_all_other_parts_say_that_they_do():
    text = "Am 3. Juni kam Fa. Huber z. B. mit Rohren. Dann nicht mehr. " * 12
    for passage in Splitter(count, 40, 0).split([of(text)]):
        assert passage.text.startswith(("Am 3. Juni", "Dann nicht"))
