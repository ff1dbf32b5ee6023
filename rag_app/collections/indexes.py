"""The indexes of collections: the same documents, encoded by any number of encoders.

A document lies in the original files once, and in every index that has been built or fed since it
came. `DocumentRecord.since` tells which index has its newest content; building an index means to
bring it up to the newest content of all. An index that is built for the first time is not searched
before it is whole (`CollectionRecord.building`).
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from data.discovery import Found
from data.errors import DataError, RagAppError
from rag_app.accounts.quota import Quota
from rag_app.collections.catalogue import write_catalogue
from rag_app.collections.leftovers import (
    copy_originals,
    drop_originals,
    mark_provisional,
    unmark_provisional,
)
from rag_app.collections.stores import CollectionBusy, OpenStores
from rag_app.errors import ApplicationError, UnknownDocument
from rag_app.ingestion.encoders import Encoders
from rag_app.ingestion.identity import gone, identify
from rag_app.ingestion.reading import Originals, reason
from rag_app.ingestion.writing import DocumentWriter, forget_unused
from rag_app.results import Failure, IndexInfo, IngestReport, OnProgress, Progress
from retrieval.encoders.base import Encoder
from retrieval.errors import RetrievalError
from retrieval.index.base import PassageStore
from retrieval.index.collections import Collections, checked_name
from retrieval.index.errors import (
    DamagedIndex,
    FingerprintMismatch,
    IndexInUse,
    NameTaken,
    NoIndexOfEncoder,
    StoreError,
    UnknownCollection,
    UnknownIndex,
)
from retrieval.index.fingerprint import differences
from retrieval.index.records import DocumentRecord

WRITERS_PATIENCE = 3600.0
"""Seconds that a change waits for another of the same collection: an ingestion may take long."""
_PAUSE = 0.05
_BUSY = "somebody else is changing or backing it up"


class Indexes:
    """What changes collections and their indexes, one change of a collection at a time.

    Every call may wait for others and takes long; make it in a thread of its own.

    Args:
        collections: where the indexes are.
        stores: the open ones.
        encoders: SettingsError for one that cannot be made.
        originals: folder of the original files, a folder a collection.
        graph_above: passages from which an ingestion ends with building a search graph; None never
            does.
        quota: of each user's documents, if there is one.
    """

    def __init__(
        self,
        collections: Collections,
        stores: OpenStores,
        encoders: Encoders,
        originals: Path,
        graph_above: int | None = None,
        quota: Quota | None = None,
    ) -> None:
        self._quota = quota
        self._collections, self._stores, self._encoders = collections, stores, encoders
        self._originals, self._graph_above = originals, graph_above
        self._spec = encoders.spec(encoders.get())
        self._writing: dict[str, threading.Lock] = {}

    # --- documents ---------------------------------------------------------------------------

    def ingest(
        self,
        name: str,
        encoder: str | None,
        files: Sequence[Found],
        on_progress: OnProgress,
        sync: Sequence[Path] = (),
    ) -> IngestReport:
        """Ingest files into the index of an encoder, the first one of a new collection.

        Documents of the folders `sync` whose files are gone are then removed from all indexes.

        Raises:
            NoIndexOfEncoder: the collection has indexes of other encoders only.
            FingerprintMismatch: the index was built with other settings.
            QuotaExceeded: the collection's owner has no room for them.
        """
        model = self._encoders.get(encoder)
        with self.writing_to(name):
            store = self._opened(name, model)
            stores = self.all(name) if sync else self._readable(name)
            records = [record for each in stores for record in each.records()]
            documents = identify(files, records)
            if self._quota:
                self._quota.require_room(name, _growth(documents, records))
            report = self.run(name, model, store, documents, on_progress)
            report.removed += gone(records, sync)
            self._strike(name, report.removed)
            for source in report.removed:
                for each in stores:
                    DocumentWriter(each).delete(source)
            self.forget_unused(name)
            return report

    def delete_document(self, name: str, source: str) -> bool:
        """Delete a document from every index; False where none has it."""
        with self.writing_to(name):
            listed = self._stores.open(name, self._spec)
            others = [store for store in self.all(name) if store is not listed]
            self._strike(name, [source])
            # A crash leaves it in the list for the person to see, and to delete again.
            deleted = [DocumentWriter(store).delete(source) for store in (*others, listed)]
            self.forget_unused(name)
            return any(deleted)

    def create_collection(self, name: str) -> None:
        """Make a collection with an empty index of the settings' encoder.

        Raises:
            BadCollectionName: it may not be called so.
            NameTaken: there is one of that name.
        """
        with self.writing_to(checked_name(name)):
            if name in self._collections.names():
                raise NameTaken(name)
            self._stores.create(name, self._spec)

    def drop_collection(self, name: str, first: Callable[[], None] = lambda: None) -> None:
        """Delete a collection with all its indexes and originals.

        Args:
            name: of the collection.
            first: called when nothing stands in the way. What opens the collection goes before it,
                so that a kill leaves nothing that opens another of its name.

        Raises:
            UnknownCollection: there is none of that name.
        """
        checked_name(name)  # it becomes a path: nothing may be touched before it is known to be one
        with self.writing_to(name), self._stores.closed(name):
            if name not in (names := self._collections.names()):
                raise UnknownCollection(name, names)
            first()
            mark_provisional(self._originals / name)
            self._collections.drop(name)
            drop_originals(self._originals / name)

    def rename_collection(
        self, name: str, to: str, first: Callable[[], None] = lambda: None
    ) -> None:
        """Call a collection by another name.

        Killed meanwhile, it has the one name or the other, and its originals. `first` is called
        before, as by `drop_collection`.

        Raises:
            BadCollectionName: it may not be called so.
            UnknownCollection: there is none of that name.
            NameTaken: there is one of the other.
            ApplicationError: its originals cannot be moved.
        """
        old, new = self._originals / checked_name(name), self._originals / checked_name(to)
        if name == to:
            raise NameTaken(to)
        one, other = sorted((name, to))
        with self.writing_to(one), self.writing_to(other):  # in the same order for everybody
            if name not in (names := self._collections.names()):
                raise UnknownCollection(name, names)
            if to in names:
                raise NameTaken(to)
            try:
                copy_originals(old, new)
            except OSError as error:
                raise ApplicationError(
                    f"the original files of {name!r} cannot be moved to {new}",
                    cause=(error.strerror or str(error)).lower(),
                    hint="Choose another name, or move away what lies there",
                ) from error
            mark_provisional(old)
            try:
                with self._stores.closed(name):
                    first()
                    self._collections.rename(name, to)
            except BaseException:  # whatever it is, nothing is left over and the error goes on
                drop_originals(new)
                unmark_provisional(old)
                raise
            drop_originals(old)
            unmark_provisional(new)

    # --- indexes -----------------------------------------------------------------------------

    def reingest(
        self,
        name: str,
        sources: Collection[str],
        check: Callable[[Found], object],
        on_progress: OnProgress,
    ) -> IngestReport:
        """Read documents anew from their originals, those of all indexes; none named means all.

        One after the other, each is away from searches for a moment. A document on which this was
        interrupted is taken up again.

        Args:
            name: of the collection.
            sources: of the documents; those of equal content go with them.
            check: raises DataError for a file that cannot be read; its document stays as it is.
            on_progress: as of an ingestion.

        Raises:
            UnknownDocument: there is none of that name.
            ApplicationError: originals are gone or damaged; nothing has been changed.
        """
        with self.writing_to(name):
            stores = [store for store in self.all(name) if self._is_made_here(store)]
            documents = {**_interrupted(stores), **newest(stores)}
            for source in sources:
                if source not in documents:
                    raise UnknownDocument.of(name, source)
            contents = {documents[source].live for source in sources or documents}
            chosen = [one for one in documents.values() if one.live in contents]
            files, total, done = self._files(name, chosen), IngestReport(), 0

            def send(progress: Progress) -> None:
                share = (done + progress.done * len(group)) / len(files)
                documents = done + progress.documents
                on_progress(
                    replace(progress, documents=documents, total_documents=len(files), done=share)
                )

            for group in _by_content(chosen, files):
                try:
                    check(group[0])
                except DataError as error:
                    total.failures += [Failure(found.source, reason(error)) for found in group]
                else:
                    for store in stores:
                        self._renew(name, store, group, total, send)
                done += len(group)
            self.forget_unused(name)
            return total

    def _renew(
        self,
        name: str,
        store: PassageStore,
        files: Sequence[Found],
        total: IngestReport,
        on_progress: OnProgress,
    ) -> None:
        encoder = _encoder(store.collection().identity)
        await_readers = partial(self._stores.await_readers, name, store.stored_fingerprint)
        writer = DocumentWriter(store, await_readers)
        for found in files:
            writer.withdraw(found.source)
        done = self.run(name, self._encoders.get(encoder), store, files, on_progress)
        total.add(replace(done, added=0, updated=done.added + done.updated))

    def _is_made_here(self, store: PassageStore) -> bool:
        record = store.collection()
        return not record.building and self._makes(_encoder(record.identity), record.fingerprint)

    def build(self, name: str, encoder: str | None, on_progress: OnProgress) -> IngestReport:
        """Bring the index of an encoder up to the newest content of every document.

        Interrupted, it goes on from there when called again. An index with failures is whole: the
        report names the documents that it lacks.

        Raises:
            ApplicationError: originals are gone or damaged; nothing has been changed.
        """
        model = self._encoders.get(encoder)
        with self.writing_to(name):
            store, report = self._fill(name, model, on_progress)
            record = store.collection()
            store.put_collection(record.built(record.replaces))
            self.forget_unused(name)
            return report

    def rebuild(self, name: str, on_progress: OnProgress) -> IngestReport:
        """Build the index of the settings' encoder, and delete those that it replaces.

        These are the encoder's other indexes, and the active one where it had no whole index yet.
        Repeated after a crash, it deletes what was left over.

        Raises:
            ApplicationError: originals are gone or damaged, or one could not be read any more;
                nothing has been deleted.
        """
        model = self._encoders.get()
        with self.writing_to(name):
            replaced = self._replaced_by(name, model)
            store, report = self._fill(name, model, on_progress)
            if report.failures and replaced:
                failures = (f"{failure.source}: {failure.reason}" for failure in report.failures)
                raise ApplicationError(
                    f"collection {name!r} was left as it is",
                    cause="; ".join(failures),
                    hint="Delete these documents, then rebuild again",
                )
            self._replace(name, store, replaced)
            self.forget_unused(name)
            return report

    def use(self, name: str, index: str) -> None:
        """Point the collection's name at an index, given by its fingerprint or encoder.

        Raises:
            UnknownIndex: there is none.
            ApplicationError: the encoder has several.
            NoIndexOfEncoder: it is not whole.
        """
        with self.writing_to(name):
            chosen = self._find(name, index)
            record = self._stores.open(name, self._spec, chosen).collection()
            if record.building:
                known = self._encoders_of(name)
                raise NoIndexOfEncoder(name, _encoder(record.identity), known, True)
            self._collections.point(name, chosen)

    def drop(self, name: str, index: str) -> None:
        """Delete an index, given by its fingerprint or encoder; never the active one.

        Raises:
            UnknownIndex: there is none.
            IndexInUse: it is the active one.
            ApplicationError: the encoder has several, or some content is in no other index.
        """
        with self.writing_to(name):
            chosen = self._find(name, index)
            if chosen == self._collections.active(name):
                raise IndexInUse(name, chosen)
            self._require_copies(name, chosen)
            with self._stores.closed(name, chosen):
                self._collections.discard(name, chosen)
            self.forget_unused(name)

    def describe(self, name: str, stores: Sequence[PassageStore]) -> list[IndexInfo]:
        """What lists show of a collection's open indexes."""
        active, documents = self._collections.active(name), newest(stores)
        return [self._info(store, active, documents) for store in stores]

    def refusal(self, name: str, stores: Iterable[PassageStore], model: Encoder) -> RetrievalError:
        """Why no index among a collection's open ones serves an encoder, with a hint."""
        records = [store.collection() for store in stores]
        known = {_encoder(record.identity) for record in records}
        encoder, spec = model.row.name, self._encoders.spec(model)
        begun = any(record.fingerprint == spec.fingerprint for record in records)
        if begun or encoder not in known:
            return NoIndexOfEncoder(name, encoder, known, begun)
        other = next(r.identity for r in records if _encoder(r.identity) == encoder)
        row = encoder if spec.fingerprint != self._spec.fingerprint else None
        return FingerprintMismatch(name, differences(other, spec.identity), row)

    # --- for whoever changes a collection by other means ---------------------------------------

    @contextmanager
    def writing_to(self, name: str) -> Iterator[None]:
        """Held while a collection is changed, and by whoever needs it not to.

        Raises:
            CollectionBusy: others held it for `WRITERS_PATIENCE`.
        """
        lock = self._writing.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=WRITERS_PATIENCE):
            raise CollectionBusy(name, _BUSY)
        try:
            with self._kept_from_others(name):
                yield
        finally:
            lock.release()

    @contextmanager
    def _kept_from_others(self, name: str) -> Iterator[None]:
        """As `writing_to`, among the processes that share a server and the original files."""
        if not self._collections.shared:
            yield
            return
        self._originals.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._originals / f".{name}.lock", WRITERS_PATIENCE, thread_local=False)
        try:
            lock.acquire(poll_interval=_PAUSE)
        except Timeout:
            raise CollectionBusy(name, _BUSY) from None
        try:
            yield
        finally:
            lock.release()

    def all(self, name: str) -> list[PassageStore]:
        """All indexes of a collection, whole or not, by fingerprint."""
        versions = self._collections.versions(name)
        return [self._stores.open(name, self._spec, fingerprint) for fingerprint in versions]

    def grow_graph(self, store: PassageStore) -> None:
        """Build a search graph where that is allowed and the index is large."""
        if self._graph_above is None:
            return
        if sum(record.passages for record in store.records()) >= self._graph_above:
            store.optimize()

    def forget_unused(self, name: str) -> None:
        """Delete the originals that no index of a collection has any use for."""
        with suppress(StoreError):  # an index that cannot be opened may need any of them
            stores = self.all(name)
            forget_unused(Originals(self._originals / name), stores)
            write_catalogue(self._originals / name, newest(stores).values())

    def _strike(self, name: str, sources: Collection[str]) -> None:
        """Take documents off the note beside the originals, before they are deleted: whoever is
        killed then leaves an empty index, not one that seems to have lost them.
        """
        if sources:
            kept = newest(self.all(name))
            for source in sources:
                kept.pop(source, None)
            write_catalogue(self._originals / name, kept.values())

    # --- ingesting ---------------------------------------------------------------------------

    def _opened(self, name: str, model: Encoder) -> PassageStore:
        """The index that an encoder's documents go into; the first of a new collection is made."""
        try:
            store = self._stores.open(name, self._encoders.spec(model))
        except UnknownCollection:
            model.verify()
            return self._stores.create(name, self._encoders.spec(model))
        if store.stored_fingerprint != self._encoders.spec(model).fingerprint:
            raise self.refusal(name, self.all(name), model)
        if not store.records():
            model.verify()
        if store.collection().building:  # the process died when the collection was just made
            store.put_collection(store.collection().built())
        return store

    def _readable(self, name: str) -> list[PassageStore]:
        """The indexes of a collection but for damaged ones, which a repair fills anew."""
        found = []
        for fingerprint in self._collections.versions(name):
            with suppress(DamagedIndex):
                found.append(self._stores.open(name, self._spec, fingerprint))
        return found

    def _fill(
        self, name: str, model: Encoder, on_progress: OnProgress
    ) -> tuple[PassageStore, IngestReport]:
        """Bring an index up to the newest content; it is made if need be."""
        documents = newest(self.all(name))
        held = self._held(name, model)
        missing = [record for record in documents.values() if not _holds(held, record)]
        files = self._files(name, missing)
        if not held:
            model.verify()
        store = self._stores.stage(name, self._encoders.spec(model))
        if store.collection().building:
            for source in held.keys() - documents.keys():
                store.delete(source)
        report = self.run(name, model, store, files, on_progress)
        report.unchanged += len(documents) - len(missing)
        return store, report

    def run(
        self,
        name: str,
        model: Encoder,
        store: PassageStore,
        files: Sequence[Found],
        on_progress: OnProgress,
    ) -> IngestReport:
        """Ingest files into an index, by whoever holds `writing_to`."""
        fingerprint = self._encoders.spec(model).fingerprint
        await_readers = partial(self._stores.await_readers, name, fingerprint)
        make, originals = self._encoders.ingestor, self._originals / name
        report = make(model, store, originals, await_readers).run(files, on_progress)
        if report.passages:
            self.grow_graph(store)
        return report

    def _held(self, name: str, model: Encoder) -> dict[str, DocumentRecord]:
        """What the index of an encoder holds; nothing where there is none."""
        fingerprint = self._encoders.spec(model).fingerprint
        if fingerprint not in self._collections.versions(name):
            return {}
        records = self._stores.open(name, self._encoders.spec(model), fingerprint).records()
        return {record.source: record for record in records}

    def _files(self, name: str, records: Sequence[DocumentRecord]) -> list[Found]:
        """The originals of documents. Raises ApplicationError if one is gone or damaged."""
        files, lost = Originals(self._originals / name).files(records)
        if lost:
            raise ApplicationError(
                f"collection {name!r} cannot be indexed anew",
                cause=f"the originals of {', '.join(lost)} are gone or damaged",
                hint="Delete these documents, and ingest their files again",
            )
        return files

    # --- replacing ---------------------------------------------------------------------------

    def _replaced_by(self, name: str, model: Encoder) -> list[str]:
        """Fingerprints of the indexes that a rebuilt one replaces."""
        others = {store.stored_fingerprint: store.collection() for store in self.all(name)}
        previous = others.pop(self._encoders.spec(model).fingerprint, None)
        replaced = {key for key, r in others.items() if _encoder(r.identity) == model.row.name}
        if previous is not None and not previous.building:
            replaced.update(previous.replaces)
        elif all(others[key].building for key in replaced):
            replaced.add(self._collections.active(name))
        return sorted(replaced & others.keys())

    def _replace(self, name: str, store: PassageStore, replaced: Sequence[str]) -> None:
        """Delete the replaced indexes; first a note of them is made that outlives a crash."""
        store.put_collection(store.collection().built(replaced))
        store.flush()
        if self._collections.active(name) in replaced:
            self._collections.point(name, store.stored_fingerprint)
        for fingerprint in replaced:
            with self._stores.closed(name, fingerprint):
                self._collections.discard(name, fingerprint)
        store.put_collection(store.collection().built())

    # --- looking up --------------------------------------------------------------------------

    def _encoders_of(self, name: str) -> list[str]:
        return [_encoder(store.collection().identity) for store in self.all(name)]

    def _find(self, name: str, index: str) -> str:
        """The fingerprint of an index that is given by it, or by its encoder."""
        versions = self._collections.versions(name)
        if index in versions:
            return index
        encoders = dict(zip(versions, self._encoders_of(name), strict=True))
        found = [fingerprint for fingerprint, encoder in encoders.items() if encoder == index]
        if not found:
            known = [f"{encoder} ({fingerprint})" for fingerprint, encoder in encoders.items()]
            raise UnknownIndex(name, index, known)
        if len(found) > 1:
            raise ApplicationError(
                f"collection {name!r} has {len(found)} indexes of encoder {index}",
                cause=f"their fingerprints are {', '.join(found)}",
                hint="Name one of them by its fingerprint",
            )
        return found[0]

    def _require_copies(self, name: str, fingerprint: str) -> None:
        """Refuse to lose content that is in no other index."""
        try:
            store = self._stores.open(name, self._spec, fingerprint)
        except StoreError:
            return  # there is nothing left to lose in it
        others = [other for other in self.all(name) if other is not store]
        kept = newest(others)
        only = [
            source
            for source, record in newest([store, *others]).items()
            if source not in kept or kept[source].live != record.live
        ]
        if only:
            raise ApplicationError(
                f"index {fingerprint} of collection {name!r} cannot be dropped",
                cause=f"no other index holds its content of {', '.join(only)}",
                hint="`rag-app indexes build` takes it into another index, "
                "`rag-app documents delete` gives it up",
            )

    def _info(
        self, store: PassageStore, active: str, documents: Mapping[str, DocumentRecord]
    ) -> IndexInfo:
        live = {record.source: record for record in store.records() if record.live}
        record = store.collection()
        encoder = _encoder(record.identity)
        return IndexInfo(
            fingerprint=record.fingerprint,
            encoder=encoder,
            model=str(record.identity["encoder"].get("model", "")),
            documents=len(live),
            passages=sum(document.passages for document in live.values()),
            active=record.fingerprint == active,
            usable=not record.building and self._makes(encoder, record.fingerprint),
            behind=sum(
                source not in live or live[source].live != document.live
                for source, document in documents.items()
            ),
        )

    def _makes(self, encoder: str, fingerprint: str) -> bool:
        try:
            made = self._encoders.get(encoder)
            return self._encoders.spec(made).fingerprint == fingerprint
        except RagAppError:
            return False


