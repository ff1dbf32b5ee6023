"""The numbers that Word counts by itself: those of lists, headings and clauses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LEVELS = 9


@dataclass(frozen=True, slots=True)
class _Level:
    """How one level of a list is numbered (ECMA-376 part 1, §17.9)."""

    form: str = "decimal"
    text: str = ""
    start: int = 1
    legal: bool = False


class Numbering:
    """Counts the paragraphs of a document's lists, in order.

    Args:
        part: the root element of the numbering part; None for a document without one.
    """

    def __init__(self, part: Any | None) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._abstract: dict[str, str] = {}
        self._counts: dict[str, list[int]] = {}
        if part is not None:
            self._read(part)

    def _read(self, part: Any) -> None:
        abstract = {
            _value(node, "abstractNumId"): {
                int(_value(level, "ilvl") or 0): _level(level) for level in _all(node, "lvl")
            }
            for node in _all(part, "abstractNum")
        }
        for number in _all(part, "num"):
            identifier = _value(number, "numId")
            base = next((_value(node, "val") for node in _all(number, "abstractNumId")), "")
            levels = dict(abstract.get(base, {}))
            for override in _all(number, "lvlOverride"):
                at = int(_value(override, "ilvl") or 0)
                for level in _all(override, "lvl"):
                    levels[at] = _level(level)
                for start in _all(override, "startOverride"):
                    old = levels.get(at, _Level())
                    begin = _whole(_value(start, "val"))
                    levels[at] = _Level(old.form, old.text, begin, old.legal)
                    base = f"{base}/{identifier}"  # it counts for itself
            self._levels[identifier], self._abstract[identifier] = levels, base

    def mark(self, number: str, level: int) -> str:
        """The mark of the next paragraph of that list and level: "2.2", "(b)", "-"; or nothing."""
        levels = self._levels.get(number)
        level = min(max(level, 0), _LEVELS - 1)
        if not levels or level not in levels:
            return "-"
        counts = self._counts.setdefault(self._abstract[number], [0] * _LEVELS)
        here = levels[level]
        counts[level] = counts[level] + 1 if counts[level] else here.start
        for below in range(level + 1, _LEVELS):
            counts[below] = 0
        if here.form == "bullet":
            return "-"
        if here.form == "none":
            return ""
        mark = here.text
        for at in range(_LEVELS):
            if f"%{at + 1}" in mark:
                of = levels.get(at, _Level())
                count = counts[at] or of.start
                mark = mark.replace(
                    f"%{at + 1}", shown_number(count, "decimal" if here.legal else of.form)
                )
        return mark.strip()


def _level(node: Any) -> _Level:
    def first(name: str, otherwise: str) -> str:
        return next((_value(child, "val") for child in _all(node, name)), otherwise)

    legal = any(_value(child, "val") not in {"0", "false"} for child in _all(node, "isLgl"))
    return _Level(
        first("numFmt", "decimal"), first("lvlText", ""), _whole(first("start", "1")), legal
    )


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def shown_number(count: int, form: str) -> str:
    """A number of a list in a format of `w:numFmt`."""
    if count < 1 and form != "decimalZero":
        return str(count)
    if form in {"lowerLetter", "upperLetter"}:
        letters = chr(ord("a") + (count - 1) % 26) * min((count - 1) // 26 + 1, 9)
        return letters.upper() if form == "upperLetter" else letters
    if form in {"lowerRoman", "upperRoman"}:
        roman = ""
        left = min(count, 3999)
        for value, letters in _ROMAN:
            roman += letters * (left // value)
            left %= value
        return roman.upper() if form == "upperRoman" else roman
    if form == "decimalZero":
        return f"{count:02d}"
    return str(count)


def _all(node: Any, name: str) -> Iterator[Any]:
    for child in node:
        if isinstance(child.tag, str) and child.tag.rpartition("}")[2] == name:
            yield child


def _value(node: Any, name: str) -> str:
    for key, value in node.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return ""
