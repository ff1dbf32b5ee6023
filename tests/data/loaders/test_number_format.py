"""Numbers as their formats in a workbook show them."""

import pytest

from data.loaders.number_format import shown


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ('"Gate "0', "Gate 12"),
        ('"No."\\ 0', "No. 12"),
        ("\\N\\o\\.0", "No.12"),
        ('"a;b "0', "a;b 12"),
        ('"[x] "0', "[x] 12"),
        ('"#"0', "#12"),
        ('"~"0%', "~1200%"),
        ('"E"00" of 0"', "E12 of 0"),
        ('0.0" kg"', "12.0 kg"),
        ('# ?/?" in"', "12 in"),
        ('General" kg"', "12 kg"),
        ("[$CHF-807]\\ #,##0.00", "CHF 12.00"),
    ],
)
def test_words_in_a_format_stand_beside_the_number(form, text):
    assert shown(12, form) == text


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.0715, "0.0%", "7.2%"),
        (4.5, "0", "5"),
        (1.005, "0.00", "1.01"),
        (2.675, "0.00", "2.68"),
        (0.125, "0%", "13%"),
        (-0.5, "0", "-1"),
        (-2.5, "0;(0)", "(3)"),
        (2_345_500, '#,##0,"k"', "2,346k"),
        (2.5625, "# ?/8", "2 5/8"),
        (5550142.5, "000-0000", "555-0143"),
    ],
)
def test_halves_go_away_from_zero_as_the_digits_say(value, form, text):
    assert shown(value, form) == text


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (123_456, "0.00E+00", "1.23E+05"),
        (-0.000999, "0.0E+0", "-1.0E-3"),
        (0, "0.00E+00", "0.00E+00"),
        (123_456, "##0.0E+0", "123.5E+3"),
        (99_999.9, "0.00E-00", "1.00E05"),
    ],
)
def test_powers_of_ten(value, form, text):
    assert shown(value, form) == text


def test_zero_has_a_part_of_its_own_and_a_condition_keeps_the_minus():
    assert shown(0, '0;-0;"-"') == "-"
    assert shown(0, '_(* #,##0_);_(* (#,##0);_(* "-"??_);_(@_)') == "-"
    assert shown(-7, '[>=1000]0.0," thousand";0') == "-7"
    assert shown(1500, '[>=1000]0.0," thousand";0') == "1.5 thousand"
    assert shown(-7, '[<0]"minus "0;0') == "minus 7"


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (7, ";;;"),
        (7, "0.0.0"),
        (7, "yyyy"),
        (7, '"x"' * 100 + "0"),
        (float("inf"), "0.00"),
        (float("nan"), "0%"),
        (7, '0;"'),
        (7, "[=x]0"),
        (7, "0/0"),
    ],
)
def test_a_format_that_shows_nothing_or_cannot_be_followed_leaves_the_number(value, form):
    assert shown(value, form) == str(value)
