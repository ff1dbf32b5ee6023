"""Which document each original file is, noted outside the index for the day that it is damaged.

The index knows it better: the note is read where that is damaged. It is written anew after every
change of a collection, and before documents are deleted, as ``files/NAME.jsonl``:
{source, live, suffix, origin}.
"""

import json
import logging
import re
from collections.abc import Iterable
from pathlib import Path

from data.files import write_text
from rag_app.errors import ApplicationError
from retrieval.index.base import PassageStore
from retrieval.index.errors import DamagedIndex
from retrieval.index.records import DocumentRecord

_KEYS = ("source", "live", "suffix", "origin")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOGGER = logging.getLogger(__name__)


def catalogue_path(originals: Path) -> Path:
    """Where the note about a folder of originals lies: beside it."""
    return originals.with_name(f"{originals.name}.jsonl")


def write_catalogue(originals: Path, records: Iterable[DocumentRecord]) -> None:
    """Note the live documents, where the note says something else."""
    path = catalogue_path(originals)
    live = (record for record in records if record.live)
    lines = {json.dumps({key: getattr(record, key) for key in _KEYS}) for record in live}
    text = "".join(f"{line}\n" for line in sorted(lines))
    try:
        if originals.is_dir() and not (path.exists() and path.read_text("utf-8") == text):
            write_text(path, text)
    except OSError as error:  # the change itself is written
        _LOGGER.warning("%s cannot be written: %s", path, error.strerror)


def read_catalogue(originals: Path) -> list[DocumentRecord]:
    """The documents as they were noted last; without a note, every file under its own name.

    Raises:
        ApplicationError: the note is damaged.
    """
    path = catalogue_path(originals)
    if not path.exists():
        files = (one.name for one in originals.glob("*") if _SHA256.match(one.name))
        return [DocumentRecord(name, live=name[:64], suffix=name[64:]) for name in sorted(files)]
    try:
        return [_record(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ApplicationError(
            f"the list of documents {path} is damaged",
            cause=str(error),
            hint="Restore a backup, or delete it: then the originals keep the names of their files",
        ) from error


def require_documents(originals: Path, store: PassageStore) -> None:
    """Tell an index that has lost all that it held from one that never held anything.

    Raises:
        DamagedIndex: it has no document, though some are noted.
        ApplicationError: the note is damaged.
    """
    if not catalogue_path(originals).exists() or store.records():
        return
    if noted := read_catalogue(originals):
        raise DamagedIndex(store.place, f"it has lost all of its {len(noted)} documents")


def _record(line: str) -> DocumentRecord:
    fields = json.loads(line)
    known = {key: str(fields[key]) for key in _KEYS}
    if not _SHA256.fullmatch(known["live"]) or "/" in known["suffix"]:
        raise ValueError(f"{line[:80]!r} names no document")
    return DocumentRecord(
        known["source"], live=known["live"], suffix=known["suffix"], origin=known["origin"]
    )
