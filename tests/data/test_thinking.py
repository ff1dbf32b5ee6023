from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.thinking import ThinkingFilter, part_thoughts


def answer(text: str, *, opened: bool = False) -> str:
    return streamed([text], ThinkingFilter(opened=opened))


def streamed(pieces: Iterable[str], thinking: ThinkingFilter) -> str:
    """What a reader shows in the end."""
    shown = ""
    for piece in pieces:
        text = thinking.feed(piece)
        shown = text if thinking.retracted() else shown + text
    return shown + thinking.finish()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<think>hm</think>\n\nYes.", "Yes."),
        ("Yes <think>hm</think>no.", "Yes no."),
        ("<THINK>hm</Think>Yes", "Yes"),
        ("<thinking>hm</thinking>Yes", "Yes"),
        ("<think>never closed", ""),
        ("hm</think>\n\nYes.", "Yes."),
        ("\n</think>Yes", "Yes"),
        ("hm[/THINK]Yes", "Yes"),
        ("hm</thought>Yes", "Yes"),
        ("hm<|END_THINKING|><|START_RESPONSE|>Yes<|END_RESPONSE|>", "Yes"),
        ("hm◁/think▷Yes", "Yes"),
        ("hm<channel|>Yes", "Yes"),
        ("hm<|end|><|start|>assistant<|channel|>final<|message|>Yes<|return|>", "Yes"),
        ("<think>hm</think>It is closed by </think>, once", "It is closed by , once"),
        ("Yes.<|end|>", "Yes."),
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
    assert streamed([text[:cut], text[cut:second], text[second:]], thinking) == answer(text)
    whole = ThinkingFilter()
    streamed([text], whole)
    assert thinking.thought() == whole.thought()
    assert thinking.began_inside == whole.began_inside


def test_what_was_shown_and_turns_out_to_be_a_thought_is_handed_out_as_one():
    thinking = ThinkingFilter()
    assert thinking.feed(" I should look. ") == "I should look. "
    assert thinking.feed("So</thi") == "So"
    assert not thinking.retracted()
    assert thinking.feed("nk>\n\nYes") == "Yes"
    assert (thinking.retracted(), thinking.retracted()) == (True, False)
    assert thinking.thought() == "I should look. So"
    assert thinking.began_inside


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
