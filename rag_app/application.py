"""The application in this process: collections, ingestion, search and answers."""

import asyncio
import shutil
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from llama_index.core.base.llms.types import ChatMessage

from data.discovery import Found, discover
from rag_app.commit import DocumentWriter, forget_unused
from rag_app.context import passage_context
from rag_app.errors import ApplicationError
from rag_app.ingest import Ingestor, IngestReport, OnProgress, Progress
from rag_app.intake import Originals, sha256
from rag_app.pipeline import AskEvent, Pipeline
from rag_app.results import CollectionInfo, DocumentInfo, PassageContext, SearchResult
from rag_app.service import DEFAULT_OPTIONS, QueryOptions
from rag_app.stores import OpenStores
from retrieval.index.base import PassageStore
from retrieval.index.collections import Collections, require_match
from retrieval.index.errors import UnknownCollection
from retrieval.index.fingerprint import IndexSpec
from retrieval.index.records import DocumentRecord

MakeIngestor = Callable[[PassageStore, Path, Callable[[], None]], Ingestor]
T = TypeVar("T")
_OWN = ("files", "collections", "models")
"""Folders of the storage folder that are never taken in, though a folder above them be."""
_WRITERS = 32
"""Changes that may wait for one another; they cost threads, but only while they wait."""


class MakePipelines(Protocol):
    """Makes the pipeline for one question."""

    def __call__(self, store: PassageStore, options: QueryOptions) -> Pipeline:
        """One that searches the store."""
        ...

    def closed_book(self, options: QueryOptions) -> Pipeline | None:
        """One that needs no store, where retrieval is off."""
        ...


