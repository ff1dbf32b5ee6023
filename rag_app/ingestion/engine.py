"""Ingestion in this process: files -> parse -> split -> encode -> write.

Three steps overlap, joined by a bounded queue: one thread reads and cuts documents
(`reading`), the encoder's workers turn batches into vectors, the caller's thread writes
(`writing`). Running again after a crash finishes the work: unchanged documents are passed over,
and passages that are stored already are neither encoded nor written again.
"""

import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import takewhile
from pathlib import Path

from llama_index.core.schema import TextNode

from data.discovery import Found
from data.parsing import Parser
from data.splitting import Splitter
from rag_app.ingestion.batches import Batch, BatchWriter
from rag_app.ingestion.reading import DocumentReader, Item, Originals
from rag_app.results import IngestReport, OnProgress
from retrieval.encoders.base import Encoder
from retrieval.index.base import PassageStore
from retrieval.passages import indexed_text

BATCH = 256
"""Passages encoded at once: enough that the workers' last idle moment hardly counts."""
_TURN = 0.0005
"""Seconds that a thread keeps the interpreter while documents are ingested."""
_SILENCE = 0.5
"""Seconds without a batch after which the caller hears what is being read."""
AHEAD = 2
"""Batches in the encoder at once: the next one fills the workers that the last leaves idle."""

AwaitReaders = Callable[[], None]
"""Returns when the searches that run now have ended."""
_Ready = queue.Queue[Future[Batch] | BaseException | None]


class Ingestor:
    """Ingests documents into one index of a collection."""

    def __init__(
        self,
        store: PassageStore,
        encoder: Encoder,
        chunker: Splitter,
        parser: Callable[[], Parser],
        originals: Path,
        await_readers: AwaitReaders = lambda: None,
    ) -> None:
        self._store, self._encoder, self._chunker = store, encoder, chunker
        self._parser, self._originals = parser, Originals(originals)
        self._await_readers = await_readers

    def run(self, files: Sequence[Found], on_progress: OnProgress | None = None) -> IngestReport:
        """Ingest the files; one that cannot be read is reported and the rest goes on.

        Raises:
            RetrievalError: the encoder or the store failed; running again goes on from there.
            ApplicationError: the store does not hold what was written to it.
        """
        writer = BatchWriter(self._store, self._await_readers, files, on_progress)
        with _short_turns(), closing(self._batches(files)) as batches:
            return writer.write(batches)

    def _batches(self, files: Sequence[Found]) -> Generator[Batch, None, None]:
        """Batches with vectors, in order, while later ones are being read and encoded."""
        ready: _Ready = queue.Queue(AHEAD)
        reading = _Reading()
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="encode") as pool:
            reader = threading.Thread(target=self._read, args=(files, pool, ready, reading))
            reader.start()
            try:
                while True:
                    try:
                        item = ready.get(timeout=_SILENCE)
                    except queue.Empty:  # a long file: whoever watches may want to end it
                        yield Batch([], reading=reading.at)
                        continue
                    if item is None:
                        return
                    if isinstance(item, BaseException):
                        raise item
                    yield item.result()
            finally:
                reading.stop.set()
                while reader.is_alive():
                    _drain(ready)
                    reader.join(0.05)
                pool.shutdown(cancel_futures=True)

    def _read(
        self, files: Sequence[Found], pool: ThreadPoolExecutor, ready: _Ready, reading: "_Reading"
    ) -> None:
        stopped = reading.stop.is_set
        try:
            with self._parser() as parser:
                documents = DocumentReader(
                    self._store, self._chunker, parser, self._originals, reading.step
                )
                items = takewhile(lambda _: not stopped(), documents.items(files))
                for batch in _in_batches(items):
                    if stopped():
                        return
                    ready.put(pool.submit(self._encode, batch))
            ready.put(None)
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            ready.put(error)

    def _encode(self, batch: Batch) -> Batch:
        nodes = [item for item in batch.items if isinstance(item, TextNode)]
        batch.stored = self._store.stored_terms([node.node_id for node in nodes])
        unstored = (node for node in nodes if node.node_id not in batch.stored)
        fresh = [node for node in unstored if node.embedding is None]
        if fresh:
            encoded = self._encoder.encode_passages([indexed_text(node) for node in fresh])
            batch.truncated = encoded.truncated
            for node, vector in zip(fresh, encoded.vectors, strict=True):
                node.embedding = vector.tolist()
        return batch


class _Stopped(Exception):
    """Nobody waits for what is being read."""


class _Reading:
    """Where the thread is that reads, and whether it should stop."""

    def __init__(self) -> None:
        self.at = ""
        self.stop = threading.Event()

    def step(self, at: str) -> None:
        if self.stop.is_set():
            raise _Stopped
        self.at = at


@contextmanager
def _short_turns() -> Iterator[None]:
    """Let threads take turns more often: an encoder's thread needs the interpreter for a moment
    only, between two passages, and must not wait for long loops in the others.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def _in_batches(items: Iterable[Item]) -> Iterator[Batch]:
    batch: list[Item] = []
    passages = 0
    for item in items:
        batch.append(item)
        passages += isinstance(item, TextNode)
        if passages >= BATCH or len(batch) >= 2 * BATCH:
            yield Batch(batch)
            batch, passages = [], 0
    yield Batch(batch)


def _drain(ready: _Ready) -> None:
    try:
        while True:
            ready.get_nowait()
    except queue.Empty:
        return
