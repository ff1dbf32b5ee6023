"""Files that are written as a whole: a reader sees the old content or the new one, never a part.

And small ones that are read at once, by whoever must not wait.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def held(folder: Path, busy: Exception) -> Iterator[None]:
    """The right to write in a folder, which one process has at a time; raises `busy` without it."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends without an error.

    After an error nothing has changed and nothing is left over. It is for its owner alone.

    Args:
        path: its folder must exist; what lies there, a link too, is replaced.
        sync: whether its content must be on the disk before it gets its name; without that a power
            cut may leave an empty file.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    os.close(descriptor)
    unfinished = Path(name)
    try:
        with unfinished.open("wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 as `replacing` does; what UTF-8 cannot hold becomes ``?``."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "replace"))


def read_text(path: Path) -> str:
    """The text of a regular file, in UTF-8.

    Raises:
        OSError: it cannot be read, or is not a regular file: a pipe would wait for whoever writes.
        UnicodeDecodeError: it is no UTF-8.
    """
    at_once = getattr(os, "O_NONBLOCK", 0)  # Windows has none
    with os.fdopen(os.open(path, os.O_RDONLY | at_once), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is not a regular file")
        return file.read().decode("utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
