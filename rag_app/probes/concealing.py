"""Secrets of the settings, kept out of what probes say."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from pydantic import BaseModel, SecretStr

_USERINFO: Final = re.compile(r"(?<=://)[^/\s@]+@")
_SHORTEST: Final = 5
"""Shorter ones, such as the `none` of servers that ask for no key, are words of their own."""


def concealer(settings: BaseModel) -> Callable[[str], str]:
    """A function that takes every secret of the settings, and every log-in of an address, out."""
    secrets = sorted({s for s in _secrets(settings) if len(s) >= _SHORTEST}, key=len, reverse=True)

    def concealed(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "(hidden)")
        return _USERINFO.sub("", text)

    return concealed


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, dict):
        for part in value.values():
            yield from _secrets(part)
