"""Embedded collections: one folder each, one sub-folder a version, a small file for the alias."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from retrieval.index.collections import checked_name
from retrieval.index.edge import EdgeStore, create_shard
from retrieval.index.errors import IndexInUse, UnknownCollection, UnknownIndex
from retrieval.index.fingerprint import IndexSpec

_ALIAS = "active"
_SCRATCH = ".scratch-"
"""Prefix of folders that hold what is being made or deleted."""


class EdgeCollections:
    """`Collections` in a folder that one process owns.

    Layout: ``ROOT/NAME/active`` holds the fingerprint of the version in use, which lies in
    ``ROOT/NAME/FINGERPRINT``. Every change of state is one rename.

    Args:
        root: folder of all collections; made when the first one is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """See `Collections.names`."""
        folders = (alias.parent.name for alias in self.root.glob(f"*/{_ALIAS}"))
        return sorted(name for name in folders if not name.startswith("."))

    def versions(self, name: str) -> list[str]:
        """See `Collections.versions`."""
        self.active(name)
        return sorted(path.name for path in (self.root / name).glob("*") if _is_version(path))

    def active(self, name: str) -> str:
        """See `Collections.active`."""
        alias = self.root / checked_name(name) / _ALIAS
        try:
            return alias.read_text("ascii").strip()
        except FileNotFoundError:
            raise UnknownCollection(name, self.names()) from None

    def open(self, name: str, spec: IndexSpec, fingerprint: str | None = None) -> EdgeStore:
        """See `Collections.open`."""
        return EdgeStore(self._version(name, fingerprint or self.active(name)), spec)

    def create(self, name: str, spec: IndexSpec) -> EdgeStore:
        """See `Collections.create`."""
        if self._exists(name):
            return self.open(name, spec)
        self._make(name, spec)
        self._point(name, spec.fingerprint)
        store = self.open(name, spec)
        store.put_collection(store.collection().built())
        return store

    def stage(self, name: str, spec: IndexSpec) -> EdgeStore:
        """See `Collections.stage`."""
        self.active(name)
        return EdgeStore(self._make(name, spec), spec)

    def point(self, name: str, fingerprint: str) -> None:
        """See `Collections.point`."""
        self._version(name, fingerprint)
        self._point(name, fingerprint)

    def discard(self, name: str, fingerprint: str) -> None:
        """See `Collections.discard`."""
        version = self._version(name, fingerprint)
        if fingerprint == self.active(name):
            raise IndexInUse(name, fingerprint)
        _sweep(version.parent)
        _delete(version)

    def drop(self, name: str) -> None:
        """See `Collections.drop`."""
        self.active(name)
        _delete(self.root / name)

    def _exists(self, name: str) -> bool:
        return (self.root / checked_name(name) / _ALIAS).is_file()

    def _version(self, name: str, fingerprint: str) -> Path:
        versions = self.versions(name)
        if fingerprint not in versions:
            raise UnknownIndex(name, fingerprint, versions)
        return self.root / name / fingerprint

    def _make(self, name: str, spec: IndexSpec) -> Path:
        """An empty version, whole or not there at all."""
        path = self.root / checked_name(name) / spec.fingerprint
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path.parent)
            scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=path.parent))
            create_shard(scratch / "shard", spec)
            (scratch / "shard").rename(path)
            scratch.rmdir()
        return path

    def _point(self, name: str, fingerprint: str) -> None:
        folder = self.root / name
        scratch = folder / f".{_ALIAS}.{os.getpid()}"
        with scratch.open("w", encoding="ascii") as file:
            file.write(fingerprint)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name with no content
        scratch.replace(folder / _ALIAS)


def _is_version(path: Path) -> bool:
    return re.fullmatch("[0-9a-f]{16}", path.name) is not None and path.is_dir()


def _delete(folder: Path) -> None:
    """Delete a folder that is gone at once, not file by file."""
    trash = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder.parent))
    folder.rename(trash / folder.name)
    shutil.rmtree(trash)


def _sweep(folder: Path) -> None:
    """Delete what crashes have left."""
    for scratch in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(scratch)