class Application:
    """`rag_app.service.Service` in this process.

    Args:
        collections: where the indexes are; this process must own them.
        spec: what new indexes are built with, and old ones must match to be used.
        ingestor: makes what takes documents into an index of that spec, given the folder of the
            originals and what waits for searches to end (`rag_app.commit.DocumentWriter`).
        pipelines: makes the pipeline for a question's options.
        storage: the storage folder; original files lie in its `files`, a folder a collection.
        release: awaited last when the application is closed.
        graph_above: chunks from which an ingestion ends with building a search graph, which may
            stop the whole process meanwhile; None never does.
    """

    def __init__(
        self,
        collections: Collections,
        spec: IndexSpec,
        ingestor: MakeIngestor,
        pipelines: MakePipelines,
        storage: Path,
        release: Callable[[], Awaitable[None]],
        graph_above: int | None = None,
    ) -> None:
        self._collections, self._spec = collections, spec
        self._make_ingestor, self._pipelines = ingestor, pipelines
        self._originals = storage / "files"
        self._own = [storage / name for name in _OWN]
        self._release_storage, self._graph_above = release, graph_above
        self._stores = OpenStores(collections, spec)
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")
        self._writing: dict[str, threading.Lock] = {}
        self._closing = threading.Event()

    # --- collections -------------------------------------------------------------------------

    async def collections(self) -> list[CollectionInfo]:
        """See `Service.collections`."""
        found = []
        for name in await asyncio.to_thread(self._collections.names):
            with suppress(UnknownCollection):  # deleted meanwhile
                async with self._stores.reading(name) as store:
                    found.append(await asyncio.to_thread(self._describe, name, store))
        return found

    async def drop_collection(self, name: str) -> None:
        """See `Service.drop_collection`."""
        await self._change(lambda _: self._drop(name))

    async def rebuild_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """See `Service.rebuild_collection`."""
        return await self._change(partial(self._rebuild, name), on_progress)

    # --- documents ---------------------------------------------------------------------------

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """See `Service.documents`."""
        async with self._stores.reading(collection) as store:
            return [_document_info(record) for record in await asyncio.to_thread(store.records)]

    async def delete_document(self, collection: str, source: str) -> bool:
        """See `Service.delete_document`."""
        return await self._change(lambda _: self._delete(collection, source))

    async def ingest(
        self, collection: str, paths: Sequence[Path], on_progress: OnProgress | None = None
    ) -> IngestReport:
        """See `Service.ingest`."""
        return await self._change(partial(self._ingest, collection, paths), on_progress)

    # --- questions ---------------------------------------------------------------------------

    async def search(
        self, collection: str, question: str, options: QueryOptions = DEFAULT_OPTIONS
    ) -> SearchResult:
        """See `Service.search`."""
        async with self._pipeline(collection, options) as pipeline:
            return await pipeline.search(_asked(question))

    async def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[ChatMessage] = (),
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> AsyncGenerator[AskEvent, None]:
        """See `Service.ask`."""
        async with AsyncExitStack() as using:
            pipeline = await using.enter_async_context(self._pipeline(collection, options))
            async with aclosing(pipeline.ask(_asked(question), history)) as events:
                async for event in events:
                    if isinstance(event, SearchResult):
                        await using.aclose()  # reading needs the passages alone
                    yield event

    async def context(self, collection: str, chunk_id: str) -> PassageContext:
        """See `Service.context`."""
        async with self._stores.reading(collection) as store:
            return await asyncio.to_thread(passage_context, store, chunk_id)

    async def close(self) -> None:
        """See `Service.close`; ingestion that goes on is interrupted, as by a crash."""
        self._closing.set()
        await asyncio.to_thread(self._close)
        await self._release_storage()

    @asynccontextmanager
    async def _pipeline(self, name: str, options: QueryOptions) -> AsyncIterator[Pipeline]:
        """The pipeline for one question; its collection stays open for as long as the context."""
        closed_book = self._pipelines.closed_book(options)
        if closed_book:
            yield closed_book
            return
        async with self._stores.reading(name) as store:
            require_match(name, store, self._spec)
            yield self._pipelines(store, options)

    async def _change(
        self, work: Callable[[OnProgress], T], on_progress: OnProgress | None = None
    ) -> T:
        """Do what changes a collection in a thread of its own, so that waiting for another change
        takes no thread from searches. Cancelled, it ends at its next step.
        """
        stop = threading.Event()

        def tell(progress: Progress) -> None:
            if stop.is_set() or self._closing.is_set():
                raise ApplicationError(
                    "the work was interrupted",
                    way_out="Do the same again: it goes on from there",
                )
            if on_progress:
                on_progress(progress)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._writers, work, tell)
        except asyncio.CancelledError:
            stop.set()
            raise

    # --- the same, in a worker thread --------------------------------------------------------

    def _close(self) -> None:
        self._writers.shutdown(cancel_futures=True)
        self._stores.close()

    def _describe(self, name: str, store: PassageStore) -> CollectionInfo:
        ready = [record for record in store.records() if record.live]
        record = store.collection()
        return CollectionInfo(
            name=name,
            documents=len(ready),
            chunks=sum(record.chunks for record in ready),
            encoder=str(record.identity["encoder"].get("model", "")),
            usable=record.fingerprint == self._spec.fingerprint,
        )

    def _ingest(self, name: str, paths: Sequence[Path], on_progress: OnProgress) -> IngestReport:
        discovery = discover(paths)
        files = [
            Found(found.path, _writable(found.source))
            for found in discovery.files
            if not self._is_own(found.path)
        ]
        with self._writing_to(name):
            store = self._stores.create(name)
            require_match(name, store, self._spec)
            report = self._ingestor(name, store).run(files, on_progress)
            forget_unused(Originals(self._originals / name), store)
            if self._graph_above is not None and report.chunks:
                self._grow_graph(store, self._graph_above)
        report.ignored = [
            _writable(path.name) for path in discovery.ignored if not self._is_own(path)
        ]
        return report

    @staticmethod
    def _grow_graph(store: PassageStore, above: int) -> None:
        if sum(record.chunks for record in store.records()) >= above:
            store.optimize()

    def _is_own(self, path: Path) -> bool:
        real = path.resolve()
        return any(real.is_relative_to(folder.resolve()) for folder in self._own)

    def _ingestor(self, name: str, store: PassageStore) -> Ingestor:
        await_readers = partial(self._stores.await_readers, name)
        return self._make_ingestor(store, self._originals / name, await_readers)

    def _delete(self, name: str, source: str) -> bool:
        with self._writing_to(name):
            store = self._stores.open(name)
            deleted = DocumentWriter(store).delete(source)
            forget_unused(Originals(self._originals / name), store)
            return deleted

    def _drop(self, name: str) -> None:
        with self._writing_to(name), self._stores.closed(name):
            self._collections.drop(name)
            shutil.rmtree(self._originals / name, ignore_errors=True)

    def _rebuild(self, name: str, on_progress: OnProgress) -> IngestReport:
        with self._writing_to(name):
            store = self._stores.open(name)
            originals = Originals(self._originals / name)
            live = [record for record in store.records() if record.live]
            files = [
                Found(originals.path(str(record.live), record.suffix), record.source)
                for record in live
            ]
            lost = [
                record.source
                for record, found in zip(live, files, strict=True)
                if not found.path.is_file() or sha256(found.path) != record.live
            ]
            if lost:
                raise ApplicationError(
                    f"collection {name!r} cannot be rebuilt",
                    cause=f"the originals of {', '.join(lost)} are gone or damaged",
                    way_out="Delete these documents, and ingest their files again",
                )
            if store.collection().fingerprint == self._spec.fingerprint:
                self._promote(name)  # deletes what a crash may have left of an old version
                return IngestReport(unchanged=len(files))
            return self._replace(name, files, on_progress)

    def _replace(self, name: str, files: Sequence[Found], on_progress: OnProgress) -> IngestReport:
        """Build the new version beside the old one, then switch the name over."""
        fresh = self._collections.stage(name, self._spec)
        try:
            wanted = {found.source for found in files}
            for record in fresh.records():
                if record.source not in wanted:
                    fresh.delete(record.source)
            report = self._ingestor(name, fresh).run(files, on_progress)
        finally:
            fresh.close()
        if report.failures:
            raise ApplicationError(
                f"collection {name!r} was left as it is",
                cause="; ".join(
                    f"{failure.source}: {failure.reason}" for failure in report.failures
                ),
                way_out="Delete these documents, then rebuild again",
            )
        self._promote(name)
        forget_unused(Originals(self._originals / name), self._stores.open(name))
        return report

    def _promote(self, name: str) -> None:
        with self._stores.closed(name):
            self._collections.promote(name, self._spec)

    def _writing_to(self, name: str) -> threading.Lock:
        return self._writing.setdefault(name, threading.Lock())


def _asked(question: str) -> str:
    if not question.strip():
        raise ApplicationError("the question is empty", way_out="Type a question")
    return question.strip()


def _writable(name: str) -> str:
    """A file name as text that can be stored: bytes that are no UTF-8 are spelt out."""
    return name.encode("utf-8", "backslashreplace").decode()


def _document_info(record: DocumentRecord) -> DocumentInfo:
    state = "ready" if record.live else "interrupted"
    if not record.settled:
        state = "interrupted"
    elif record.failure:
        state = "failed"
    return DocumentInfo(
        record.source, state, record.chunks, record.size, record.updated, record.failure
    )
