"""Writing one document after another so that searches see each whole, or not at all.

The order of writes is the whole point; `retrieval.index.records.DocumentRecord` tells why.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from llama_index.core.schema import TextNode

from rag_app.errors import ApplicationError
from rag_app.intake import Document, Originals
from retrieval.index.base import PassageStore
from retrieval.index.records import DocumentRecord
from retrieval.passages import version_id


class DocumentWriter:
    """Takes documents into a store, one at a time: `begin`, `chunks`..., `finish` or `fail`.

    Args:
        store: the collection.
        originals: its original files; those no version needs any more are deleted.
    """

    def __init__(self, store: PassageStore, originals: Originals) -> None:
        self._store, self._originals = store, originals
        self._chunks = self._terms = 0

    def begin(self, document: Document) -> None:
        """Announce a new version; searches do not see it yet. Remains of older attempts go."""
        record = self._store.record(document.source) or DocumentRecord(document.source)
        for leftover in {record.pending, record.retired} - {None, record.live, document.hash}:
            self._store.delete_version(version_id(document.source, str(leftover)))
        pending = None if record.live == document.hash else document.hash
        self._put(replace(record, pending=pending, retired=None))
        self._chunks = self._terms = 0

    def chunks(self, nodes: Sequence[TextNode], stored: dict[str, int]) -> int:
        """Write chunks of the document begun last.

        Args:
            nodes: chunks with embeddings; those in `stored` need none.
            stored: chunk ids that an interrupted run has written already, with their BM25 length.

        Returns:
            How many were written now.
        """
        fresh = [node for node in nodes if node.node_id not in stored]
        self._store.add(fresh)
        self._chunks += len(nodes)
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
            ApplicationError: the store holds another number of chunks than were written.
        """
        self._require_complete(document)
        before = self._store.record(document.source) or DocumentRecord(document.source)
        replaced = before.live if before.live != document.hash else None
        live = DocumentRecord(
            source=document.source,
            live=document.hash,
            retired=replaced,
            chunks=self._chunks,
            terms=self._terms,
            size=document.size,
            suffix=document.suffix,
        )
        self._put(live)
        if replaced is not None:
            self._store.delete_version(version_id(document.source, replaced))
            self._put(replace(live, retired=None))
            self._forget(replaced, before.suffix)
        return before.live is not None

    def fail(self, document: Document, reason: str) -> None:
        """Note why a document could not be read; an older version stays as it was."""
        record = self._store.record(document.source) or DocumentRecord(document.source)
        if document.hash and document.hash != record.live:
            self._store.delete_version(document.version)
        self._put(replace(record, pending=None, failure=reason))
        if document.hash:
            self._forget(document.hash, document.suffix)

    def delete(self, source: str) -> bool:
        """Delete a document with its chunks and its original; False where there is none."""
        record = self._store.record(source)
        if record is None:
            return False
        self._store.delete(source)
        for content in {record.live, record.pending, record.retired} - {None}:
            self._forget(str(content), record.suffix)
        return True

    def _require_complete(self, document: Document) -> None:
        held = self._store.count(document.version)
        if held != self._chunks:
            raise ApplicationError(
                f"the store holds {held} chunks of {document.source}, {self._chunks} were written",
                way_out="Ingest it again; if that repeats itself, rebuild the collection",
            )

    def _forget(self, content: str, suffix: str) -> None:
        if all(record.live != content for record in self._store.records()):
            self._originals.forget(content, suffix)

    def _put(self, record: DocumentRecord) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._store.put_record(replace(record, updated=now))
