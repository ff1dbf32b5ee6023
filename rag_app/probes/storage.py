"""The storage folder: whether this user may write it, who else may, and how much room is left."""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from rag_app.probes.base import Problem

_ENOUGH: Final = 1 << 30
_SAMPLE: Final = b"x" * 4096


def storage(folder: Path) -> str:
    """Write a file without a name, which is gone at once, and look at what is around it.

    Raises:
        Problem: it cannot be written, or less than 1 GiB is left.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as scratch:
            scratch.write(_SAMPLE)
            scratch.flush()
        about = folder.stat()
    except OSError as error:
        raise Problem(
            f"{folder} cannot be written by {_user()}",
            cause=f"{(error.strerror or str(error)).lower()}{_owner(folder)}",
            hint="Give it to that user (chown), or set RAG_APP_STORAGE__PATH",
        ) from error
    free = shutil.disk_usage(folder).free
    if free < _ENOUGH:
        raise Problem(
            f"{folder} has {free / 1e6:.0f} MB left",
            hint="Free some disk space, or set RAG_APP_STORAGE__PATH",
        )
    open_to_all = about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX
    others = "; EVERYBODY may write it (chmod o-w)" if open_to_all else ""
    mode = f"{stat.S_IMODE(about.st_mode):04o}"
    return f"{folder}, written as {_user()}, mode {mode}{others}, {free / 1e9:.0f} GB free"


def _user() -> str:
    return f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"


def _owner(folder: Path) -> str:
    """Whose it is, or the folder that it should lie in."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        about = there.stat()
    except OSError:
        return ""
    return f"; {there} is of user {about.st_uid}, mode {stat.S_IMODE(about.st_mode):04o}"
