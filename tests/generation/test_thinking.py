import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.thinking import ThinkingFilter


def answer(text: str, *, opened: bool = False) -> str:
    thinking = ThinkingFilter(opened=opened)
    return thinking.feed(text) + thinking.finish()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<think>hm</think>\n\nYes.", "Yes."),
        ("Yes <think>hm</think>no.", "Yes no."),
        ("<THINK>hm</Think>Yes", "Yes"),
        ("<thinking>hm</thinking>Yes", "Yes"),
        ("<think>never closed", ""),
        ("stray</think>Yes", "strayYes"),
        ("a <thin line < b", "a <thin line < b"),
        ("ends with <thi", "ends with <thi"),
    ],
)
def test_reasoning_is_left_out(written, shown):
    assert answer(written) == shown


def test_a_stream_that_begins_inside_a_block_shows_what_follows_it():
    assert answer("hm</think>Yes", opened=True) == "Yes"


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<thinking>", "<", "th", "a", " ", ">"])).map(
        "".join
    ),
    st.data(),
)
def test_where_the_stream_is_split_does_not_matter(text, data):
    cut = data.draw(st.integers(0, len(text)))
    second = data.draw(st.integers(cut, len(text)))
    thinking = ThinkingFilter()
    parts = [text[:cut], text[cut:second], text[second:]]
    assert "".join(map(thinking.feed, parts)) + thinking.finish() == answer(text)
    whole = ThinkingFilter()
    whole.feed(text)
    whole.finish()
    assert thinking.thought() == whole.thought()


def test_what_was_thought_is_handed_out_once():
    thinking = ThinkingFilter()
    assert thinking.feed("<think>first</think>Yes<think>sec") == "Yes"
    assert thinking.thought() == "firstsec"
    assert thinking.thought() == ""
    assert thinking.feed("ond</th") == ""
    assert thinking.finish() == ""
    assert thinking.thought() == "ond</th"
