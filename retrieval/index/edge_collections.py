"""Embedded collections: one folder each, one sub-folder a version, a small file for the alias."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from data.files import write_text
from retrieval.index.collections import Collections, Version, checked_name, is_name
from retrieval.index.edge import EdgeStore, create_shard, is_building
from retrieval.index.edge_engine import RESERVE
from retrieval.index.errors import (
    DamagedIndex,
    IndexInUse,
    NameTaken,
    UnknownCollection,
    UnknownIndex,
)
from retrieval.index.fingerprint import IndexSpec

_ALIAS = "active"
_SCRATCH = ".scratch-"
"""Prefix of folders that hold what is being made or deleted."""


class EdgeCollections(Collections):
    """`Collections` in a folder that one process owns.

    Layout: ``ROOT/NAME/active`` holds what the version in use is called, which lies in
    ``ROOT/NAME/FINGERPRINT``, or ``ROOT/NAME/EDITION.FINGERPRINT`` once the collection has been
    replaced as a whole. Every change of state is one rename.

    Args:
        reserve: bytes of the disk that writes leave free; DiskFull is raised instead.
    """

    shared = False

    def __init__(self, root: Path, reserve: int = RESERVE) -> None:
        self.root, self._reserve = root, reserve

    def names(self) -> list[str]:
        """See `Collections.names`."""
        folders = (path for path in self.root.glob("*") if is_name(path.name) and path.is_dir())
        return sorted(each.name for each in folders if (each / _ALIAS).exists() or _unnamed(each))

    def versions(self, name: str) -> list[str]:
        """See `Collections.versions`."""
        edition = self._active(name).edition
        return sorted(
            version.fingerprint
            for version in _versions(self.root / name)
            if version.edition == edition
        )

    def open(self, name: str, spec: IndexSpec, fingerprint: str | None = None) -> EdgeStore:
        """See `Collections.open`."""
        path = self._version(name, fingerprint or self.active(name))
        return EdgeStore(path, spec, self._reserve)

    def point(self, name: str, fingerprint: str) -> None:
        """See `Collections.point`."""
        self._point(name, Version(fingerprint, self._active(name).edition))

    def discard(self, name: str, fingerprint: str) -> None:
        """See `Collections.discard`."""
        version = self._version(name, fingerprint)
        if fingerprint == self.active(name):
            raise IndexInUse(name, fingerprint)
        self._sweep(name, self._active(name).edition)
        _delete(version)

    def drop(self, name: str) -> None:
        """See `Collections.drop`."""
        if checked_name(name) not in self.names():
            raise UnknownCollection(name, self.names())
        _delete(self.root / name)

    def rename(self, name: str, to: str) -> None:
        """See `Collections.rename`."""
        if checked_name(name) not in self.names():
            raise UnknownCollection(name, self.names())
        folder = self.root / checked_name(to)
        if folder.exists():
            raise NameTaken(to)
        (self.root / name).rename(folder)

    def adopt(self, name: str, edition: str, fingerprint: str) -> None:
        """See `Collections.adopt`."""
        self._point(name, Version(fingerprint, edition))
        self._sweep(name, edition)

    def abandon(self, name: str, edition: str) -> None:
        """See `Collections.abandon`."""
        folder = self.root / checked_name(name)
        if self._exists(name) and self._active(name).edition == edition:
            return
        for version in _versions(folder):
            if version.edition == edition:
                _delete(folder / str(version))
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def sweep(self) -> None:
        """See `Collections.sweep`."""
        for scratch in self.root.glob(f"{_SCRATCH}*"):
            shutil.rmtree(scratch)
        names = self.names()
        for folder in (path for path in self.root.glob("[!.]*") if path.is_dir()):
            if folder.name not in names:
                _sweep_drafts(folder)
                continue
            with suppress(DamagedIndex):  # then it cannot be told which version is needed
                self._sweep(folder.name, self._active(folder.name).edition)
            for unfinished in folder.glob(f".{_ALIAS}.*"):
                unfinished.unlink()

    def _active(self, name: str) -> Version:
        alias = self.root / checked_name(name) / _ALIAS
        if not alias.exists() and not _unnamed(alias.parent):
            raise UnknownCollection(name, self.names())
        target = alias.read_text("ascii", "replace").strip() if alias.is_file() else ""
        if (version := Version.parse(target)) and (alias.parent / str(version)).is_dir():
            return version
        left = _versions(alias.parent)  # the alias is lost or damaged
        if len(left) == 1:
            return left[0]
        raise DamagedIndex(alias, f"the name points at {target!r}, which is not there")

    def _exists(self, name: str) -> bool:
        return (self.root / checked_name(name) / _ALIAS).is_file()

    def _version(self, name: str, fingerprint: str) -> Path:
        versions = self.versions(name)
        if fingerprint not in versions:
            raise UnknownIndex(name, fingerprint, versions)
        return self.root / name / str(Version(fingerprint, self._active(name).edition))

    def _make(self, name: str, spec: IndexSpec, version: Version) -> EdgeStore:
        """See `Collections._make`; it is whole or not there at all."""
        path = self.root / checked_name(name) / str(version)
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sweep(name, version.edition)
            scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=path.parent))
            create_shard(scratch / "shard", spec, self._reserve)
            (scratch / "shard").rename(path)
            scratch.rmdir()
        return EdgeStore(path, spec, self._reserve)

    def _sweep(self, name: str, edition: str) -> None:
        """Delete what crashes have left: scratch, and editions but that one and the one in use."""
        folder = self.root / name
        for scratch in folder.glob(f"{_SCRATCH}*"):
            shutil.rmtree(scratch)
        kept = {edition}
        try:
            kept.add(self._active(name).edition)
        except UnknownCollection:
            pass
        except DamagedIndex:
            return  # it cannot be told which one is in use
        for version in _versions(folder):
            if version.edition not in kept:
                _delete(folder / str(version))

    def _point(self, name: str, version: Version) -> None:
        folder = self.root / name
        if not (folder / str(version)).is_dir():
            raise UnknownIndex(name, version.fingerprint, self.versions(name))
        write_text(folder / _ALIAS, str(version))


def _versions(folder: Path) -> list[Version]:
    """Of every edition."""
    found = (Version.parse(path.name) for path in folder.glob("*") if path.is_dir())
    return [version for version in found if version]


def _unnamed(folder: Path) -> bool:
    """Whether a collection lies there whose alias is lost; drafts, which have none, are none."""
    return any(not version.edition for version in _versions(folder))


def _sweep_drafts(folder: Path) -> None:
    """Delete the versions of a killed restore: nobody has seen them, and they are not whole."""
    for scratch in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(scratch)
    for version in _versions(folder):
        with suppress(DamagedIndex):
            if is_building(folder / str(version)):
                _delete(folder / str(version))
    if not any(folder.iterdir()):
        folder.rmdir()


def _delete(folder: Path) -> None:
    """Delete a folder that is gone at once, not file by file."""
    trash = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder.parent))
    folder.rename(trash / folder.name)
    shutil.rmtree(trash)
