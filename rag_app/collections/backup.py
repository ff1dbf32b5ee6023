"""Collections as one file that any rag-app can take back, whichever Qdrant stands behind it.

The file is an archive (`rag_app.collections.archive`) of these members, in this order:

    backup.json                                      {format, made, collections: [NAME...]}
    chats.sqlite, users.sqlite, browser.key          see `rag_app.collections.people`
    collections/NAME/collection.json                 {name, active, indexes: [{record, documents,
                                                     passages}...], owner: a user's id, if any}
    collections/NAME/indexes/FP/documents-N.jsonl    a `DocumentRecord` a line
    collections/NAME/indexes/FP/passages-N.jsonl     {id, payload, dense, indices, values} a line
    collections/NAME/originals/SHA256                an original file, as it came
    SHA256SUMS

`record` is a `CollectionRecord`: what index FP was built with. `dense` and `values` are
little-endian float32, `indices` little-endian uint32, all in base64; `indices` and `values` are the
BM25 vector. Documents and passages come in parts of a few megabytes, numbered from 1, so that
neither side ever holds more.

A backup of collections that are named holds no people, and neither does one of format 1.

What searches see is backed up: of a document that was being written, the version they see; an index
that is being built for the first time is left out, for nobody can search it yet.
"""

import base64
import re
import secrets
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from data.files import sha256
from rag_app.collections import people
from rag_app.collections.archive import ArchiveWriter, DamagedBackup, Member, members
from rag_app.collections.indexes import Indexes
from rag_app.collections.leftovers import mark_provisional, unmark_provisional
from rag_app.collections.people import People
from rag_app.collections.stores import OpenStores
from rag_app.errors import ApplicationError
from rag_app.ingestion.reading import Originals
from rag_app.results import BackupReport, CopiedCollection, OnProgress, Progress
from retrieval.bm25 import BM25
from retrieval.errors import RetrievalError
from retrieval.index.base import PassageStore, StoredPassage, point_ids
from retrieval.index.collections import Collections, checked_name
from retrieval.index.errors import BadCollectionName
from retrieval.index.fingerprint import StoredSpec
from retrieval.index.records import CollectionRecord, DocumentRecord
from retrieval.sparse import SparseVector

T = TypeVar("T", bound=BaseModel)

