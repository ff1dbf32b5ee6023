"""The application in this process: collections, ingestion, search and answers."""

import asyncio
import secrets
import shutil
import threading
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore

from data.blocks import Block
from data.discovery import Found, discover
from data.limits import Limits
from data.names import safe_name
from data.page_picture import PagePicture
from data.parsing import Parser
from rag_app.accounts import users
from rag_app.accounts.chats import chats
from rag_app.accounts.keys import BROWSER_KEY, Keys
from rag_app.accounts.quota import Quota
from rag_app.collections.backup import Backups
from rag_app.collections.catalogue import require_documents
from rag_app.collections.context import PassageGone, passage_context
from rag_app.collections.indexes import Indexes
from rag_app.collections.pictures import PagePictures, page_of
from rag_app.collections.repair import Repairs
from rag_app.collections.stores import OpenStores
from rag_app.errors import (
    ApplicationError,
    UnknownDocument,
    UnknownModel,
)
from rag_app.ingestion.encoders import Encoders
from rag_app.ingestion.fetching import Fetcher
from rag_app.ingestion.identity import UPLOAD, origin
from rag_app.ingestion.reading import Originals
from rag_app.pipeline import Pipeline, embed, grade, well_asked
from rag_app.results import (
    Answer,
    AskEvent,
    BackupReport,
    CollectionInfo,
    DocumentContent,
    DocumentInfo,
    Embeddings,
    EncoderInfo,
    Failure,
    Hit,
    IndexInfo,
    IngestReport,
    OnProgress,
    PassageBatch,
    PassageContext,
    Progress,
    Relevance,
    SearchResult,
)
from rag_app.service import DEFAULT_OPTIONS, QueryOptions
from rag_app.settings import Settings
from rag_app.settings.connection import CONNECTION, KEY
from rag_app.telemetry.metrics import Observer
from retrieval.index.base import PassageStore
from retrieval.index.collections import Collections
from retrieval.index.errors import DamagedIndex, UnknownCollection
from retrieval.index.records import DocumentRecord

T = TypeVar("T")
_STORAGE_FOLDERS = (
    "files", "collections", "models", "encoders", "rerankers", "evaluations",
    "owner.json", "lock",
    BROWSER_KEY, CONNECTION, KEY,
    *chats.FILES, *users.FILES,
)  # fmt: skip
"""What the application keeps in the storage folder: never ingested with a folder above it."""
STALL = 60.0
"""Seconds without a sign of a client that holds a collection, after which its work is given up."""
_WRITERS = 32
"""Changes that may wait for one another; they cost threads, but only while they wait."""


class Pipelines(Protocol):
    """Makes the pipeline for one question."""

    def __call__(
        self,
        options: QueryOptions,
        store: PassageStore | None,
        others: Mapping[str, PassageStore] = ...,
    ) -> Pipeline:
        """The one that its options ask for, over the store, or stores, that it needs."""
        ...

    def needs_store(self, options: QueryOptions) -> bool:
        """Whether it searches."""
        ...

    def use(self, settings: Settings) -> None:
        """Let questions go by other settings from now on."""
        ...

    def reranker(self) -> BaseNodePostprocessor:
        """The settings' reranker."""
        ...


