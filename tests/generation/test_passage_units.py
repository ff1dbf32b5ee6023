import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.passage_units import find_units, parse_blocks, plain


def kinds(text: str, *headings: str) -> list[str]:
    return [block.kind for block in parse_blocks(text, headings)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\nBody goes\non here.", ["heading", "paragraph"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["table"]),
        ("- one\n  goes on\n- two", ["item", "item"]),
        (
            "From: a@b.example\nTo: c@d.example\n\nHello.",
            ["mail_header", "mail_header", "paragraph"],
        ),
        ("Figure 3. The pump.\n\nIt runs.", ["caption", "paragraph"]),
        ("```\ncode\n```\nText.", ["code", "paragraph"]),
        ("Name: P-1; Flow: 3; Note: old", ["record"]),
        ("pump / motor: kW: 4; maker: Orrin\npump / hose: m: 9; dn: 50", ["record", "record"]),
        ("RUNNING DIESELS\n\nThey dislike it.", ["heading", "paragraph"]),
        ("", []),
    ],
)
def test_blocks_are_told_apart(text, expected):
    assert kinds(text) == expected


def test_a_line_that_repeats_a_heading_is_one():
    assert kinds("3. How fast is fast\nA stop counts.", "3. How fast is fast") == [
        "heading",
        "paragraph",
    ]


def test_a_row_is_worded_with_its_columns():
    units = find_units("| Pump | Flow |\n|---|---|\n| P-1 | 25 |\n| P-2 | 11 |")
    assert [unit.text for unit in units] == ["Pump: P-1; Flow: 25", "Pump: P-2; Flow: 11"]


def test_an_answer_brings_its_question():
    text = "Who has the key?\nLukas has it until Thursday."
    (unit,) = find_units(text)
    assert unit.text == "Lukas has it until Thursday."
    assert text[slice(*unit.span)] == text


def test_list_marks_and_emphasis_are_no_words():
    assert plain("- **Close** the `lid`.\n- Turn the key.") == "Close the lid. Turn the key."


@given(st.text("ab A.?|-#*`:\n\t1備。", max_size=300))
def test_units_lie_in_the_passage_and_in_order(text):
    units = find_units(text)
    assert all(u.span[0] <= u.core[0] < u.core[1] <= u.span[1] <= len(text) for u in units)
    assert [u.core for u in units] == sorted(u.core for u in units)


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("Managing director\n\nKarin Osei", ["Managing director"]),
        ("## Managing director\n\nKarin Osei", []),
        ("**Managing director**\n\nKarin Osei", []),
    ],
)
def test_a_value_is_quoted_with_the_title_right_above_it(text, headings):
    (unit,) = find_units(text, headings)
    assert unit.text == unit.context == "Managing director: Karin Osei"
    assert text[slice(*unit.core)] == "Karin Osei"
    assert plain(text[slice(*unit.span)]) == "Managing director Karin Osei"


def test_a_sentence_below_a_title_needs_no_title():
    (unit,) = find_units("# Staff\n\nKarin Osei leads the firm.")
    assert unit.text == "Karin Osei leads the firm."


def test_a_name_with_a_value_of_one_word_says_something():
    assert [unit.text for unit in find_units("Total: 512")] == ["Total: 512"]
    assert find_units("See below:") == []
