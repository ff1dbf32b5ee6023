"""What killed work leaves in the storage folder: scratch files, and originals of no collection."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rag_app.collections.catalogue import catalogue_path
from retrieval.index.collections import Collections

_MARK = ".provisional"


def mark_provisional(originals: Path) -> None:
    """Note that a collection is being dropped or restored.

    Killed meanwhile, the next start deletes its originals where the collection is not there.
    """
    if originals.is_dir():
        (originals / _MARK).touch()


def unmark_provisional(originals: Path) -> None:
    """Take the note away: the drop or restore is over."""
    (originals / _MARK).unlink(missing_ok=True)


def drop_originals(originals: Path) -> None:
    """Delete the originals of a collection that is gone, the mark last."""
    catalogue_path(originals).unlink(missing_ok=True)
    for path in originals.glob("*"):
        if path.name != _MARK:
            path.unlink()
    if originals.is_dir():
        shutil.rmtree(originals)


def sweep(storage: Path, collections: Collections) -> None:
    """Delete what killed work has left; only where this process owns the storage folder.

    Originals go where their collection was being dropped or restored. Others that have no
    collection stay: whoever has moved the indexes away may bring them back.
    """
    collections.sweep()
    names = set(collections.names())
    for folder in _folders(storage / "files"):
        for scratch in folder.glob(".*"):
            if scratch.name != _MARK:
                scratch.unlink()
        if (folder / _MARK).exists() and folder.name not in names:
            drop_originals(folder)
        unmark_provisional(folder)


def leftovers(storage: Path, collections: Collections) -> tuple[int, list[str]]:
    """Bytes that a start would sweep away, and the folders of originals that have no collection."""
    names = set(collections.names())
    scratch = [*storage.glob("collections/.scratch-*"), *storage.glob("collections/*/.scratch-*")]
    orphans = []
    for folder in _folders(storage / "files"):
        scratch += [path for path in folder.glob(".*") if path.name != _MARK]
        if folder.name not in names:
            if (folder / _MARK).exists():
                scratch.append(folder)
            else:
                orphans.append(str(folder))
    return sum(map(_size, scratch)), orphans


def _folders(files: Path) -> Iterator[Path]:
    return (folder for folder in files.glob("[!.]*") if folder.is_dir())


def _size(path: Path) -> int:
    """Bytes on the disk below a path; files that vanish meanwhile do not count."""
    total = 0
    for one in (path, *path.rglob("*")):
        with suppress(FileNotFoundError):
            total += one.lstat().st_blocks * 512
    return total
