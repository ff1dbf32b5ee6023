"""The encoders that were trained here: a folder of weights each, with its row of the registry."""

import re
from pathlib import Path

from pydantic import ValidationError

from rag_app.errors import SettingsError
from rag_app.settings import Settings
from retrieval.encoders.registry import EncoderRow

_ROW_FILE = "row.json"  # as retrieval.training.encoder writes it, which imports torch
ENCODERS, RERANKERS = "encoders", "rerankers"
"""Folders of the storage that hold what was trained here."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def folder(settings: Settings, name: str, kind: str = ENCODERS) -> Path:
    """Where the encoder, or the reranker, of that name is, or would be.

    Raises:
        SettingsError: it is no name for a folder.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"--name {name!r} is not valid",
            hint="Give small letters, digits, dots, dashes and underscores, at most 64",
        )
    return settings.storage.path.absolute() / kind / name


def is_one(settings: Settings, name: str) -> bool:
    """Whether an encoder of that name was trained here."""
    return bool(_NAME.fullmatch(name)) and (folder(settings, name) / _ROW_FILE).is_file()


def rows(settings: Settings) -> list[EncoderRow]:
    """The rows of all that were trained here, by name.

    Raises:
        SettingsError: the file of a row is damaged.
    """
    folder = settings.storage.path.absolute() / ENCODERS
    found = []
    for path in sorted(folder.glob(f"*/{_ROW_FILE}")):
        try:
            row = EncoderRow.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise SettingsError(
                f"the trained encoder {path.parent.name} cannot be read",
                cause=f"{path} holds no row",
                hint="Delete that folder, or train it again",
            ) from error
        found.append(row.model_copy(update={"name": path.parent.name}))
    return found
