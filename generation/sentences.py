"""Where the sentences of a passage begin and end."""

import re
from typing import Final

_ABBREVIATIONS: Final = frozenset(
    re.findall(
        r"\S+",
        "al approx apr aug ca cf co corp dec dept dr ed eds eq eqs etc e.g feb fig figs i.e "
        "inc jan jr ltd mr mrs ms nov oct op p pp prof ref refs rev sec sect sep sept "
        "sr st tab univ viz vol vols vs ",
    )
)
_BOUNDARY: Final = re.compile(
    r"(?<![.!?…])(?P<stop>[.!?…]++[\"'”’»)\]]*+)(?=\s)"
    r"|(?P<wide>[。！？]+[”’」』）]*)"
    r"|(?P<block>\n\s*\n|\n(?=\s*(?:[-*•‣▪–]|\d{1,3}[.)])\s))"
)


def split_sentences(text: str, longest: int = 500) -> list[tuple[int, int]]:
    """Split ``text`` into sentences.

    A sentence ends at ``. ! ? …`` before white space, at their full-width forms, at an empty line
    and before a list item; not after an abbreviation, an initial or before a lower-case letter.
    What runs on beyond ``longest`` characters (tables, text without punctuation) is cut at white
    space.

    Args:
        text: Any text.
        longest: Longest sentence in characters, at least 20.

    Returns:
        Half-open character ranges, in order, not overlapping, none blank at either end.

    Raises:
        ValueError: ``longest`` is below 20.
    """
    if longest < 20:
        raise ValueError(f"longest must be at least 20, got {longest}")
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match.lastgroup == "stop" and not _ends_sentence(text, start, match):
            continue
        spans.extend(_pieces(text, start, match.end(), longest))
        start = match.end()
    spans.extend(_pieces(text, start, len(text), longest))
    return spans


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    """Say whether the punctuation found by ``match`` closes the sentence begun at ``start``."""
    following = text[match.end() : match.end() + 40].lstrip()
    if following[:1].islower():
        return False
    if not match["stop"].startswith("."):
        return True
    words = text[max(start, match.start() - 20) : match.start()].split()
    last = words[-1].strip("(\"'“‘[") if words else ""
    is_initial = len(last) == 1 and last.isalpha() and last.isupper()
    return not is_initial and last.lower() not in _ABBREVIATIONS


def _pieces(text: str, start: int, end: int, longest: int) -> list[tuple[int, int]]:
    """Trim the range and cut it at white space into ranges of at most ``longest``."""
    pieces: list[tuple[int, int]] = []
    while True:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start == end:
            return pieces
        if end - start <= longest:
            return [*pieces, (start, end)]
        cut = max(text.rfind(blank, start, start + longest) for blank in " \n\t")
        cut = cut if cut > start else start + longest
        piece_end = cut
        while text[piece_end - 1].isspace():
            piece_end -= 1
        pieces.append((start, piece_end))
        start = cut
