"""Writing one document after another so that searches see each whole, or not at all.

The order of writes is the whole point; `retrieval.index.records.DocumentRecord` tells why.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from llama_index.core.schema import TextNode

from rag_app.errors import ApplicationError
from rag_app.ingestion.reading import Document, Originals
from retrieval.index.base import PassageStore
from retrieval.index.records import DocumentRecord
from retrieval.passages import version_id


class DocumentWriter:
    """Writes documents to a store, one at a time: `begin`, `passages`..., `finish` or `fail`.

    Args:
        store: the collection.
        await_readers: returns when the searches that run now have ended; called before the passages
            are deleted that they may have found.
    """

    def __init__(
        self, store: PassageStore, await_readers: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._await_readers = store, await_readers
        self._passages = self._terms = 0

    def begin(self, document: Document) -> None:
        """Announce a new version; searches do not see it yet. Remains of older attempts go."""
        record = self._record(document)
        self._delete_remains(record, document.hash)
        pending = replace(record, pending=document.hash, retired=None, suffix=document.suffix)
        self._put(replace(pending, origin=document.origin or record.origin))
        self._passages = self._terms = 0

    def unchanged(self, document: Document) -> None:
        """Note that the live version is the file's present content. Remains of attempts go."""
        record = self._record(document)
        origin = document.origin or record.origin
        if not record.settled or record.failure or origin != record.origin:
            self._delete_remains(record)
            settled = replace(record, pending=None, retired=None, failure="", origin=origin)
            self._put(settled)

    def passages(self, nodes: Sequence[TextNode], stored: dict[str, int]) -> int:
        """Write passages of the document begun last.

        Args:
            nodes: passages with embeddings; those in `stored` need none.
            stored: passage ids that an interrupted run has written already, with their BM25 length.

        Returns:
            How many were written now.
        """
        fresh = [node for node in nodes if node.node_id not in stored]
        self._store.add(fresh)
        self._passages += len(nodes)
        self._terms += sum(
            stored[node.node_id] if node.node_id in stored else node.metadata["terms"]
            for node in nodes
        )
        return len(fresh)

    def finish(self, document: Document) -> bool:
        """Make the new version the one that searches see, and delete the old one.

        Returns:
            Whether it replaced an older version.

        Raises:
            ApplicationError: the store holds another number of passages than were written.
        """
        self._require_complete(document)
        before = self._record(document).live
        replaced = before if before != document.hash else None
        live = DocumentRecord(
            source=document.source,
            live=document.hash,
            retired=replaced,
            passages=self._passages,
            terms=self._terms,
            size=document.size,
            suffix=document.suffix,
            origin=document.origin,
            since=datetime.now(UTC).isoformat(timespec="microseconds"),
        )
        self._put(live)
        if replaced is not None:
            self._await_readers()
            self._store.delete_version(version_id(document.source, replaced))
            self._put(replace(live, retired=None))
        return before is not None

    def withdraw(self, source: str) -> None:
        """Take a live document back, to be written anew from the same content.

        Its content is pending then, so that its original is kept whatever comes between.
        """
        record = self._store.record(source)
        if record is None or record.live is None:
            return
        pending = replace(record, live=None, pending=record.live, retired=None, failure="")
        self._put(pending)
        self._await_readers()
        self._store.delete_version(version_id(source, record.live))

    def fail(self, document: Document, reason: str) -> None:
        """Note why a document could not be read; an older version stays as it was."""
        record = self._record(document)
        self._delete_remains(record)
        origin = document.origin or record.origin
        self._put(replace(record, pending=None, retired=None, failure=reason, origin=origin))

    def delete(self, source: str) -> bool:
        """Delete a document with its passages; False where there is none."""
        if self._store.record(source) is None:
            return False
        self._store.delete(source)
        return True

    def _record(self, document: Document) -> DocumentRecord:
        return self._store.record(document.source) or DocumentRecord(document.source)

    def _delete_remains(self, record: DocumentRecord, needed: str | None = None) -> None:
        """Delete passages of unfinished and replaced versions, before the record forgets them."""
        for content in {record.pending, record.retired} - {None, record.live, needed}:
            self._store.delete_version(version_id(record.source, str(content)))

    def _require_complete(self, document: Document) -> None:
        held = self._store.count(document.version)
        if held != self._passages:
            raise ApplicationError(
                f"the store holds {held} passages of {document.source}, "
                f"{self._passages} were written",
                hint="Ingest it again; if that repeats itself, rebuild the collection",
            )

    def _put(self, record: DocumentRecord) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._store.put_record(replace(record, updated=now))


def forget_unused(originals: Originals, stores: Iterable[PassageStore]) -> None:
    """Delete the original files that no document of the collection has any use for.

    Only when a run is over: one that goes on may have read ahead of the records.
    """
    originals.forget_all_but(
        {
            originals.path(content, record.suffix)
            for store in stores
            for record in store.records()
            for content in (record.live, record.pending)
            if content
        }
    )
