"""Long passages, cut to a budget of tokens."""

import math
import re
from collections.abc import Callable
from typing import Final

CountTokens = Callable[[str], int]
"""Tokens of a text; never fewer for a longer one."""

_SINGLE: Final = re.compile(r"[^\w\s]|\d|_")
_LETTER_BYTES_PER_TOKEN: Final = 3.2
_PART_OF_WORD: Final = re.compile(r"\S{1,40}\Z")


def estimate_tokens(text: str) -> int:
    """About how many tokens any tokenizer makes of a text, rather too many than too few.

    Digits and punctuation marks count one each, letters one per 3.2 bytes of UTF-8.
    """
    letters, singles = _SINGLE.subn("", text)
    written = len("".join(letters.split()).encode(errors="replace"))
    return singles + math.ceil(written / _LETTER_BYTES_PER_TOKEN)


def cut(text: str, tokens: int, count_tokens: CountTokens) -> str:
    """The longest beginning of at most that many tokens, up to the end of a word if one is near."""
    if count_tokens(text) <= tokens:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if count_tokens(text[:middle]) <= tokens:
            fits = middle
        else:
            too_long = middle
    beginning = text[:fits]
    inside_word = not beginning[-1:].isspace() and not text[fits].isspace()
    return (_PART_OF_WORD.sub("", beginning) or beginning if inside_word else beginning).rstrip()
