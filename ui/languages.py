"""The languages of East Asia: their fonts and line breaks differ, and an attribute tells which."""

import re
from typing import Final

_SCRIPTS: Final = (
    ("ja", re.compile("[\u3041-\u30ff]")),  # kana
    ("ko", re.compile("[\uac00-\ud7a3]")),  # hangul
    ("zh", re.compile("[\u4e00-\u9fff]")),  # Han characters without either
)


def lang(text: str) -> str:
    """An HTML attribute that names the language, if the script tells it, with a space before it."""
    found = (f' lang="{name}"' for name, script in _SCRIPTS if script.search(text))
    return next(found, "")
