import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.abstention import ABSTENTION_LINE, AbstentionFilter

LINE = ABSTENTION_LINE
PIECES = st.sampled_from([LINE, "NOT", " IN", " THE", " PASSAGES", "*", "\n", ".", " ", "- ", "S"])


def read(text: str) -> tuple[str, bool]:
    abstention = AbstentionFilter()
    shown = abstention.feed(text) + abstention.finish()
    return shown, abstention.abstained


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (f"{LINE}\nNo time is given.", "No time is given."),
        (f"{LINE}. No time is given.", "No time is given."),
        (f"{LINE}: no time is given.", "no time is given."),
        (f"**{LINE}**\n\nNo time is given.", "No time is given."),
        (f"# {LINE} - no time", "no time"),
        (f"\n {LINE}\n\n- no time\n- no place", "- no time\n- no place"),
        (f"{LINE}\n{LINE}", LINE),
        (LINE, ""),
        (f"`{LINE}.`", ""),
    ],
)
def test_the_line_is_recognised_and_not_shown(written, shown):
    assert read(written) == (shown, True)


@pytest.mark.parametrize(
    "written",
    ["", "Yes [1].", "Not in the passages.", f"Yes. {LINE}", LINE[:-1], f"{LINE}X", "NOTE", "**",
     "[1] says so", "# Head\n\nYes"],
)  # fmt: skip
def test_everything_else_is_left_as_it_is(written):
    assert read(written) == (written, False)


@given(st.lists(PIECES).map("".join), st.data())
def test_where_the_stream_is_split_does_not_matter(text, data):
    cut = data.draw(st.integers(0, len(text)))
    abstention = AbstentionFilter()
    shown = abstention.feed(text[:cut]) + abstention.feed(text[cut:]) + abstention.finish()
    assert (shown, abstention.abstained) == read(text)


def test_no_more_is_held_back_than_may_be_the_line():
    abstention = AbstentionFilter()
    assert abstention.feed("NOT IN THE") == ""
    assert abstention.feed(" O") == "NOT IN THE O"
    assert abstention.feed("VEN") == "VEN"
