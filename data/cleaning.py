"""Cleaning what a file holds as text."""

import re

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_CONTROLS = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff"
    r"\xad\u200b\u2060\u202a-\u202e\u2066-\u2069]"  # soft hyphens, zero-width and bidi overrides
)
_JOINERS = re.compile(  # which mean something in Arabic and Indic scripts and in emoji alone
    r"(?<![\u0600-\u08ff\u0900-\u0dff\ufb50-\ufeff\U0001f000-\U0001ffff\u2600-\u27bf\ufe0f])"
    r"[\u200c\u200d]"
)


def clean(text: str) -> str:
    """Text with line feeds as line ends, without controls, lone surrogates and what nobody sees.

    Soft hyphens and zero-width characters would part words for a search that are one for the eye.
    """
    text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    return _JOINERS.sub("", text) if "\u200c" in text or "\u200d" in text else text


def inline(text: str) -> str:
    """Text on one line: every run of white space becomes one space."""
    return " ".join(clean(text).split())
