"""Conversations and what people thought of the answers, kept in one SQLite file."""

from typing import Final

EVERYONE: Final = "*"
"""Owner that stands for all of them: whoever holds the storage folder. No visitor is called so."""
