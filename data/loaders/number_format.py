"""Cells of a workbook as its reader sees them: by their number formats (ECMA-376 §18.8.31)."""

import datetime
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from math import floor, isfinite
from operator import eq, ge, gt, le, lt, ne
from typing import Any

_LONGEST = 255
"""Characters of a format at most, as in Excel."""
_LITERAL = re.compile(r'"([^"]*)(?:"|$)|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]')
_FIRST_MARK = 0xF0000
"""Of the characters for private use, each of which stands for a literal while a format is read."""
_MARK = re.compile("[\U000f0000-\U000fffff]")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_DURATION = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_NUMBER = re.compile(r"[0#?][0#?,]*(?:\.[0#?]+)?,*")
_POWER = re.compile(r"([0#?]+)(?:\.([0#?]*))?E([+-])([0#?]+)")
_FRACTION = re.compile(r"(?:[#0?]+\s+)?[#0?]+\s*/\s*([#0?]+|[1-9]\d{0,4})")
_GROUPS = re.compile(r"[ ()/-]*[0#]+(?:[ ()/-]+[0#]+)+ *")
_ANY = re.compile("general|@", re.IGNORECASE)
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)\]")
_HOLDS = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq, "<>": ne}
_EXACT = Context(prec=700)


def shown(value: Any, form: str = "General") -> str:  # noqa: PLR0911 - one a type
    """A cell's value as text: by its format, dates as ISO 8601, whole numbers without ".0"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime.timedelta):
        return _duration(value.total_seconds())
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time():
            return value.date().isoformat()
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    if isinstance(value, datetime.time):
        return value.isoformat("seconds" if value.second else "minutes")
    if isinstance(value, int | float):
        return _number(value, form or "General")
    return str(value)


def _duration(seconds: float) -> str:
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, rest = divmod(round(left), 3600)
    minutes, second = divmod(rest, 60)
    return f"{sign}{hours}:{minutes:02d}" + (f":{second:02d}" if second else "")


def _number(value: float, form: str) -> str:
    """A number by its format, or plainly where that cannot be followed or would show nothing."""
    if len(form) > _LONGEST:
        return _plain(value)
    try:
        return _formatted(value, form) or _plain(value)
    except (ArithmeticError, LookupError, ValueError):  # no cell may cost the workbook
        return _plain(value)


def _formatted(value: float, form: str) -> str:
    """A number by its format; nothing where that shows nothing, or is more than is followed."""
    if not isfinite(value):
        return ""
    literals: dict[int, str] = {}

    def mark(match: re.Match[str]) -> str:
        literals[_FIRST_MARK + len(literals)] = match[1] or match[2] or match[3] or ""
        return chr(_FIRST_MARK + len(literals) - 1)

    section, negative = _section(_LITERAL.sub(mark, form).split(";"), value)
    if _DURATION.search(section):
        return _duration(value * 86_400)
    text = _filled(_written(value), _BRACKETS.sub("", section))
    return " ".join(("-" * negative + text).translate(literals).split())


def _section(sections: list[str], value: float) -> tuple[str, bool]:
    """The part of a format that a value is shown by, and whether a minus goes before it."""
    if any(map(_CONDITION.search, sections[:2])):
        section = next((each for each in sections if _applies(each, value)), "General")
        bound = _CONDITION.search(section)
        below_zero = bound is not None and bound[1] in {"<", "<="} and float(bound[2]) <= 0
        return section, value < 0 and not below_zero
    if value == 0 and len(sections) > 2:
        return sections[2], False
    if value < 0 and len(sections) > 1:
        return sections[1], False
    return sections[0], value < 0


def _filled(value: Decimal, section: str) -> str:
    """A part of a format with the digits of a value, without its sign, in their places."""
    value = abs(value)
    bare = _MARK.sub("", section)
    for places, write in ((_ANY, _general), (_POWER, _power), (_FRACTION, _fraction)):
        if match := places.search(section):
            return section[: match.start()] + write(value, match) + section[match.end() :]
    if _GROUPS.fullmatch(_MARK.sub(" ", section)):
        return "".join(_grouped(value, section))
    patterns = list(_NUMBER.finditer(section))
    if not patterns:
        return "" if any(map(str.isalpha, bare)) else section
    if len(patterns) > 1:
        return ""
    begin, end = patterns[0].span()
    digits = _digits(value * (100 if "%" in bare else 1), patterns[0][0])
    return section[:begin] + digits + section[end:]


def _written(value: float) -> Decimal:
    """The number that the 15 digits say which a workbook shows at most."""
    return Decimal(value) if isinstance(value, int) else Decimal(f"{value:.15g}")


def _rounded(value: Decimal, places: int) -> Decimal:
    """Halves go away from zero."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)


