"""Which files are meant by the paths that a person names, and what each is called."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.components import BY_ENDING
from data.errors import DataError

_LINK = "symbolic links in folders are not followed"


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read.

    `source` is its name within a collection; `origin` the place that it came from, which tells it
    from others of its name (see `rag_app.ingestion.identity`), or empty where none is known.
    """

    path: Path
    source: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Files to read, and what lay in the named folders but is not read, with the reason."""

    files: tuple[Found, ...]
    ignored: Mapping[Path, str]


@dataclass(slots=True)
class _Candidate:
    """A file under the name that uses the last `depth` parts of its absolute path."""

    path: Path
    parts: tuple[str, ...]
    depth: int

    def source(self) -> str:
        return unicodedata.normalize("NFC", "/".join(self.parts[-self.depth :]))


def discover(paths: Sequence[Path]) -> Discovery:
    """The files that `paths` (files and folders) stand for, in the order given.

    A file is called by its name, whatever its type: reading it will tell whether it can be. The
    files of a folder are found recursively, in sorted order, and called by their path relative to
    it; hidden ones are skipped; symbolic links, unsupported ones, pipes and folders that may not be
    entered are listed as ignored. Names are in Unicode's NFC. The same file reached twice counts
    once. Where two files would have the same source, names of parent folders are put in front
    until they differ. Raises DataError for a path that does not exist.
    """
    found: dict[Path, _Candidate] = {}
    ignored: dict[Path, str] = {}
    for path in paths:
        try:
            missing = "" if path.exists() else "there is no such file or folder"
        except OSError as error:  # a name that is too long, a folder that may not be entered
            missing = (error.strerror or str(error)).lower()
        if missing:
            raise DataError(
                f"cannot find {path}",
                cause=missing,
                hint="Check the spelling, and that the path is relative to where you are",
            )
        if path.is_dir():
            _add_folder(path.resolve(), found, ignored)
        else:
            here = path.parent.resolve() / path.name
            found.setdefault(path.resolve(), _Candidate(path, _names(here), 1))
    _part(list(found.values()))
    files = tuple(Found(each.path, each.source()) for each in found.values())
    return Discovery(files, {path: why for path, why in ignored.items() if path not in found})


def _add_folder(folder: Path, found: dict[Path, _Candidate], ignored: dict[Path, str]) -> None:
    for path in _walk(folder, ignored):
        if path.suffix.lower() in BY_ENDING:
            depth = len(path.relative_to(folder).parts)
            found.setdefault(path, _Candidate(path, _names(path), depth))
        else:
            kind = f"that end in {path.suffix}" if path.suffix else "without an ending"
            ignored[path] = f"files {kind} are not read"


def _walk(folder: Path, ignored: dict[Path, str]) -> Iterator[Path]:
    """Regular, visible files beneath a resolved folder, sorted by path."""

    def denied(error: OSError) -> None:
        ignored[Path(str(error.filename))] = f"not readable: {error.strerror}"

    for here, folders, files in os.walk(folder, onerror=denied):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        ignored.update(
            (Path(here, name), _LINK) for name in folders if Path(here, name).is_symlink()
        )
        for name in sorted(files):
            path = Path(here, name)
            if name.startswith("."):
                continue
            if path.is_symlink():
                ignored[path] = _LINK
            elif path.is_file():
                yield path
            else:
                ignored[path] = "it is not a regular file"


def _names(path: Path) -> tuple[str, ...]:
    return path.parts[1:] if path.anchor else path.parts


def _part(candidates: list[_Candidate]) -> None:
    """Lengthen the names that several candidates share until no two are the same."""
    while True:
        counts = Counter(each.source() for each in candidates)
        shared = [
            each
            for each in candidates
            if counts[each.source()] > 1 and each.depth < len(each.parts)
        ]
        if not shared:
            return
        for each in shared:
            each.depth += 1