FORMAT = 2
_OLDER = (1,)
_HEADER = "backup.json"
_PART = 4 << 20
_LARGEST = 256 << 20
"""Bytes of a member that is read at once; a part ends with the line that fills it."""
_PIECE = 1 << 20
_AT_ONCE = 256
_MEMBER = re.compile(
    r"collections/([^/]+)/(?:(collection)\.json|indexes/([0-9a-f]{16})/(documents|passages)-\d+\.jsonl"
    r"|originals/([0-9a-f]{64}))"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DOCUMENT = TypeAdapter(DocumentRecord)


class _Header(BaseModel):
    format: int
    made: str
    collections: list[str]


class _Index(BaseModel):
    record: CollectionRecord
    documents: int
    passages: int


class _Collection(BaseModel):
    name: str
    active: str
    indexes: list[_Index]
    owner: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")] = ""


class _Line(BaseModel):
    id: str
    payload: dict[str, Any]
    dense: str
    indices: str
    values: str


class Backups:
    """Writes collections into a stream of bytes, and takes them back from one.

    Args:
        storage: the storage folder.
        bm25: stands in for that of indexes which cannot be made here.
    """

    def __init__(
        self,
        collections: Collections,
        stores: OpenStores,
        indexes: Indexes,
        storage: Path,
        bm25: BM25,
    ) -> None:
        self._collections, self._stores, self._indexes = collections, stores, indexes
        self._originals, self._people, self._bm25 = storage / "files", People(storage), bm25

    # --- backing up --------------------------------------------------------------------------

    def write(self, names: Sequence[str]) -> Generator[bytes | BackupReport, None, None]:
        """The bytes of a backup of these collections, or of all and the people; then what it holds.

        A collection cannot be changed while it is written; it can be searched.

        Raises:
            UnknownCollection: there is none of that name.
            ApplicationError: another process changed a collection meanwhile.
        """
        start, report = time.monotonic(), BackupReport()
        chosen = list(dict.fromkeys(names)) or self._collections.names()
        for name in chosen:
            self._collections.active(name)
        for piece in _larger(self._pieces(chosen, report, with_people=not names), _PIECE):
            report.bytes += len(piece)
            yield piece
        report.seconds = time.monotonic() - start
        yield report

    def _pieces(
        self, names: Sequence[str], report: BackupReport, *, with_people: bool
    ) -> Iterator[bytes]:
        archive = ArchiveWriter(time.time())
        made = datetime.now(UTC).isoformat(timespec="seconds")
        yield from _json(archive, _HEADER, _Header(format=FORMAT, made=made, collections=[*names]))
        if with_people:
            yield from self._people.write(archive, report)
        for name in names:
            with self._indexes.writing_to(name):
                yield from self._collection(name, archive, report)
        yield from archive.end()

    def _collection(
        self, name: str, archive: ArchiveWriter, report: BackupReport
    ) -> Iterator[bytes]:
        active, folder = self._collections.active(name), f"collections/{name}"
        held = [(store, store.collection(), store.records()) for store in self._indexes.all(name)]
        whole = [one for one in held if not one[1].building or one[1].fingerprint == active]
        settled = {record.fingerprint: _settled(records) for _, record, records in whole}
        collection = _Collection(
            name=name,
            active=active,
            indexes=[
                _Index(
                    record=record,
                    documents=len(settled[record.fingerprint]),
                    passages=sum(one.passages for one in settled[record.fingerprint] if one.live),
                )
                for _, record, _ in whole
            ],
            owner=self._people.owners().get(name, ""),
        )
        yield from _json(archive, f"{folder}/collection.json", collection)
        for store, record, records in whole:
            place = f"{folder}/indexes/{record.fingerprint}"
            documents = settled[record.fingerprint]
            lines = (orjson.dumps(asdict(one)) for one in documents)
            yield from _parts(archive, f"{place}/documents", lines)
            passages = _Counted(store)
            yield from _parts(archive, f"{place}/passages", passages.lines())
            changed = (store.collection(), store.records()) != (record, records)
            if changed or not passages.are_those_of(documents):
                raise ApplicationError(
                    f"collection {name!r} changed while it was backed up",
                    cause=f"index {record.fingerprint} does not hold what its records name",
                    hint="Back it up again while nothing is ingested; if that repeats itself, "
                    "`rag-app collections rebuild` mends it",
                )
        found = self._present(name, _contents(settled.values()), report)
        for content, path in found.items():
            yield from archive.file(f"{folder}/originals/{content}", path)
        report.collections.append(_copied(collection, len(found)))

    def _present(
        self, name: str, wanted: Mapping[str, Mapping[str, str]], report: BackupReport
    ) -> dict[str, Path]:
        """The originals that are there and whole, by content; the others are reported."""
        folder, found = Originals(self._originals / name), {}
        for content, sources in wanted.items():
            paths = (folder.path(content, suffix) for suffix in sources.values())
            path = next((p for p in paths if p.is_file() and sha256(p) == content), None)
            if path:
                found[content] = path
            else:
                report.missing += [f"{name}/{source}" for source in sources]
        return found

    # --- restoring ---------------------------------------------------------------------------

    def restore(
        self,
        backup: Iterable[bytes],
        names: Sequence[str] = (),
        replace: bool = False,
        on_progress: OnProgress = lambda _: None,
    ) -> BackupReport:
        """Make the collections of a backup with its people, or these of them alone.

        They are written beside what there is. When the whole backup has been read and found right,
        each takes its place in one step; until then, and if anything fails, all is as it was.

        Args:
            backup: its bytes, cut anywhere.
            replace: whether they may take the place of collections of the same names.

        Raises:
            DamagedBackup: it is not what was written, or not all of it.
            ApplicationError: it is of another format, lacks one of `names`, or would replace a
                collection that it must not.
        """
        start, drafts, report = time.monotonic(), dict[str, _Draft](), BackupReport()

        def counted() -> Iterator[bytes]:
            for piece in backup:
                report.bytes += len(piece)
                yield piece

        with ExitStack() as held:
            archive = members(counted())
            header = _header(next(archive, None))
            chosen = self._chosen(header.collections, names, replace)
            for name in sorted(chosen):
                held.enter_context(self._indexes.writing_to(name))
            self._refuse_existing(chosen, replace)  # again, now that nobody makes one
            scratch = held.enter_context(self._people.scratch())
            for member in archive:
                if member.name in people.MEMBERS:
                    self._people.take(member, scratch)
                elif draft := self._take(member, header, chosen, drafts, held):
                    on_progress(draft.progress(start))
            if drafts.keys() != set(chosen):
                raise DamagedBackup("it does not hold the collections that it names")
            for draft in drafts.values():
                draft.finish(self._indexes.grow_graph)
            if not names:
                self._people.adopt(scratch, report)
            self._adopt(drafts)
        report.collections = [draft.copied for draft in drafts.values()]
        report.seconds = time.monotonic() - start
        return report

    def _adopt(self, drafts: Mapping[str, "_Draft"]) -> None:
        for name, draft in drafts.items():
            with self._stores.closed(name):
                if draft.owner:  # before anybody sees what is theirs
                    self._people.set_owner(name, draft.owner)
                draft.adopt()
            self._indexes.forget_unused(name)

    def _chosen(self, there: Sequence[str], names: Sequence[str], replace: bool) -> list[str]:
        chosen = list(dict.fromkeys(names or there))
        absent = [name for name in chosen if name not in there]
        if absent:
            raise ApplicationError(
                f"the backup does not hold {', '.join(absent)}",
                cause=f"it holds {', '.join(there) or 'no collection'}",
            )
        self._refuse_existing(chosen, replace)
        return chosen

    def _refuse_existing(self, names: Sequence[str], replace: bool) -> None:
        existing = sorted(set(names) & set(self._collections.names()))
        if existing and not replace:
            raise ApplicationError(
                f"collection {', '.join(existing)} exists",
                cause="restoring it would replace all that it holds",
                hint="Say --replace if that is meant, or name others with --collection",
            )

    def _take(
        self,
        member: Member,
        header: _Header,
        chosen: Sequence[str],
        drafts: dict[str, "_Draft"],
        held: ExitStack,
    ) -> "_Draft | None":
        match = _MEMBER.fullmatch(member.name)
        if match is None or match[1] not in header.collections:
            raise DamagedBackup(f"it holds {member.name}, which no backup does")
        name, manifest, fingerprint, kind, content = match.groups()
        if name not in chosen:
            return None
        if manifest:
            if name in drafts:
                raise DamagedBackup(f"it holds {name} twice")
            collection = _parsed(_Collection, member.read(_LARGEST))
            draft = _Draft(name, collection, self._collections, self._originals)
            drafts[name] = draft
            held.callback(draft.abandon)
            draft.open(self._bm25)
        elif name not in drafts:
            raise DamagedBackup(f"{member.name} comes too early")
        elif content:
            drafts[name].take_original(content, member)
        else:
            drafts[name].take(fingerprint, kind, member.read(_LARGEST))
        return drafts[name]


class _Draft:
    """A collection on its way back, in an edition that nobody sees yet."""

    def __init__(
        self, name: str, manifest: _Collection, collections: Collections, originals: Path
    ) -> None:
        self._name, self._manifest, self._collections = name, manifest, collections
        self._originals = Originals(originals / name)
        self._edition, self._adopted = secrets.token_hex(4), False
        self._suffixes: defaultdict[str, set[str]] = defaultdict(set)
        self._kept: list[Path] = []
        self._found = 0
        self._stores: dict[str, PassageStore] = {}
        self._documents: Counter[str] = Counter()
        self._passages: Counter[str] = Counter()

    def open(self, bm25: BM25) -> None:
        """Make its indexes, empty."""
        for record in (index.record for index in self._manifest.indexes):
            spec = _spec(record, bm25)
            store = self._collections.draft(self._name, spec, self._edition)
            self._stores[record.fingerprint] = store
        if self._manifest.active not in self._stores:
            raise DamagedBackup(f"collection {self._name} lacks its active index")

    @property
    def owner(self) -> str:
        """The id of the user whose it is; empty where it is shared."""
        return self._manifest.owner

    @property
    def copied(self) -> CopiedCollection:
        return _copied(self._manifest, self._found)

    def progress(self, start: float) -> Progress:
        """How much of all its indexes is written."""
        documents = sum(index.documents for index in self._manifest.indexes)
        passages = sum(index.passages for index in self._manifest.indexes)
        done, seconds = self._passages.total(), time.monotonic() - start
        share = done / passages if passages else 1.0
        return Progress(self._documents.total(), documents, done, share, seconds, self._name)

    def take(self, fingerprint: str, kind: str, lines: bytes) -> None:
        """Write a part of an index."""
        store = self._stores.get(fingerprint)
        if store is None:
            raise DamagedBackup(f"no index {fingerprint} is told of")
        if kind == "documents":
            records = [_document(line) for line in lines.splitlines()]
            store.put_records(records)
            self._documents[fingerprint] += len(records)
            for record in records:
                if record.live:
                    self._suffixes[record.live].add(record.suffix)
        else:
            passages = [_passage(line, store.spec.dimension) for line in lines.splitlines()]
            for first in range(0, len(passages), _AT_ONCE):
                store.restore(passages[first : first + _AT_ONCE])
            self._passages[fingerprint] += len(passages)

    def take_original(self, content: str, member: Member) -> None:
        """Keep an original file, under every ending that documents know it by."""
        paths = [self._originals.path(content, suffix) for suffix in self._suffixes[content]]
        if not paths:
            raise DamagedBackup(f"no document has the content {content}")
        next(iter(self._stores.values())).require_room(member.size * (1 + len(paths)))
        if not self._originals.folder.exists():
            self._originals.folder.mkdir(parents=True)
            mark_provisional(self._originals.folder)  # not a folder that others have filled
        scratch = self._originals.folder / f".{content}.part"
        try:
            with scratch.open("wb") as file:
                for piece in member.pieces():
                    file.write(piece)
            if member.sum() != content:
                raise DamagedBackup(f"{member.name} has another content")
            for path in paths:
                if not (path.is_file() and sha256(path) == content):
                    self._kept.append(path)
                    shutil.copyfile(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
        self._found += 1

    def finish(self, grow_graph: Callable[[PassageStore], None]) -> None:
        """Make sure that every index is whole, and on the disk."""
        for index in self._manifest.indexes:
            record, key = index.record, index.record.fingerprint
            store = self._stores[key]
            counted = (self._documents[key], self._passages[key], store.size())
            if counted != (index.documents, index.passages, index.passages):
                raise DamagedBackup(
                    f"index {key} has {counted[0]} documents and {counted[1]} passages, "
                    f"{counted[2]} different ones, instead of {index.documents} and "
                    f"{index.passages}"
                )
            store.put_collection(record.built(record.replaces))
            store.flush()
            grow_graph(store)
            store.close()

    def adopt(self) -> None:
        """Let it take its place."""
        self._collections.adopt(self._name, self._edition, self._manifest.active)
        self._adopted = True
        unmark_provisional(self._originals.folder)

    def abandon(self) -> None:
        """Leave no trace, unless it has taken its place."""
        for store in self._stores.values():
            store.close()
        if self._adopted:
            return
        for path in self._kept:
            path.unlink(missing_ok=True)
        unmark_provisional(self._originals.folder)
        with suppress(OSError):  # not empty, or not there
            self._originals.folder.rmdir()
        with suppress(RetrievalError):  # the server is gone, which the error at hand says already
            self._collections.abandon(self._name, self._edition)


class _Counted:
    """The passages of an index as lines, counted by document version."""

    def __init__(self, store: PassageStore) -> None:
        self._store = store
        self._counts: Counter[str] = Counter()

    def lines(self) -> Iterator[bytes]:
        for batch in self._store.dump(_AT_ONCE):
            for passage in batch:
                self._counts[str(passage.payload["version"])] += 1
                yield _line(passage)

    def are_those_of(self, documents: Iterable[DocumentRecord]) -> bool:
        """Whether they are as many as the records of the documents say, for each of them."""
        return self._counts == Counter(
            {record.version: record.passages for record in documents if record.version}
        )


def _settled(records: Iterable[DocumentRecord]) -> list[DocumentRecord]:
    """Without traces of versions that were being written; documents that had no other are gone."""
    return [
        replace(record, pending=None, retired=None)
        for record in records
        if record.live or record.failure
    ]


def _contents(indexes: Iterable[Sequence[DocumentRecord]]) -> dict[str, dict[str, str]]:
    """Live content -> the documents that have it -> the ending of their files."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for records in indexes:
        for record in records:
            if record.live:
                found[record.live][record.source] = record.suffix
    return dict(found)


def _copied(manifest: _Collection, originals: int) -> CopiedCollection:
    documents = next(
        i.documents for i in manifest.indexes if i.record.fingerprint == manifest.active
    )
    passages = sum(index.passages for index in manifest.indexes)
    return CopiedCollection(manifest.name, len(manifest.indexes), documents, passages, originals)


def _json(archive: ArchiveWriter, name: str, content: BaseModel) -> Iterator[bytes]:
    return archive.data(name, orjson.dumps(content.model_dump(mode="json")))


def _parts(archive: ArchiveWriter, stem: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines as members of a few megabytes."""
    for number, part in enumerate(_larger((line + b"\n" for line in lines), _PART), start=1):
        yield from archive.data(f"{stem}-{number:06}.jsonl", part)


def _larger(pieces: Iterable[bytes], least: int) -> Iterator[bytes]:
    """The same bytes in pieces of `least` bytes or more, but for the last."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= least:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _header(first: Member | None) -> _Header:
    if first is None or first.name != _HEADER:
        raise DamagedBackup("it is no backup of rag-app")
    header = _parsed(_Header, first.read(_LARGEST))
    if header.format not in (FORMAT, *_OLDER):
        raise ApplicationError(
            f"the backup is of format {header.format}",
            cause=f"this rag-app reads format {FORMAT}",
            hint="Restore it with the version of rag-app that made it, or a newer one",
        )
    try:
        for name in header.collections:
            checked_name(name)
    except BadCollectionName as error:
        raise DamagedBackup(error.message) from None
    return header


def _parsed(kind: type[T], content: bytes) -> T:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise _unreadable(error) from None


def _unreadable(error: ValidationError) -> DamagedBackup:
    first = error.errors(include_input=False, include_url=False)[0]
    return DamagedBackup(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


def _spec(record: CollectionRecord, bm25: BM25) -> StoredSpec:
    try:
        spec = StoredSpec.of(record.identity, bm25)
    except (ValueError, TypeError) as error:
        raise DamagedBackup(str(error)) from None
    if spec.fingerprint != record.fingerprint:
        raise DamagedBackup(f"index {record.fingerprint} has another fingerprint")
    return spec


def _document(line: bytes) -> DocumentRecord:
    try:
        record = _DOCUMENT.validate_json(line)
    except ValidationError as error:
        raise _unreadable(error) from None
    hashed = record.live is None or _SHA256.fullmatch(record.live)
    if not hashed or "/" in record.suffix or "\0" in record.suffix:  # they become a file's name
        raise DamagedBackup(f"the record of {record.source!r} names no original file")
    return record


def _line(passage: StoredPassage) -> bytes:
    row = {
        "id": passage.id,
        "payload": dict(passage.payload),
        "dense": _base64(passage.dense, "<f4"),
        "indices": _base64(passage.sparse.indices, "<u4"),
        "values": _base64(passage.sparse.values, "<f4"),
    }
    return orjson.dumps(row)


def _passage(line: bytes, dimension: int) -> StoredPassage:
    row = _parsed(_Line, line)
    try:
        dense, values = _array(row.dense, "<f4"), _array(row.values, "<f4")
        indices = _array(row.indices, "<u4").tolist()
    except ValueError as error:  # of base64, or of the number of bytes
        raise DamagedBackup(f"passage {row.id}: {error}") from None
    if (
        not point_ids([row.id])
        or len(dense) != dimension
        or not np.isfinite(dense).all()
        or not np.isfinite(values).all()
        or not len(set(indices)) == len(indices) == len(values)
    ):
        raise DamagedBackup(f"passage {row.id} is none of this index")
    sparse = SparseVector(indices, values.tolist())
    return StoredPassage(row.id, row.payload, dense.astype(np.float32), sparse)


def _base64(numbers: Any, form: str) -> str:
    return base64.b64encode(np.asarray(numbers, dtype=form).tobytes()).decode("ascii")


def _array(text: str, form: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=form)
