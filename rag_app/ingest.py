"""The way in: files -> parse -> chunk -> encode -> write.

Three steps overlap, joined by a bounded queue: one thread reads and cuts documents
(`rag_app.intake`), the encoder's workers turn batches into vectors, the caller's thread writes
(`rag_app.commit`). Running again after a crash finishes the work: unchanged documents are passed
over, and chunks that are stored already are neither encoded nor written again.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from llama_index.core.schema import TextNode

from data.chunking import Chunker
from data.discovery import Found
from data.parsing import Parser
from rag_app.commit import DocumentWriter
from rag_app.intake import Begin, Failed, Finish, Intake, Item, Originals, Unchanged
from retrieval.encoders.base import Encoder
from retrieval.index.base import PassageStore
from retrieval.index.maintenance import refresh_lengths
from retrieval.passages import indexed_text

BATCH = 256
"""Chunks encoded at once: enough that the workers' last idle moment hardly counts."""
_TURN = 0.0005
"""Seconds that a thread keeps the interpreter while documents are taken in."""
AHEAD = 2
"""Batches in the encoder at once: the next one fills the workers that the last leaves idle."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be taken in, and why."""

    source: str
    reason: str


@dataclass(slots=True)
class IngestReport:
    """What one run did.

    Attributes:
        added: documents that were not there before.
        updated: documents whose content had changed.
        unchanged: documents that were there already.
        chunks: chunks written in this run.
        truncated: those of them that were longer than the encoder reads.
        seconds: wall time.
        failures: every failed document with its reason.
        ignored: names of files in the given folders whose type is not supported.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    chunks: int = 0
    truncated: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """Documents dealt with, one way or another."""
        return self.added + self.updated + self.unchanged + len(self.failures)

    def as_dict(self, collection: str) -> dict[str, Any]:
        """The command line's JSON document."""
        return {
            "collection": collection,
            "documents": {
                "added": self.added,
                "updated": self.updated,
                "unchanged": self.unchanged,
                "failed": len(self.failures),
            },
            "chunks": self.chunks,
            "truncated": self.truncated,
            "seconds": round(self.seconds, 3),
            "failures": [
                {"source": failure.source, "reason": failure.reason} for failure in self.failures
            ],
            "ignored": self.ignored,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; bytes measure it, since nobody knows the chunks beforehand.

    Attributes:
        documents: finished, of `total_documents`.
        chunks: stored so far.
        done: share of all bytes that is finished, from 0 to 1.
        seconds: since the start.
        source: the document at hand.
    """

    documents: int
    total_documents: int
    chunks: int
    done: float
    seconds: float
    source: str

    @property
    def rate(self) -> float:
        """Chunks a second."""
        return self.chunks / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds to go, or None while nothing tells."""
        return self.seconds * (1 - self.done) / self.done if self.done > 0 else None


OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class _Batch:
    """Items in order; what the encoder adds is which chunks are stored, and the others' vectors."""

    items: list[Item]
    stored: dict[str, int] = field(default_factory=dict)
    truncated: int = 0


_Ready = queue.Queue[Future[_Batch] | BaseException | None]


class Ingestor:
    """Takes documents into one collection.

    Args:
        store: open index of the collection, built with this encoder and chunker.
        encoder: turns chunks into vectors.
        chunker: cuts documents into chunks.
        parser: makes the killable parser that a run uses.
        originals: folder for the original files.
        await_readers: see `DocumentWriter`.
    """

    def __init__(
        self,
        store: PassageStore,
        encoder: Encoder,
        chunker: Chunker,
        parser: Callable[[], Parser],
        originals: Path,
        await_readers: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._encoder, self._chunker = store, encoder, chunker
        self._parser, self._originals = parser, Originals(originals)
        self._await_readers = await_readers

    def run(self, files: Sequence[Found], on_progress: OnProgress | None = None) -> IngestReport:
        """Take in the files; one that cannot be read is reported and the rest goes on.

        Raises:
            RetrievalError: the encoder or the store failed; running again goes on from there.
            ApplicationError: the store does not hold what was written to it.
        """
        writer = DocumentWriter(self._store, self._await_readers)
        tally = _Tally(writer, files, on_progress)
        with _short_turns(), closing(self._encoded(files)) as batches:
            for batch in batches:
                tally.write(batch)
        report = tally.report
        refresh_lengths(self._store)  # an interrupted run, or deletions, may have left that to us
        self._store.flush()
        tally.finish()
        return report

    def _encoded(self, files: Sequence[Found]) -> Generator[_Batch, None, None]:
        """Batches with vectors, in order, while later ones are being read and encoded."""
        ready: _Ready = queue.Queue(AHEAD)
        stop = threading.Event()
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="encode") as pool:
            reader = threading.Thread(target=self._read, args=(files, pool, ready, stop))
            reader.start()
            try:
                while (item := ready.get()) is not None:
                    if isinstance(item, BaseException):
                        raise item
                    yield item.result()
            finally:
                stop.set()
                while reader.is_alive():
                    _drain(ready)
                    reader.join(0.05)
                pool.shutdown(cancel_futures=True)

    def _read(
        self, files: Sequence[Found], pool: ThreadPoolExecutor, ready: _Ready, stop: threading.Event
    ) -> None:
        try:
            with self._parser() as parser:
                intake = Intake(self._store, self._chunker, parser, self._originals)
                items = takewhile(lambda _: not stop.is_set(), intake.items(files))
                for batch in _batches(items):
                    if stop.is_set():
                        return
                    ready.put(pool.submit(self._encode, batch))
            ready.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            ready.put(error)

    def _encode(self, batch: _Batch) -> _Batch:
        nodes = [item for item in batch.items if isinstance(item, TextNode)]
        batch.stored = self._store.stored_terms([node.node_id for node in nodes])
        fresh = [node for node in nodes if node.node_id not in batch.stored]
        if fresh:
            encoded = self._encoder.encode_passages([indexed_text(node) for node in fresh])
            batch.truncated = encoded.truncated
            for node, vector in zip(fresh, encoded.vectors, strict=True):
                node.embedding = vector.tolist()
        return batch


class _Tally:
    """Writes batches, and counts and tells what was done."""

    def __init__(
        self,
        writer: DocumentWriter,
        files: Sequence[Found],
        on_progress: OnProgress | None,
    ) -> None:
        self.report = IngestReport()
        self._writer = writer
        self._files, self._on_progress = len(files), on_progress
        self._total = sum(_size(found.path) for found in files)
        self._done = self._read = self._size = 0
        self._share = 0.0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def finish(self) -> None:
        self.report.seconds = self.seconds
        self._done = self._total
        self._tell("")

    def write(self, batch: _Batch) -> None:
        chunks: list[TextNode] = []
        for item in batch.items:
            if isinstance(item, TextNode):
                chunks.append(item)
                continue
            self._chunks(chunks, batch.stored)
            chunks = []
            self._step(item)
        self._chunks(chunks, batch.stored)
        self.report.truncated += batch.truncated

    def _chunks(self, nodes: list[TextNode], stored: dict[str, int]) -> None:
        if nodes:
            self.report.chunks += self._writer.chunks(nodes, stored)
            read = self._read + sum(len(node.text) for node in nodes)
            self._read = min(read, self._size)  # characters are no bytes, and chunks overlap
            self._tell(str(nodes[-1].metadata["source"]))

    def _step(self, item: Begin | Finish | Unchanged | Failed) -> None:
        document = item.document
        match item:
            case Begin():
                self._writer.begin(document)
                self._size = document.size
            case Finish() if self._writer.finish(document):
                self.report.updated += 1
            case Finish():
                self.report.added += 1
            case Unchanged():
                self._writer.unchanged(document)
                self.report.unchanged += 1
            case Failed(reason=reason):
                self._writer.fail(document, reason)
                self.report.failures.append(Failure(document.source, reason))
        if not isinstance(item, Begin):
            self._done, self._read = self._done + document.size, 0
        self._tell(document.source)

    def _tell(self, source: str) -> None:
        if self._on_progress:
            done = (self._done + self._read) / self._total if self._total else 1.0
            self._share = max(self._share, min(done, 1.0))
            self._on_progress(
                Progress(
                    self.report.documents,
                    self._files,
                    self.report.chunks,
                    self._share,
                    self.seconds,
                    source,
                )
            )


@contextmanager
def _short_turns() -> Iterator[None]:
    """Let threads take turns more often: an encoder's thread needs the interpreter for a moment
    only, between two passages, and must not wait for long loops in the others.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _batches(items: Iterable[Item]) -> Iterator[_Batch]:
    batch: list[Item] = []
    chunks = 0
    for item in items:
        batch.append(item)
        chunks += isinstance(item, TextNode)
        if chunks >= BATCH or len(batch) >= 2 * BATCH:
            yield _Batch(batch)
            batch, chunks = [], 0
    yield _Batch(batch)


def _drain(ready: _Ready) -> None:
    try:
        while True:
            ready.get_nowait()
    except queue.Empty:
        return


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
