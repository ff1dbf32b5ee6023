"""Cleaning what a file holds as text."""

import re

_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_CONTROLS = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff"
    # soft hyphens, zero-width spaces, marks and overrides of direction
    r"\xad\u061c\u200b\u200e\u200f\u2060\u202a-\u202e\u2066-\u2069]"
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


_DATA_URL = re.compile(r"data:[\w/+.-]{0,80}(?:;[\w=-]{0,40}){0,4};base64,[A-Za-z0-9+/=_-]{40,}+")
_BLOB = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{60,100}+\r?\n){3,}+[A-Za-z0-9+/]{0,100}+={0,2}"
)
_LONG_BLOB = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{400,}+={0,2}")


def without_blobs(text: str) -> str:
    """Text without what is encoded as base64 in it: pictures, keys, attachments."""
    text = _DATA_URL.sub("", text)
    text = _BLOB.sub("", text)
    return _LONG_BLOB.sub(lambda match: "" if _is_blob(match[0]) else match[0], text)


def _is_blob(text: str) -> bool:
    """Whether letters of both cases and digits are mixed as no word mixes them."""
    some = text[:2000]
    kinds = (str.islower, str.isupper, str.isdigit)
    return all(sum(map(kind, some)) > len(some) // 40 for kind in kinds)
