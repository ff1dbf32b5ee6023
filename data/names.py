"""Names of files that come from elsewhere, and addresses of the web."""

import re
from pathlib import Path
from typing import Final

_LONGEST: Final = 200
_ADDRESS: Final = re.compile("https?://", re.IGNORECASE)
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x1f\x7f]")


def is_address(text: str) -> bool:
    """Whether a text is an address of http or https, and no path."""
    return bool(_ADDRESS.match(text))


def safe_name(name: str) -> str:
    """The last part of a name, fit to be a file's: no folders, no control characters, not empty."""
    last = _NOT_IN_NAMES.sub("", re.split(r"[/\\]", name)[-1]).strip()
    last = last.encode("utf-8", "replace").decode()
    # at once what is longer in any case: letter by letter, a long name would take hours
    stem, suffix = Path(last).stem[:_LONGEST], Path(last).suffix[:_LONGEST]
    while len(f"{stem}{suffix}".encode()) > _LONGEST and (stem or suffix):
        stem, suffix = (stem[:-1], suffix) if stem else ("", suffix[:-1])
    kept = f"{stem}{suffix}"
    return "document" if kept in {"", ".", ".."} else kept
