"""Every setting as a line for a `.env` file, with its default and what it means."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

from rag_app.settings import PREFIX, Settings


def variables(settings: BaseModel, prefix: str = PREFIX) -> Iterator[tuple[str, str, str]]:
    """Name, value and description of each setting's variable, in the order of the settings.

    Sections under names of the user's own (`encoders`) have none. Values that are not set, and
    secrets, are empty.
    """
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from variables(value, f"{prefix}{name.upper()}__")
        elif not isinstance(value, dict):
            yield f"{prefix}{name.upper()}", _shown(value), field.description or ""


def template(settings: Settings) -> str:
    """All of them as comments, ready to be uncommented."""
    lines = (f"# {what}\n#{name}={value}\n" for name, value, what in variables(settings))
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, default=str).strip('"')
