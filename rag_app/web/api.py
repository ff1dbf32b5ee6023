"""The application's HTTP API: one route a method of `Service`, streams as lines of JSON."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect

from data.errors import RagAppError
from rag_app.ingestion.report import IngestReport, OnProgress, Progress
from rag_app.remote import wire
from rag_app.results import (
    BackupReport,
    CollectionInfo,
    DocumentContent,
    DocumentInfo,
    IndexInfo,
    PassageContext,
)
from rag_app.service import EncoderName, QueryOptions, Service
from rag_app.web.access import Access
from rag_app.web.gate import UNKNOWN
from rag_app.web.streams import ClosingStream

_COLLECTION = "/collections/{name}"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Turn(_Body):
    role: Literal["user", "assistant"]
    content: str


class SearchBody(_Body):
    """A search."""

    question: str
    options: QueryOptions = QueryOptions()


class AskBody(SearchBody):
    """A question with what was said before it."""

    history: list[_Turn] = []


class IngestBody(_Body):
    """Files and folders of this machine, for the index of an encoder."""

    paths: list[Path]
    encoder: EncoderName | None = None
    sync: bool = False


class IndexBody(_Body):
    """An encoder, for its index; None is the settings' one."""

    encoder: EncoderName | None = None


class BackupBody(_Body):
    """Collections; none means all."""

    collections: list[str] = []


class UseBody(_Body):
    """An index, by its fingerprint or its encoder."""

    index: str


def api(service: Service, access: Access) -> APIRouter:
    """All routes. `rag_app.web.gate` asks for the right to read; changing anything, and taking all
    of it away in a backup, needs the right to change, always.
    """

    class Changing(APIRoute):
        """Asks for the right before it reads a body."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                if not access.may_change(request):
                    raise HTTPException(401, UNKNOWN, headers={"WWW-Authenticate": "Basic"})
                return await handler(request)

            return handle

    router, changing = APIRouter(), APIRouter(route_class=Changing)
    _changing(changing, service)
    _copying(changing, service)
    router.include_router(_reading(service))
    router.include_router(changing)
    return router


def _reading(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get("/collections")
    async def collections() -> list[CollectionInfo]:
        return await service.collections()

    @router.get(_COLLECTION + "/documents")
    async def documents(name: str) -> list[DocumentInfo]:
        return await service.documents(name)

    @router.get(_COLLECTION + "/documents/content")
    async def document(
        name: str, source: str, page: Annotated[int | None, Query(ge=1)] = None
    ) -> DocumentContent:
        return await service.document(name, source, page)

    @router.get(_COLLECTION + "/indexes")
    async def indexes(name: str) -> list[IndexInfo]:
        return await service.indexes(name)

    @router.get(_COLLECTION + "/passages/{passage_id}")
    async def passage(name: str, passage_id: str) -> PassageContext:
        return await service.context(name, passage_id)

    @router.post(_COLLECTION + "/passages")
    async def passages(name: str, body: IndexBody) -> ClosingStream:
        return _streamed(service.passages(name, body.encoder))

    @router.post(_COLLECTION + "/search")
    async def search(name: str, body: SearchBody) -> Response:
        found = await service.search(name, body.question, body.options)
        return Response(wire.line(found), media_type=wire.MEDIA_TYPE)

    @router.post(_COLLECTION + "/ask")
    async def ask(name: str, body: AskBody) -> ClosingStream:
        history = [ChatMessage(role=MessageRole(t.role), content=t.content) for t in body.history]
        return _streamed(service.ask(name, body.question, history, body.options))

    return router


def _changing(router: APIRouter, service: Service) -> None:
    @router.delete(_COLLECTION)
    async def drop(name: str) -> dict[str, bool]:
        await service.drop_collection(name)
        return {"deleted": True}

    @router.delete(_COLLECTION + "/documents")
    async def delete(name: str, source: str) -> dict[str, bool]:
        return {"deleted": await service.delete_document(name, source)}

    @router.post(_COLLECTION + "/ingest")
    async def ingest(name: str, body: IngestBody) -> ClosingStream:
        work = partial(service.ingest, name, body.paths, encoder=body.encoder, sync=body.sync)
        return _streamed(_progressing(work))

    @router.post(_COLLECTION + "/rebuild")
    async def rebuild(name: str) -> ClosingStream:
        return _streamed(_progressing(partial(service.rebuild_collection, name)))

    @router.post(_COLLECTION + "/repair")
    async def repair(name: str) -> ClosingStream:
        return _streamed(_progressing(partial(service.repair_collection, name)))

    @router.post(_COLLECTION + "/indexes")
    async def build(name: str, body: IndexBody) -> ClosingStream:
        return _streamed(_progressing(partial(service.build_index, name, body.encoder)))

    @router.put(_COLLECTION + "/active")
    async def use(name: str, body: UseBody) -> dict[str, bool]:
        await service.use_index(name, body.index)
        return {"used": True}

    @router.delete(_COLLECTION + "/indexes")
    async def drop_index(name: str, index: str) -> dict[str, bool]:
        await service.drop_index(name, index)
        return {"deleted": True}


def _copying(router: APIRouter, service: Service) -> None:
    @router.post("/backup")
    async def backup(body: BackupBody) -> ClosingStream:
        return _streamed(service.backup(body.collections))

    @router.post("/restore")
    async def restore(
        request: Request,
        collection: Annotated[list[str], Query(default_factory=list)],
        replace: bool = False,
    ) -> BackupReport:
        pieces = request.stream()
        try:
            return await service.restore(pieces, collection, replace)
        except ClientDisconnect:  # nobody reads this
            raise HTTPException(400, "the backup did not come to its end") from None
        finally:
            async for _ in pieces:  # else whoever still sends would not read why it failed
                pass


def _streamed(events: AsyncGenerator[Any, None]) -> ClosingStream:
    async def lines() -> AsyncGenerator[bytes, None]:
        try:
            async for event in events:
                yield wire.framed(event)
        except RagAppError as error:
            yield wire.line(error)

    return ClosingStream(lines(), events, wire.MEDIA_TYPE)


async def _progressing(
    work: Callable[[OnProgress], Awaitable[IngestReport]],
) -> AsyncGenerator[Progress | IngestReport, None]:
    """Run work that reports from another thread, and yield what it reports as it comes."""
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[Progress | None] = asyncio.Queue()

    def tell(progress: Progress) -> None:
        loop.call_soon_threadsafe(news.put_nowait, progress)

    task = asyncio.ensure_future(work(tell))
    task.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (progress := await news.get()) is not None:
            yield progress
        yield await task
    finally:
        task.cancel()  # nobody listens any more: the work stops, and can be taken up again
