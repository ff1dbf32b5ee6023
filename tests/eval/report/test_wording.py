"""Numbers and texts as reports write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.report import wording


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (wording.count(14042), "14,042"),
        (wording.percent(0.6309), "63.1\u00a0%"),
        (wording.signed(4.249), "+4.2"),
        (wording.signed(-0.34), "\u22120.3"),
        (wording.signed(-0.04), "0.0"),
        (wording.signed_percent(6.4), "+6.4\u00a0%"),
        (wording.interval([-0.5, 1.25]), "\u22120.5 to 1.2"),
        (wording.interval([0.1, 0.2], scale=100), "10.0 to 20.0"),
        (wording.is_probability(0.02), "p\u00a0=\u00a00.020"),
        (wording.is_probability(1e-9), "p\u00a0<\u00a00.001"),
        (wording.amount(1.789e12), "1.79\u00a0T"),
        (wording.amount(12), "12"),
        (wording.milliseconds(4.123), "4.12"),
        (wording.milliseconds(5200.4), "5,200"),
    ],
)
def test_numbers_have_one_way_of_being_written(shown, expected):
    assert shown == expected


@pytest.mark.parametrize("absent", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_dash(absent):
    for way in (
        wording.count, wording.decimal, wording.percent, wording.signed, wording.signed_percent,
        wording.probability, wording.amount, wording.milliseconds,
    ):  # fmt: skip
        assert way(absent) == wording.NONE
    assert wording.interval([absent, 1.0]) == wording.interval(None) == wording.NONE


@given(st.text(), st.integers(1, 50))
def test_harmless_text_is_short_encodable_and_commands_nothing(text, limit):
    shown = wording.harmless(text, limit)
    shown.encode()
    assert len(shown) <= limit + len(" […]")
    assert not any(ord(mark) < 32 and mark not in "\n\t" for mark in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_only_what_is_longer_than_the_limit_is_cut():
    assert wording.harmless("abcde", 5) == "abcde"
    assert wording.harmless("abcdef", 5) == "abcde […]"
