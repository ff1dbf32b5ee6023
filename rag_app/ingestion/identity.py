"""Which document of a collection a file is.

A document is known by the place its file came from (`DocumentRecord.origin`), not by its name: two
files of one name in two folders are two documents, in whatever runs they come. The name, `source`,
is what people see and cite; where another document has it, names of parent folders are put in
front, and an upload, which has no folder, gets a number. The place of a document that a server gave
is its address: its name gets the port, then a number.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from data.discovery import Found
from data.files import sha256
from data.names import is_address
from retrieval.index.records import DocumentRecord

UPLOAD = "upload:"
"""How the origin of a file begins that was uploaded, and so has no place of its own."""


def origin(path: Path) -> str:
    """The place of a file, as documents are known by: its absolute path in Unicode's NFC."""
    return unicodedata.normalize("NFC", str(path.parent.resolve() / path.name))


def identify(files: Sequence[Found], records: Iterable[DocumentRecord]) -> list[Found]:
    """The files under the names of the documents that they are.

    A file that came before from the same place keeps its document. One from elsewhere is the
    document of its name where that has no content that is whole, or was stored before places were;
    or where it has the same content, and its own file is gone or either of them was uploaded.
    Otherwise it is a new document.
    """
    known: dict[str, str] = {}
    known_names: dict[str, DocumentRecord | None] = {}
    for record in records:
        known_names[record.source] = record
        if record.origin:
            known[record.origin] = record.source
    found = []
    for file in files:
        source = known.get(file.origin) or _name(file, known_names)
        stored = known_names.get(source)
        known_names[source] = None
        known[file.origin] = source
        kept = stored.origin if stored and file.origin.startswith(UPLOAD) else ""
        found.append(replace(file, source=source, origin=kept or file.origin))
    return found


def gone(records: Iterable[DocumentRecord], folders: Iterable[Path]) -> list[str]:
    """The documents that came from these folders, or from below, and whose files are gone."""
    places = [PurePath(origin(folder)) for folder in folders]
    return sorted(
        {
            record.source
            for record in records
            if any(PurePath(record.origin).is_relative_to(place) for place in places)
            and _is_gone(record.origin)
        }
    )


def _is_gone(path: str) -> bool:
    """Whether nothing is there; a place that cannot be looked at may hold it still."""
    if is_address(path):
        return False
    for form in (path, unicodedata.normalize("NFD", path)):
        try:
            os.lstat(form)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return False
        return False
    return True


def _name(file: Found, known_names: dict[str, DocumentRecord | None]) -> str:
    """A name that no other document has."""
    names = _longer_names(file)
    while (name := next(names)) in known_names:
        record = known_names[name]
        if record is not None and _is_same(file, record):
            break
    return name


def _is_same(file: Found, record: DocumentRecord) -> bool:
    if not record.origin or not (record.live or record.pending):
        return True
    uploaded = file.origin.startswith(UPLOAD) or record.origin.startswith(UPLOAD)
    if not uploaded and not _is_gone(record.origin):
        return False
    try:
        return sha256(file.path) in {record.live, record.pending}
    except OSError:
        return False


def _longer_names(file: Found) -> Iterator[str]:
    yield file.source
    if is_address(file.origin):
        yield from _with_port(file)
    elif not file.origin.startswith(UPLOAD):
        parts = [part for part in PurePath(file.origin).parts if part.strip("/\\")]
        for depth in range(len(PurePath(file.source).parts) + 1, len(parts) + 1):
            yield "/".join(parts[-depth:])
    name = PurePath(file.source)
    number = 2
    while True:
        yield str(name.with_name(f"{name.stem} ({number}){name.suffix}"))
        number += 1


def _with_port(file: Found) -> Iterator[str]:
    """The name of what a server gave with the port, where its address has one."""
    address = urlsplit(file.origin)
    host, _, path = file.source.partition("/")
    if address.port and host == address.hostname:
        yield f"{address.netloc}/{path}"