def newest(stores: Iterable[PassageStore]) -> dict[str, DocumentRecord]:
    """By source, the record with the newest live content among a collection's whole indexes."""
    records = [
        record
        for store in stores
        if not store.collection().building
        for record in store.records()
        if record.live
    ]
    records.sort(key=lambda record: record.since or record.updated)  # old records have no `since`
    return {record.source: record for record in records}


def _by_content(records: Sequence[DocumentRecord], files: Sequence[Found]) -> Iterable[list[Found]]:
    """The files, those of equal content together."""
    groups: dict[str | None, list[Found]] = {}
    for record, found in zip(records, files, strict=True):
        groups.setdefault(record.live, []).append(found)
    return groups.values()


def _interrupted(stores: Iterable[PassageStore]) -> dict[str, DocumentRecord]:
    """By source, the documents without a live version of which one was begun."""
    records = (record for store in stores for record in store.records())
    return {
        record.source: replace(record, live=record.pending)
        for record in records
        if record.pending and not record.live
    }


def _holds(held: Mapping[str, DocumentRecord], wanted: DocumentRecord) -> bool:
    record = held.get(wanted.source)
    return record is not None and record.live == wanted.live and record.settled


def _encoder(identity: Mapping[str, Mapping[str, object]]) -> str:
    return str(identity["encoder"].get("encoder", ""))


def _growth(files: Iterable[Found], records: Iterable[DocumentRecord]) -> int:
    """Bytes by which files are larger than the documents that they take the place of."""
    sizes = {record.source: record.size for record in records if record.live}
    growth = 0
    for found in files:
        with suppress(OSError):  # it is reported when it is read
            growth += found.path.stat().st_size - sizes.get(found.source, 0)
    return growth
