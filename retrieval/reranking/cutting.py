"""Long passages, cut to a budget of tokens."""

import re
from collections.abc import Callable
from typing import Final

CountTokens = Callable[[str], int]
"""Tokens of a text; never fewer for a longer one."""

_PART_OF_WORD: Final = re.compile(r"\S{1,40}\Z")


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
