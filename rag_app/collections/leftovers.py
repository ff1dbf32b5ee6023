"""What killed work leaves in the storage folder: scratch files, and originals of no collection."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from rag_app.collections.catalogue import catalogue_path
from retrieval.index.collections import Collections

UPLOADS, PROCESS = "uploads", "process-"
SCRATCH = ".people-"
"""Folder of what browsers send, and how the folder in it of one of several processes begins."""
_MARK = ".provisional"
_AGE = 3600.0
"""Seconds after which what nobody has written to is left over, though a process may be at work."""
_DAY = 86_400.0


def mark_provisional(originals: Path) -> None:
    """Note that a collection is being dropped, or restored into a new folder.

    Killed meanwhile, the next start deletes its originals where the collection is not there.
    """
    if originals.is_dir():
        (originals / _MARK).touch()


def unmark_provisional(originals: Path) -> None:
    """Take the note away: the drop or restore is over."""
    (originals / _MARK).unlink(missing_ok=True)


def copy_originals(originals: Path, to: Path) -> None:
    """Let originals lie, with the note about them, in a second folder, marked as provisional.

    Raises:
        OSError: they cannot be written, or other ones lie there.
    """
    if (to / _MARK).exists():
        drop_originals(to)  # of a killed attempt
    if not originals.is_dir():
        return
    to.mkdir()
    mark_provisional(to)
    for path in (path for path in originals.iterdir() if path.name != _MARK):
        try:
            os.link(path, to / path.name)
        except OSError:  # not every file system has hard links
            shutil.copyfile(path, to / path.name)
    if catalogue_path(originals).exists():
        shutil.copyfile(catalogue_path(originals), catalogue_path(to))


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
    for path in _scratch(storage):
        _delete(path)
    names = set(collections.names())
    for folder in _folders(storage / "files"):
        if (folder / _MARK).exists() and folder.name not in names:
            drop_originals(folder)
        unmark_provisional(folder)


def sweep_old(storage: Path) -> None:
    """Delete scratch files that nobody has written to for an hour, while others work.

    So go the uploads of other processes, a day after the last sign of life.
    """
    for path in _old(_scratch(storage), _AGE):
        _delete(path)
    for path in _old(storage.glob(f"{UPLOADS}/{PROCESS}*"), _DAY):
        _delete(path)


def leftovers(storage: Path, collections: Collections) -> tuple[int, list[str]]:
    """Bytes that a start would sweep away, and the folders of originals that have no collection.

    Of uploads those count that have waited for long; the others may be about to be read.
    """
    names = set(collections.names())
    scratch = [*_scratch(storage), *_old(storage.glob("uploads/*/*"), _AGE)]
    orphans = []
    for folder in _folders(storage / "files"):
        if folder.name not in names:
            if (folder / _MARK).exists():
                scratch.append(folder)
            else:
                orphans.append(str(folder))
    return sum(map(_size, scratch)), orphans


def _scratch(storage: Path) -> Iterator[Path]:
    """What is being written or deleted, or was when its process was killed."""
    for pattern in (f"{SCRATCH}*", "collections/.scratch-*", "collections/*/.scratch-*"):
        yield from storage.glob(pattern)
    for folder in _folders(storage / "files"):
        yield from (path for path in folder.glob(".*") if path.name != _MARK)


def _old(paths: Iterable[Path], age: float) -> Iterator[Path]:
    """Those in which nothing has been written for so many seconds."""
    since = time.time() - age
    for path in paths:
        with suppress(FileNotFoundError):
            if max(one.lstat().st_mtime for one in (path, *path.rglob("*"))) < since:
                yield path


def _folders(files: Path) -> Iterator[Path]:
    return (folder for folder in files.glob("[!.]*") if folder.is_dir())


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Bytes on the disk below a path; files that vanish meanwhile do not count."""
    total = 0
    for one in (path, *path.rglob("*")):
        with suppress(FileNotFoundError):
            total += one.lstat().st_blocks * 512
    return total
