"""Batches of passages, written to the store, counted and reported."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llama_index.core.schema import TextNode

from data.discovery import Found
from rag_app.ingestion.reading import Begin, Failed, Finish, Item, Unchanged
from rag_app.ingestion.writing import DocumentWriter
from rag_app.results import DocumentWarning, Failure, IngestReport, OnProgress, Progress
from retrieval.index.base import PassageStore
from retrieval.index.maintenance import refresh_lengths


@dataclass(slots=True)
class Batch:
    """Items in order, the passages with their vectors.

    Attributes:
        items: what `DocumentReader` gave; a batch may begin and end amid a document. Without any,
            it only lets the caller know that the run goes on.
        stored: ids of passages that need no vector, since they are stored, with their BM25 length.
    """

    items: list[Item]
    stored: dict[str, int] = field(default_factory=dict)
    truncated: int = 0
    reading: str = ""


class BatchWriter:
    """Writes batches, counts what was done and reports it.

    Args:
        on_progress: called after every step; what it raises ends the run.
    """

    def __init__(
        self,
        store: PassageStore,
        await_readers: Callable[[], None],
        files: Sequence[Found],
        on_progress: OnProgress | None,
    ) -> None:
        self._report = IngestReport()
        self._store, self._writer = store, DocumentWriter(store, await_readers)
        self._files, self._on_progress = len(files), on_progress
        self._total = sum(_size(found.path) for found in files)
        self._done = self._read = self._size = 0
        self._share = 0.0
        self._start = time.monotonic()

    def write(self, batches: Iterable[Batch]) -> IngestReport:
        """Write all batches, then what only a whole run can.

        Raises:
            RetrievalError: the store failed.
            ApplicationError: the store does not hold what was written to it.
        """
        for batch in batches:
            self._write_batch(batch)
        refresh_lengths(self._store)  # an interrupted run, or deletions, may have left that to us
        self._store.flush()
        self._report.seconds = self._seconds
        self._done = self._total
        self._report_progress("")
        return self._report

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _write_batch(self, batch: Batch) -> None:
        passages: list[TextNode] = []
        for item in batch.items:
            if isinstance(item, TextNode):
                passages.append(item)
                continue
            self._passages(passages, batch.stored)
            passages = []
            self._step(item)
        self._passages(passages, batch.stored)
        self._report.truncated += batch.truncated
        if not batch.items:
            self._report_progress(batch.reading)

    def _passages(self, nodes: list[TextNode], stored: dict[str, int]) -> None:
        if nodes:
            self._report.passages += self._writer.passages(nodes, stored)
            read = self._read + sum(len(node.text) for node in nodes)
            self._read = min(read, self._size)  # characters are no bytes, and passages overlap
            self._report_progress(str(nodes[-1].metadata["source"]))

    def _step(self, item: Begin | Finish | Unchanged | Failed) -> None:
        document = item.document
        if isinstance(item, Finish):
            self._report.warnings += [
                DocumentWarning(document.source, warning.page, warning.reason)
                for warning in item.warnings
            ]
        match item:
            case Begin():
                self._writer.begin(document)
                self._size = document.size
            case Finish() if self._writer.finish(document):
                self._report.updated += 1
            case Finish():
                self._report.added += 1
            case Unchanged():
                self._writer.unchanged(document)
                self._report.unchanged += 1
            case Failed(reason=reason):
                self._writer.fail(document, reason)
                self._report.failures.append(Failure(document.source, reason))
        if not isinstance(item, Begin):
            self._done, self._read = self._done + document.size, 0
        self._report_progress(document.source)

    def _report_progress(self, source: str) -> None:
        if self._on_progress:
            done = (self._done + self._read) / self._total if self._total else 1.0
            self._share = max(self._share, min(done, 1.0))
            self._on_progress(
                Progress(
                    self._report.documents,
                    self._files,
                    self._report.passages,
                    self._share,
                    self._seconds,
                    source,
                )
            )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
