"""The language model that a person chose in the page: settings of the storage folder.

They hold where the profile speaks, and below the settings file, the environment and flags. The key
lies in a file of its own that only its owner reads.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from data.files import read_text, write_text
from rag_app.errors import SettingsError

CONNECTION: Final = "connection.toml"
KEY: Final = "connection.key"


def read_connection(storage: Path) -> dict[str, Any]:
    """What was chosen as a tree of settings; empty where nothing was.

    Raises:
        SettingsError: the file is damaged or cannot be read.
    """
    path, key = storage / CONNECTION, storage / KEY
    try:
        tree = tomllib.loads(read_text(path)) if path.exists() else {}
        if tree and key.exists() and (secret := read_text(key).strip()):
            tree["llm"] = {**tree.get("llm", {}), "api_key": secret}
    except (
        OSError,
        ValueError,
        RecursionError,
    ) as error:  # TOML or UTF-8 that is none
        raise SettingsError(
            f"the connection to a model in {path} could not be read",
            cause=str(error),
            hint="Delete it, and connect the model again",
        ) from None
    return tree


def write_connection(
    storage: Path, *, api_base: str, model: str, context_window: int, key: str
) -> None:
    """Keep a choice; an empty key means that the server asks for none.

    Raises:
        SettingsError: it cannot be written.
    """
    base, name = (json.dumps(text, ensure_ascii=False) for text in (api_base, model))
    lines = (
        "# Chosen in the page.", "[llm]", f"api_base = {base}", f"model = {name}",
        f"context_window = {context_window}", "[reader]", 'kind = "llm"', "",
    )  # fmt: skip
    try:
        storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        (storage / KEY).unlink(missing_ok=True)  # it never lies beside another address than its own
        write_text(storage / CONNECTION, "\n".join(lines))
        write_text(storage / KEY, key)
    except OSError as error:
        raise SettingsError(
            f"the connection to the model cannot be kept in {storage}",
            cause=(error.strerror or str(error)).lower(),
        ) from None
