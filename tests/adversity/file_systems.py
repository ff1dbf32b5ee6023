"""Small file systems that tests may fill."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BLOCK = b"x" * 4096


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own in memory, mounted at a new folder; skips where none may be."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:  # noqa: PLW1510
        pytest.skip("optional: file systems may not be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write a file until nothing more fits on its disk."""
    try:
        with file.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(_BLOCK)
    except OSError:
        assert shutil.disk_usage(file.parent).free == 0
