"""The embedded engine's calls: its failures as StoreError, and room on the disk before it writes.

The engine maps its files into memory, so a write to a full disk does not fail: the kernel ends the
process (SIGBUS). It panics on files that are damaged, which arrives as a BaseException.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from retrieval.index.errors import DamagedIndex, DiskFull, StoreError

MIB = 1 << 20
RESERVE = 256 * MIB
"""Bytes that stay free unless settings say otherwise. One write may fill holes in several mapped
files and reserve a new 32 MiB page in each; other programs write to the disk as well."""
NEW_SHARD = 96 * MIB
"""Bytes that an empty shard takes: it reserves pages of up to 32 MiB."""


def require_room(folder: Path, reserve: int, needed: int = 0) -> None:
    """Refuse to fill the disk.

    Raises:
        DiskFull: fewer than `reserve` bytes would be left.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < reserve + needed:
        raise DiskFull(folder, free, reserve, needed)


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Raise what goes wrong in the engine as DamagedIndex."""
    try:
        yield
    except Exception as error:  # the engine raises nothing narrower
        raise DamagedIndex(path, str(error)) from error
    except BaseException as error:  # a panic of the engine is no Exception; all else goes on
        if type(error).__name__ != "PanicException":  # which pyo3 does not export
            raise
        raise DamagedIndex(path, f"the engine failed: {error}") from error


class Shard:
    """A `qdrant_edge.EdgeShard` whose calls raise StoreError, and which never fills the disk.

    Args:
        path: its folder.
        reserve: bytes of the disk that writes leave free. Deletions may use half of it, since they
            make room later.

    Raises:
        DamagedIndex: the folder cannot be read.
        StoreError: another program has it open.
    """

    def __init__(self, path: Path, reserve: int = RESERVE) -> None:
        self._path, self._reserve = path, reserve
        try:
            with engine_errors(path):
                self.engine: Any = edge.EdgeShard.load(str(path))
        except DamagedIndex as error:
            if "WouldBlock" not in error.cause:
                raise
            raise StoreError(
                f"the index in {path} cannot be opened",
                cause="another program has it open",
                hint="Close the other program that uses it",
            ) from error

    def retrieve(self, ids: list[str], payload: Any = True) -> list[Any]:
        """Points by id, without vectors."""
        with engine_errors(self._path):
            found: list[Any] = self.engine.retrieve(ids, with_payload=payload, with_vector=False)
            return found

    def scroll(self, request: Any) -> tuple[list[Any], Any]:
        """A page of points, and where the next one begins."""
        with engine_errors(self._path):
            records, offset = self.engine.scroll(request)
            return records, offset

    def query(self, request: Any) -> list[Any]:
        """The best points for a query."""
        with engine_errors(self._path):
            found: list[Any] = self.engine.query(request)
            return found

    def count(self, where: Any) -> int:
        """How many points pass a filter, exactly."""
        with engine_errors(self._path):
            return int(self.engine.count(edge.CountRequest(exact=True, filter=where)))

    def require_room(self, needed: int) -> None:
        """Raise DiskFull where `needed` bytes more would leave too little of the disk free."""
        require_room(self._path, self._reserve, needed)

    def write(self, operation: Any, *, grows: bool = True) -> None:
        """Apply an operation; `grows` False for what deletes, or comes of it. Raises DiskFull."""
        require_room(self._path, self._reserve if grows else self._reserve // 2)
        with engine_errors(self._path):
            self.engine.update(operation)

    def flush(self) -> None:
        """Write all to the disk."""
        with engine_errors(self._path):
            self.engine.flush()

    def optimize(self) -> None:
        """Build the search graph, in new files beside the old ones. Raises DiskFull."""
        size = sum(path.stat().st_blocks * 512 for path in self._path.rglob("*"))
        self.require_room(size)
        with engine_errors(self._path):
            self.engine.optimize()

    def close(self) -> None:
        """Release the files; closing twice is allowed."""
        if self.engine is not None:
            engine, self.engine = self.engine, None
            with engine_errors(self._path):
                engine.close()
