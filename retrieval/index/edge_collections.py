"""Embedded collections: one folder each, one sub-folder a version, a small file for the alias."""

import os
import shutil
import tempfile
from pathlib import Path

from retrieval.index.collections import checked_name
from retrieval.index.edge import EdgeStore, create_shard
from retrieval.index.errors import NotStaged, UnknownCollection
from retrieval.index.fingerprint import IndexSpec

_ALIAS = "active"


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

    def open(self, name: str, spec: IndexSpec) -> EdgeStore:
        """See `Collections.open`."""
        fingerprint = self._active(name)
        if fingerprint is None:
            raise UnknownCollection(name, self.names())
        return EdgeStore(self.root / name / fingerprint, spec)

    def create(self, name: str, spec: IndexSpec) -> EdgeStore:
        """See `Collections.create`."""
        if self._active(name) is None:
            self._make(name, spec)
            self._point(name, spec.fingerprint)
        return self.open(name, spec)

    def stage(self, name: str, spec: IndexSpec) -> EdgeStore:
        """See `Collections.stage`."""
        return EdgeStore(self._make(name, spec), spec)

    def promote(self, name: str, spec: IndexSpec) -> None:
        """See `Collections.promote`."""
        if not (self.root / checked_name(name) / spec.fingerprint).is_dir():
            raise NotStaged(name)
        self._point(name, spec.fingerprint)
        for version in (self.root / name).iterdir():
            if version.is_dir() and version.name != spec.fingerprint:
                shutil.rmtree(version)

    def drop(self, name: str) -> None:
        """See `Collections.drop`."""
        if self._active(name) is None:
            raise UnknownCollection(name, self.names())
        trash = Path(tempfile.mkdtemp(prefix=".dropped-", dir=self.root))
        (self.root / name).rename(trash / name)
        shutil.rmtree(trash)

    def _active(self, name: str) -> str | None:
        alias = self.root / checked_name(name) / _ALIAS
        return alias.read_text("ascii").strip() if alias.is_file() else None

    def _make(self, name: str, spec: IndexSpec) -> Path:
        """An empty version, whole or not there at all."""
        path = self.root / checked_name(name) / spec.fingerprint
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
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