def _applies(section: str, value: float) -> bool:
    """Whether the condition of a section holds, such as [<=9999999]; one without always does."""
    condition = _CONDITION.search(section)
    return condition is None or bool(_HOLDS[condition[1]](value, float(condition[2])))


def _general(value: Decimal, _: re.Match[str]) -> str:
    return f"{float(value):.15g}"


def _power(value: Decimal, pattern: re.Match[str]) -> str:
    """Digits and a power of ten, as of "0.00E+00"; "##0.0E+0" has powers of a thousand alone."""
    step, decimals = len(pattern[1]), pattern[2] or ""

    def power_of(number: Decimal) -> int:
        return number.adjusted() // step * step if number else 0

    power = power_of(value)
    mantissa = _rounded(value.scaleb(-power), len(decimals))
    if power_of(mantissa):  # 9.999 has become 10
        power += step
        mantissa = _rounded(value.scaleb(-power), len(decimals))
    sign = "-" if power < 0 else "+" if pattern[3] == "+" else ""
    point = f".{decimals}" if decimals else ""
    exponent = str(abs(power)).rjust(pattern[4].count("0"), "0")
    return f"{_digits(mantissa, pattern[1] + point)}E{sign}{exponent}"


def _fraction(value: Decimal, pattern: re.Match[str]) -> str:
    """A whole number and a fraction, as of the format "# ?/?"."""
    denominator = pattern[1]
    whole, rest = divmod(Fraction(value), 1)
    if denominator.isdigit() and int(denominator):
        of, share = int(denominator), floor(rest * int(denominator) + Fraction(1, 2))
    else:
        near = rest.limit_denominator(10 ** min(len(denominator), 4) - 1)
        of, share = near.denominator, near.numerator
    if share == of:
        whole, share = whole + 1, 0
    parts = [str(whole)] if whole or not share else []
    parts += [f"{share}/{of}"] if share else []
    return " ".join(parts)


def _grouped(value: Decimal, section: str) -> Iterator[str]:
    """A whole number whose digits are parted, such as that of a telephone: 555-0142."""
    places = sum(character in "0#" for character in section)
    digits = f"{_rounded(value, 0):0{places}f}"
    more = len(digits) - places
    left, begun = iter(digits[more:]), more > 0
    for character in section:
        if character not in "0#":
            yield character
            continue
        digit = next(left)
        if digit != "0" or character == "0" or begun:
            yield digits[:more] + digit
            more, begun = 0, True


def _digits(value: Decimal, pattern: str) -> str:
    whole, _, decimals = pattern.partition(".")
    decimals = decimals.rstrip(",")
    thousand = "," in whole.rstrip(",")
    value = value.scaleb(-3 * (len(pattern) - len(pattern.rstrip(","))))
    text = format(_rounded(value, len(decimals)), ",f" if thousand else "f")
    least = whole.count("0")
    head, dot, tail = text.partition(".")
    optional = len(decimals) - len(decimals.rstrip("#?"))
    while optional and tail.endswith("0"):
        tail, optional = tail[:-1], optional - 1
    head = "" if head == "0" and not least else head.rjust(least, "0")
    return head + (dot + tail if tail else "")


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"