class Application:
    """`rag_app.service.Service` in this process.

    Args:
        collections: where the indexes are; this process must own them.
        encoders: that indexes are built with; the settings' one is made at once.
        pipelines: makes the pipeline for a question's options.
        storage: the storage folder; original files lie in its `files`, a folder a collection.
        release: awaited last when the application is closed.
        graph_above: passages from which an ingestion ends with building a search graph, which may
            stop the whole process meanwhile; None never does.
        parser: makes what reads an original again.
        fetcher: gets documents from their addresses.
        user_bytes: what the documents of one user may take; None for no bound.
    """

    def __init__(  # noqa: PLR0913 - it is where all parts come together
        self,
        collections: Collections,
        encoders: Encoders,
        pipelines: Pipelines,
        storage: Path,
        release: Callable[[], Awaitable[None]],
        graph_above: int | None = None,
        parser: Callable[[], Parser] = Parser,
        fetcher: Fetcher = Fetcher((), Limits()),  # noqa: B008 - it holds nothing
        *,
        user_bytes: int | None = None,
    ) -> None:
        self._parser, self._fetcher = parser, fetcher
        self._collections, self._encoders, self._pipelines = collections, encoders, pipelines
        self._encoder = encoders.get()
        self._spec = encoders.spec(self._encoder)
        self._storage_folders = [storage / name for name in _STORAGE_FOLDERS]
        self._uploads, self._originals = storage / "uploads", storage / "files"
        self._release_storage = release
        self._stores = OpenStores(
            collections, lambda name, store: require_documents(storage / "files" / name, store)
        )
        quota = Quota(users.Users(storage), storage / "files", user_bytes) if user_bytes else None
        self._indexes = Indexes(
            collections, self._stores, encoders, storage / "files", graph_above, quota
        )
        self._backups = Backups(collections, self._stores, self._indexes, storage, self._spec.bm25)
        self._repairs = Repairs(
            collections, self._stores, self._indexes, encoders, storage / "files"
        )
        self.chats, self.changes = chats.Chats(storage), 0
        self._keys = Keys(storage)
        self.renamed: dict[str, str] = {}
        self.observer = Observer()
        self._pictures = PagePictures(parser)
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")
        self._closing = threading.Event()

    # --- collections -------------------------------------------------------------------------

    async def collections(self) -> list[CollectionInfo]:
        """See `Service.collections`."""
        found = []
        for name in await asyncio.to_thread(self._collections.names):
            try:
                async with self._stores.reading(name, self._spec) as store:
                    found.append(await asyncio.to_thread(self._describe, name, store))
            except UnknownCollection:  # deleted meanwhile
                continue
            except DamagedIndex as error:  # the others are listed all the same
                found.append(CollectionInfo(name, 0, 0, "", usable=False, damage=str(error)))
        return found

    async def create_collection(self, name: str) -> None:
        """See `Service.create_collection`."""
        await self._change(lambda _: self._indexes.create_collection(name))

    async def drop_collection(self, name: str) -> None:
        """See `Service.drop_collection`."""

        def drop(_: OnProgress) -> None:
            self._indexes.drop_collection(name, lambda: self._keys.drop_collection(name))

        await self._change(drop)

    async def rename_collection(self, name: str, to: str) -> None:
        """See `Service.rename_collection`."""

        def rename(_: OnProgress) -> None:
            self._indexes.rename_collection(
                name, to, lambda: self._keys.rename_collection(name, to)
            )

        await self._change(rename)
        self.renamed.pop(to, None)  # no way leads in a circle
        self.renamed[name] = to
        await self.chats.rename_collection(name, to)

    async def rebuild_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """See `Service.rebuild_collection`."""
        return await self._change(partial(self._indexes.rebuild, name), on_progress)

    async def repair_collection(
        self, name: str, on_progress: OnProgress | None = None
    ) -> IngestReport:
        """See `Service.repair_collection`."""
        return await self._change(partial(self._repairs.repair, name), on_progress)

    async def backup(
        self, collections: Sequence[str] = ()
    ) -> AsyncGenerator[bytes | BackupReport, None]:
        """See `Service.backup`."""
        pieces, loop = self._backups.write(collections), asyncio.get_running_loop()
        step, stalled = None, threading.Event()

        def give_up() -> None:
            stalled.set()
            self._writers.submit(pieces.close)  # others may change the collection again

        try:
            while True:
                self._require_open()
                step = loop.run_in_executor(self._writers, next, pieces, None)
                piece = await asyncio.shield(step)
                if piece is None:
                    return
                watch = loop.call_later(STALL, give_up)
                yield piece
                watch.cancel()
                if stalled.is_set():
                    raise _stalled("read of the backup")
        finally:
            if step:
                await asyncio.wait([step])  # what is running cannot be closed
            pieces.close()

    async def restore(
        self,
        backup: AsyncIterator[bytes],
        collections: Sequence[str] = (),
        replace: bool = False,
    ) -> BackupReport:
        """See `Service.restore`."""
        loop = asyncio.get_running_loop()

        async def following() -> bytes | None:
            return await anext(backup, None)

        def pieces() -> Iterator[bytes]:
            while (
                piece := _within(STALL, asyncio.run_coroutine_threadsafe(following(), loop))
            ) is not None:
                yield piece

        return await self._change(partial(self._backups.restore, pieces(), collections, replace))

    # --- indexes -----------------------------------------------------------------------------

    async def indexes(self, collection: str) -> list[IndexInfo]:
        """See `Service.indexes`."""
        async with self._stores.reading_all(collection, self._spec) as stores:
            return await asyncio.to_thread(self._indexes.describe, collection, stores)

    async def build_index(
        self,
        collection: str,
        encoder: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """See `Service.build_index`."""
        return await self._change(partial(self._indexes.build, collection, encoder), on_progress)

    async def use_index(self, collection: str, index: str) -> None:
        """See `Service.use_index`."""
        await self._change(lambda _: self._indexes.use(collection, index))

    async def drop_index(self, collection: str, index: str) -> None:
        """See `Service.drop_index`."""
        await self._change(lambda _: self._indexes.drop(collection, index))

    # --- documents ---------------------------------------------------------------------------

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """See `Service.documents`."""
        async with self._stores.reading(collection, self._spec) as store:
            return [_document_info(record) for record in await asyncio.to_thread(store.records)]

    async def document(
        self, collection: str, source: str, page: int | None = None
    ) -> DocumentContent:
        """See `Service.document`."""
        return await asyncio.to_thread(
            self._read, await self.original(collection, source), source, page
        )

    async def original(self, collection: str, source: str) -> Path:
        """Where the original file of a document lies, or would.

        Raises ApplicationError where there is no such document.
        """
        async with self._stores.reading(collection, self._spec) as store:
            record = await asyncio.to_thread(store.record, source)
        if record and record.failure and not record.live:
            raise UnknownDocument(
                f"document {source!r} could not be read when it was ingested",
                cause=record.failure,
                hint="Mend the file, and ingest it again",
            )
        if record is None or record.live is None:
            raise UnknownDocument.of(collection, source)
        return Originals(self._originals / collection).path(record.live, record.suffix)

    async def delete_document(self, collection: str, source: str) -> bool:
        """See `Service.delete_document`."""
        return await self._change(lambda _: self._indexes.delete_document(collection, source))

    async def ingest(
        self,
        collection: str,
        paths: Sequence[Path],
        on_progress: OnProgress | None = None,
        encoder: str | None = None,
        sync: bool = False,
    ) -> IngestReport:
        """See `Service.ingest`."""
        work = partial(self._discover_and_ingest, collection, paths, encoder, sync)
        return await self._ingest(work, on_progress)

    async def add_document(
        self,
        collection: str,
        name: str,
        content: AsyncIterator[bytes],
        encoder: str | None = None,
    ) -> IngestReport:
        """See `Service.add_document`."""
        async with self._new_folder() as folder:
            path = folder / safe_name(name)
            await _write(path, content)
            return await self.ingest(collection, [path], encoder=encoder)

    async def add_address(
        self,
        collection: str,
        address: str,
        on_progress: OnProgress | None = None,
        encoder: str | None = None,
    ) -> IngestReport:
        """See `Service.add_address`."""
        async with self._new_folder() as folder:
            found = await self._fetcher.fetch(address, folder)
            return await self._ingest(
                lambda send: self._indexes.ingest(collection, encoder, [found], send),
                on_progress,
            )

    async def reingest(
        self,
        collection: str,
        sources: Sequence[str] = (),
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """See `Service.reingest`."""

        def check(found: Found) -> None:
            self._read(found.path, found.source, None)

        return await self._ingest(
            lambda send: self._indexes.reingest(collection, sources, check, send),
            on_progress,
        )

    # --- questions ---------------------------------------------------------------------------

    async def search(
        self, collection: str, question: str, options: QueryOptions = DEFAULT_OPTIONS
    ) -> SearchResult:
        """See `Service.search`."""
        with self.observer.question("search") as traces:
            async with self._pipeline(collection, options) as pipeline:
                result = await pipeline.search(well_asked(question))
                traces.append(result.trace)
                return result

    async def ask(
        self,
        collection: str,
        question: str,
        history: Sequence[ChatMessage] = (),
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> AsyncGenerator[AskEvent, None]:
        """See `Service.ask`."""
        with self.observer.question("ask") as traces:
            async with AsyncExitStack() as using:
                pipeline = await using.enter_async_context(self._pipeline(collection, options))
                async with aclosing(pipeline.ask(well_asked(question), history)) as events:
                    async for event in events:
                        if isinstance(event, SearchResult):
                            await using.aclose()  # reading needs the passages alone
                        if isinstance(event, SearchResult | Answer):
                            traces.append(event.trace)
                        yield event

    async def passages(
        self, collection: str, encoder: str | None = None
    ) -> AsyncGenerator[PassageBatch, None]:
        """See `Service.passages`."""
        batches, first = None, None
        while True:
            async with self._index(collection, encoder) as store:  # not while a slow client reads
                if batches is None:
                    batches, first = store.passages(), store
                if store is not first:
                    raise ApplicationError(
                        f"collection {collection!r} was replaced while it was read",
                        hint="Read it again",
                    )
                nodes = await asyncio.to_thread(next, batches, None)
            if nodes is None:
                return
            found = (NodeWithScore(node=node, score=0.0) for node in nodes)
            yield PassageBatch([Hit.of(one, {}, {}) for one in found])

    async def context(self, collection: str, passage_id: str) -> PassageContext:
        """See `Service.context`."""
        try:
            async with self._stores.reading(collection, self._spec) as store:
                return await asyncio.to_thread(passage_context, [store], passage_id)
        except PassageGone:  # it may have been found with another encoder
            async with self._stores.reading_all(collection, self._spec) as stores:
                return await asyncio.to_thread(passage_context, stores, passage_id)

    async def page_picture(
        self, collection: str, passage_id: str, quotes: Sequence[str] = ()
    ) -> PagePicture:
        """See `Service.page_picture`."""
        self._require_open()
        originals = self._originals / collection
        async with self._stores.reading_all(collection, self._spec) as stores:
            page = await asyncio.to_thread(page_of, stores, originals, passage_id, quotes)
        return await self._pictures.draw(page)  # which may wait for others

    # --- the models behind them --------------------------------------------------------------

    async def encoders(self) -> list[EncoderInfo]:
        """See `Service.encoders`."""
        row = self._encoder.row
        found = {row.name: EncoderInfo(row.name, row.model_id)}
        for name in await asyncio.to_thread(self._collections.names):
            with suppress(UnknownCollection, DamagedIndex):  # deleted meanwhile; lists tell of it
                for index in await self.indexes(name):
                    if index.usable:
                        found.setdefault(index.encoder, EncoderInfo(index.encoder, index.model))
        return list(found.values())

    async def embed(
        self, texts: Sequence[str], encoder: str | None = None, queries: bool = False
    ) -> Embeddings:
        """See `Service.embed`."""
        name = encoder or self._encoder.row.name
        if name == self._encoder.row.name:
            return await embed(self._encoder, texts, queries)
        known = [one.name for one in await self.encoders()]
        if name not in known:
            raise UnknownModel(
                f"encoder {name!r} is not in use here",
                cause=f"in use: {', '.join(known)}",
                hint=f"`rag-app indexes build --encoder {name}` takes it into use",
            )
        model = await asyncio.to_thread(self._encoders.get, name)
        return await embed(model, texts, queries)

    async def rerank(self, question: str, texts: Sequence[str]) -> list[Relevance]:
        """See `Service.rerank`."""
        return await grade(self._pipelines.reranker(), question, texts)

    def use(self, settings: Settings) -> None:
        """Let questions go by other settings from now on, as for another language model.

        What indexes are built with stays as it is.
        """
        self._pipelines.use(settings)

    def verify(self) -> str:
        """Try the settings' encoder with a real call, in the calling thread; see `Encoder.verify`.

        Raises:
            EncoderError: it does not answer, or gives other vectors than its row promises.
        """
        return str(self._encoder.verify())

    async def close(self) -> None:
        """See `Service.close`; ingestion that goes on is interrupted, as by a crash."""
        self._closing.set()
        await asyncio.to_thread(self._close)
        await self._release_storage()

    @asynccontextmanager
    async def _new_folder(self) -> AsyncIterator[Path]:
        """Where a document lies until it is ingested; whoever writes it makes the folder."""
        folder = self._uploads / f"taken-{secrets.token_hex(16)}"
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    @asynccontextmanager
    async def _pipeline(self, name: str, options: QueryOptions) -> AsyncIterator[Pipeline]:
        """The pipeline for one question; its collections stay open for as long as the context."""
        if not self._pipelines.needs_store(options):
            yield self._pipelines(options, None)
            return
        async with AsyncExitStack() as using:
            stores = {
                one: await using.enter_async_context(self._index(one, options.encoder))
                for one in dict.fromkeys((name, *options.also))
            }
            others = stores if len(stores) > 1 else {}
            yield self._pipelines(options, stores[name], others)

    @asynccontextmanager
    async def _index(self, name: str, encoder: str | None) -> AsyncIterator[PassageStore]:
        """The index of an encoder, None being the settings' one; it stays open meanwhile."""
        model = self._encoder
        if encoder:
            model = await asyncio.to_thread(self._encoders.get, encoder)  # which may read its files
        spec = self._encoders.spec(model)
        async with self._stores.reading(name, spec) as store:
            if store.stored_fingerprint == spec.fingerprint:
                yield store
                return
        async with self._stores.reading_all(name, spec) as stores:
            raise await asyncio.to_thread(self._indexes.refusal, name, stores, model)

    async def _ingest(
        self, work: Callable[[OnProgress], IngestReport], on_progress: OnProgress | None
    ) -> IngestReport:
        """A change that reads documents, which are counted."""
        report = await self._change(work, on_progress)
        self.observer.ingested(report)
        return report

    async def _change(
        self, work: Callable[[OnProgress], T], on_progress: OnProgress | None = None
    ) -> T:
        """Do what changes a collection in a thread of its own, so that waiting for another change
        takes no thread from searches. Cancelled, it ends at its next step.
        """
        stop = threading.Event()

        def send(progress: Progress) -> None:
            if stop.is_set():
                raise _interrupted()
            self._require_open()
            if on_progress:
                on_progress(progress)

        try:
            with self.observer.change():
                return await asyncio.get_running_loop().run_in_executor(self._writers, work, send)
        except asyncio.CancelledError:
            stop.set()
            raise
        finally:
            self.changes += 1

    def _require_open(self) -> None:
        if self._closing.is_set():
            raise _interrupted()

    # --- the same, in a worker thread --------------------------------------------------------

    def _close(self) -> None:
        self._writers.shutdown(cancel_futures=True)
        self._pictures.close()
        self._stores.close()

    def _describe(self, name: str, store: PassageStore) -> CollectionInfo:
        ready = [record for record in store.records() if record.live]
        record = store.collection()
        return CollectionInfo(
            name=name,
            documents=len(ready),
            passages=sum(record.passages for record in ready),
            encoder=str(record.identity["encoder"].get("model", "")),
            usable=record.fingerprint == self._spec.fingerprint,
        )

    def _discover_and_ingest(
        self,
        name: str,
        paths: Sequence[Path],
        encoder: str | None,
        sync: bool,
        on_progress: OnProgress,
    ) -> IngestReport:
        discovery = discover(paths)
        files = [
            Found(found.path, _writable(found.source), self._origin(found.path))
            for found in discovery.files
            if not self._is_own(found.path)
        ]
        folders = [path for path in paths if sync and path.is_dir()]
        report = self._indexes.ingest(name, encoder, files, on_progress, folders)
        report.ignored = [
            Failure(_writable(path.name), _writable(why))
            for path, why in discovery.ignored.items()
            if not self._is_own(path)
        ]
        return report

    def _read(self, original: Path, source: str, page: int | None) -> DocumentContent:
        content, last = DocumentContent(source, [], []), 0
        with self._parser() as parser:
            for one in parser.parse(original, source):
                last = max(last, one.page or 0)
                if page is not None and one.page != page:
                    continue
                if isinstance(one, Block):
                    content.blocks.append(one)
                else:
                    content.warnings.append(one)
        if page is not None and page > last:
            raise UnknownDocument(
                f"{source!r} has no page {page}",
                cause=f"its last one with anything on it is {last}" if last else "it has no pages",
            )
        return content

    def _origin(self, path: Path) -> str:
        """Where a file came from; uploads lie here for a moment only, so each is one of its own."""
        if path.resolve().is_relative_to(self._uploads.resolve()):
            return f"{UPLOAD}{uuid.uuid4()}"
        return _writable(origin(path))

    def _is_own(self, path: Path) -> bool:
        real = path.resolve()
        return any(real.is_relative_to(folder.resolve()) for folder in self._storage_folders)


def _within(seconds: float, future: "Future[T]") -> T:
    """The result, from a client that may be slow. Raises ApplicationError where it stalls."""
    try:
        return future.result(seconds)
    except TimeoutError:
        future.cancel()
        raise _stalled("sent of the backup") from None


def _stalled(what: str) -> ApplicationError:
    return ApplicationError(
        f"nothing was {what} for {STALL:g} s", hint="Do it again over a connection that is quicker"
    )


def _interrupted() -> ApplicationError:
    return ApplicationError("the work was interrupted", hint="Do the same again")


async def _write(path: Path, content: AsyncIterator[bytes]) -> None:
    """Keep what is sent as a file in a new folder. Raises ApplicationError where that fails."""
    try:
        await asyncio.to_thread(path.parent.mkdir, parents=True, mode=0o700)
        with await asyncio.to_thread(path.open, "wb") as file:
            async for piece in content:
                await asyncio.to_thread(file.write, piece)
    except OSError as error:
        raise ApplicationError(
            f"{path.name!r} cannot be kept",
            cause=(error.strerror or str(error)).lower(),
            hint="Free space in the storage folder, then send it again",
        ) from error


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
        record.source, state, record.passages, record.size, record.updated, record.failure
    )
