"""Secrets of settings, kept out of what is shown or written down."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel, SecretStr

_USER_INFO: Final = re.compile(r"(?<=://)[^/\s@]+@")
_NO_SECRETS: Final = {"", "none"}
"""What settings say for servers that ask for no key."""
_SHORT: Final = 5
"""Characters below which a secret is hidden only where it stands as a word."""
HIDDEN: Final = "(hidden)"

Path = tuple[str, ...]


def secret_values(tree: object) -> Iterator[tuple[Path, str]]:
    """Every secret in settings or in a mapping of them, with the names that lead to it."""
    if isinstance(tree, SecretStr):
        yield (), tree.get_secret_value()
        return
    if isinstance(tree, BaseModel):
        tree = {name: getattr(tree, name) for name in type(tree).model_fields}
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from (((str(key), *path), secret) for path, secret in secret_values(value))


class Concealer:
    """Takes every secret of settings, and every log-in of an address, out of texts."""

    def __init__(self, settings: object) -> None:
        found = {secret for _, secret in secret_values(settings)} - _NO_SECRETS
        longest_first = sorted(found, key=len, reverse=True)  # one may be a part of another
        patterns = (
            rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < _SHORT else re.escape(secret)
            for secret in longest_first
        )
        self._secrets = re.compile("|".join(patterns)) if found else None

    def __call__(self, text: str) -> str:
        """The text with `HIDDEN` in the place of each secret, and addresses without log-ins."""
        if self._secrets:
            text = self._secrets.sub(HIDDEN, text)
        return _USER_INFO.sub("", text)
