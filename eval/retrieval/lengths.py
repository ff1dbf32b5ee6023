"""Queries cut to a number of tokens, for the curve of quality over query length.

ReasonIR shows that retrievers differ in what longer queries give them
(https://arxiv.org/abs/2504.20595, figure on query length): there rewrites of 64 to 2,048 tokens are
made. Here a query that is at hand is cut to its beginning, so that nothing but its length changes.
"""

import bisect
import re
from collections.abc import Callable

_WORD = re.compile(r"\S+")


def cut(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """The longest beginning of whole words that has no more tokens than that.

    Args:
        count: tokens of a text; it must not fall when the text grows.

    Returns:
        The text itself where it is short enough, its first word where even that is too long.
    """
    if count(text) <= tokens:
        return text
    ends = [word.end() for word in _WORD.finditer(text)]
    fitting = bisect.bisect_right(ends, tokens, key=lambda end: count(text[:end]))
    return text[: ends[max(0, fitting - 1)]] if ends else text


def cut_name(system: str, tokens: int) -> str:
    """What a system is called in samples whose queries were cut."""
    return f"{system}/len={tokens}"
