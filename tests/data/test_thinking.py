import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.thinking import ThinkingFilter, part_thoughts


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
        ("[THINK]hm[/THINK]Yes [1].", "Yes [1]."),
        ("<thought>hm</thought>Yes", "Yes"),
        ("<reasoning>hm</reasoning>Yes", "Yes"),
        ("<seed:think>hm</seed:think>Yes", "Yes"),
        ("<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Yes<|END_RESPONSE|>", "Yes"),
        ("<|begin_of_thought|>hm<|end_of_thought|>Yes", "Yes"),
        ("◁think▷hm◁/think▷Yes", "Yes"),
        ("<|channel>thought\nhm<channel|>Yes", "Yes"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>"
            "Yes<|return|>",
            "Yes",
        ),
        ("<|start|>assistant<|channel|>final <|message|>Yes", "Yes"),
        ("<|channel|>commentary to=functions.x<|message|>hm<|call|>", ""),
        ("<|channel|>analysis<|message|>hm<|end|>Yes", "Yes"),
        ("<|channel|>analysis<|message|>never closed", ""),
        ("<|start|>assistant<|channel|>fin", ""),
        ("a[1] <|channels|> b [THIN", "a[1] <|channels|> b [THIN"),
    ],
)
def test_reasoning_is_left_out(written, shown):
    assert answer(written) == shown


def test_a_stream_that_begins_inside_a_block_shows_what_follows_it():
    assert answer("hm</think>Yes", opened=True) == "Yes"


_PIECES = [
    "<think>", "</think>", "<thinking>", "<", "th", "a", " ", ">", "[THINK]", "[/think]", "[",
    "<|start|>", "<|channel|>", "final", "analysis", "<|message|>", "<|end|>", "|", "◁think▷",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(_PIECES)).map("".join),
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


@pytest.mark.parametrize(
    ("written", "thoughts", "rest"),
    [
        ("<think>hm</think> Yes.", "hm", "Yes."),
        ("hm</think> Yes.", "hm", "Yes."),
        ("hm[/THINK]Yes.", "hm", "Yes."),
        ("<|channel|>final<|message|>Yes.<|end|>", "", "Yes."),
        ("Yes.<|end|>", "", "Yes."),
        ("<think>hm", "hm", ""),
    ],
)
def test_a_whole_text_is_parted(written, thoughts, rest):
    assert part_thoughts(written) == (thoughts, rest)
