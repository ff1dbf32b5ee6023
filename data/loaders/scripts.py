"""Raised and lowered characters, kept apart from what they stand behind: 10⁶, H₂O, x^(k+1), 1/2."""

import re

RAISED = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
LOWERED = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
ORDINAL = re.compile(r"(?:st|nd|rd|th|er|ère|re|e|ème|o|a|os|as|TM|®|™)\Z")
"""What is set high by custom alone."""
_FRACTION = re.compile("([⁰¹²³⁴-⁹]+)[/⁄∕]([₀-₉]+)")
_PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789")
_LONGEST = 12


def raised(text: str) -> str:
    """A superscript; ordinals ("th"), marks in brackets ("[3]") and longer words stay words."""
    return text if ORDINAL.fullmatch(text.strip()) else scripted(text, RAISED, "^")


def lowered(text: str) -> str:
    """A subscript."""
    return scripted(text, LOWERED, "_")


def scripted(text: str, table: dict[int, int], mark: str) -> str:
    """Text in the characters of a table, or where it has none for one, behind a mark."""
    kept = text.strip()
    if not kept or len(kept) > _LONGEST or " " in kept or kept[0] in "[*†‡§":
        return text
    if all(ord(character) in table for character in kept):
        return text.translate(table)
    if kept.isalpha() and len(kept) > 3:
        return text
    return f"{mark}{kept}" if kept.isalnum() or len(kept) == 1 else f"{mark}({kept})"


def with_fractions(text: str) -> str:
    """Text with fractions in plain figures, apart from a whole number before: 2¹/₂ is 2 1/2."""
    return _FRACTION.sub(_plain_fraction, text)


def _plain_fraction(match: re.Match[str]) -> str:
    apart = " " if match.string[: match.start()][-1:].isdigit() else ""
    return f"{apart}{match[1]}/{match[2]}".translate(_PLAIN)
