"""From blocks to sections."""

from hypothesis import given
from hypothesis import strategies as st

from data.loaders.outline import SECTION_CHARS, Heading, Item, Outline, clean, table_text
from data.sections import page_texts

TEXTS = st.sampled_from(["", " ", "a", "b c", "d\r\ne", "\0f", "g\n\nh"])
BLOCKS = st.lists(
    st.one_of(TEXTS, st.builds(Item, TEXTS), st.builds(Heading, st.integers(0, 3), TEXTS))
)


@given(blocks=BLOCKS)
def test_addresses_are_in_order_and_no_text_is_lost(blocks):
    sections = list(Outline(3).sections(blocks))
    whole = page_texts(sections).get(3, "")
    assert all(whole[s.char_start : s.char_end] == s.text and s.text for s in sections)
    given_out = clean("".join(b if isinstance(b, str) else b.text for b in blocks))
    assert "".join(whole.split()) == "".join(given_out.split())


def test_a_title_right_above_a_heading_shares_its_section():
    sections = list(Outline().sections([Heading(0, "T"), Heading(1, "A"), "x", Heading(1, "B")]))
    assert [s.heading_path for s in sections] == [("T", "A"), ("T", "B")]


def test_long_text_is_given_out_in_parts():
    sections = list(Outline().sections(["x" * 1000] * 100))
    assert len(sections) == 4
    assert all(len(s.text) < SECTION_CHARS + 2000 for s in sections)


def test_tables_are_lines_without_empty_rows():
    assert table_text([["a", "b\nc"], ["", " "], ["", "d"]]) == "a | b c\n | d"
