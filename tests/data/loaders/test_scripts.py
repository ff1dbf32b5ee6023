"""Characters that are set high or low."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.loaders.scripts import lowered, raised, with_fractions


@pytest.mark.parametrize(
    ("text", "high", "low"),
    [
        ("6", "⁶", "₆"),
        ("-12", "⁻¹²", "₋₁₂"),
        ("th", "th", "_th"),
        ("[3]", "[3]", "[3]"),
        ("k+1", "^(k+1)", "_(k+1)"),
        ("x", "^x", "_x"),
        ("max", "^max", "_max"),
        ("note", "note", "note"),
        ("*", "*", "*"),
        (" ", " ", " "),
    ],
)
def test_what_stands_high_or_low_is_told_from_what_it_stands_behind(text, high, low):
    assert (raised(text), lowered(text)) == (high, low)


@pytest.mark.parametrize(
    ("text", "plain"), [("¹/₂", "1/2"), ("2¹⁄₂ cups", "2 1/2 cups"), ("10⁶/s", "10⁶/s")]
)
def test_fractions_are_plain_figures(text, plain):
    assert with_fractions(text) == plain


@given(st.text(max_size=20))
def test_text_is_changed_by_nothing_else(text):
    if not text.isascii() or not any(map(str.isdigit, text)):
        assert with_fractions(text) == text or "/" in with_fractions(text)
    assert raised(text.upper() + " and more words") == text.upper() + " and more words"
