"""Cells of a workbook as its reader sees them: by their number formats (ECMA-376 §18.8.31)."""

import datetime
import re
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne
from typing import Any

_LITERAL = re.compile(r'"([^"]*)"|\\(.)|_.|\*.')
_CURRENCY = re.compile(r"\[\$([^\]-]*)(?:-[0-9a-fA-F]+)?\]")
_BRACKETS = re.compile(r"\[(?![hms]+\])[^\]]*\]", re.IGNORECASE)
_DURATION = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_NUMBER = re.compile(r"[0#?][0#?,]*(?:\.[0#?]+)?,*")
_FRACTION = re.compile(r"[#0?]\s*/\s*([#0?]+|[1-9]\d{0,4})")
_GROUPS = re.compile(r"[ ()/-]*[0#]+(?:[ ()/-]+[0#]+)+ *")
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)\]")
_HOLDS = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq, "<>": ne}


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
    sections = _sections(form)
    section = sections[1] if value < 0 and len(sections) > 1 else sections[0]
    if value == 0 and len(sections) > 2:
        section = sections[2]
    if _CONDITION.search(sections[0]):
        section = next((each for each in sections if _applies(each, value)), "General")
    if _DURATION.search(section):
        return _duration(value * 86_400)
    text = _BRACKETS.sub("", _CURRENCY.sub(lambda sign: f'"{sign[1]}"', section))
    literals: list[str] = []

    def keep(match: re.Match[str]) -> str:
        literals.append(match[1] or match[2] or "")
        return f"\ue000{len(literals) - 1}\ue001"

    text = _LITERAL.sub(keep, text)
    bare = re.sub(r"\ue000\d+\ue001", "", text)
    pattern = _NUMBER.search(bare)
    if (fraction := _FRACTION.search(bare)) and not literals:
        return _fraction(value, fraction[1])
    if pattern is None or "general" in bare.lower() or "E" in bare:
        return _plain(value)
    if _GROUPS.fullmatch(re.sub(r"\ue000\d+\ue001", " ", text)) and value >= 0:
        return _grouped(value, text, literals)
    share = 100 if "%" in bare else 1
    negative = value < 0 and len(sections) < 2
    digits = _digits(abs(value) * share, pattern[0])
    at = text.index(pattern[0]) if pattern[0] in text else -1
    if at < 0:
        return _plain(value)
    before, behind = text[:at], text[at + len(pattern[0]) :]
    whole = f"{'-' if negative else ''}{before}{digits}{behind}"
    whole = re.sub(r"\ue000(\d+)\ue001", lambda match: literals[int(match[1])], whole)
    return " ".join(whole.split())


def _applies(section: str, value: float) -> bool:
    """Whether the condition of a section holds, such as [<=9999999]; one without always does."""
    condition = _CONDITION.search(section)
    return condition is None or bool(_HOLDS[condition[1]](value, float(condition[2])))


def _fraction(value: float, denominator: str) -> str:
    """A whole number and a fraction, as of the format "# ?/?"."""
    whole, rest = divmod(abs(value), 1)
    if denominator.isdigit():
        of, share = int(denominator), round(rest * int(denominator))
    else:
        near = Fraction(rest).limit_denominator(10 ** min(len(denominator), 4) - 1)
        of, share = near.denominator, near.numerator
    if share == of:
        whole, share = whole + 1, 0
    parts = [str(int(whole))] if whole or not share else []
    parts += [f"{share}/{of}"] if share else []
    return ("-" if value < 0 else "") + " ".join(parts)


def _grouped(value: float, form: str, literals: list[str]) -> str:
    """A whole number whose digits are parted, such as that of a telephone: 555-0142."""
    places = sum(character in "0#" for character in re.sub(r"\ue000\d+\ue001", "", form))
    digits = f"{round(value):0{places}d}"
    more, left = digits[: len(digits) - places], iter(digits[len(digits) - places :])
    filled = re.sub(
        r"\ue000(\d+)\ue001|[0#]",
        lambda match: literals[int(match[1])] if match[1] else next(left),
        form,
    )
    return " ".join((more + filled).split())


def _sections(form: str) -> list[str]:
    """Positive, negative, zero, text; semicolons in quotes part nothing."""
    return re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', form)


def _digits(value: float, pattern: str) -> str:
    whole, _, decimals = pattern.partition(".")
    decimals = decimals.rstrip(",")
    thousand = "," in whole.rstrip(",")
    value /= 1000 ** (len(pattern) - len(pattern.rstrip(",")))
    text = f"{value:,.{len(decimals)}f}" if thousand else f"{value:.{len(decimals)}f}"
    least = whole.count("0")
    head, dot, tail = text.partition(".")
    optional = len(decimals) - len(decimals.rstrip("#?"))
    while optional and tail.endswith("0"):
        tail, optional = tail[:-1], optional - 1
    return head.rjust(least, "0") + (dot + tail if tail else "")


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"
