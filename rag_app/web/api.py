"""The application's HTTP API: one route a method of `Service`, streams as lines of JSON."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect

from data.errors import RagAppError
from rag_app.ingestion.engine import IngestReport, OnProgress, Progress
from rag_app.results import (
    BackupReport,
    CollectionInfo,
    DocumentInfo,
    IndexInfo,
    PassageContext,
)
from rag_app.service import QueryOptions, Service
from rag_app.web import wire

_COLLECTION = "/collections/{name}"


@dataclass(frozen=True)
class Access:
    """Who may call the API.

    Attributes:
        token: of local commands, from the storage folder; empty where there is none.
        user: name for HTTP basic authentication.
        password: its password; empty lets local callers read and ask without one.
    """

    token: str = ""
    user: str = ""
    password: str = ""

    def knows(self, request: Request) -> bool:
        """Whether the request carries the token or the password.

        Both may be sent as a bearer's; clients of OpenAI's API send the key they are given so.
        """
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            told = value.encode("latin-1")  # as it came
            known = [secret.encode() for secret in (self.token, self.password) if secret]
            return any(secrets.compare_digest(told, secret) for secret in known)
        if scheme.lower() == "basic" and self.password:
            expected = f"{self.user}:{self.password}".encode()
            return secrets.compare_digest(_decoded(value), expected)
        return False


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
    encoder: str | None = None
    sync: bool = False


class IndexBody(_Body):
    """An encoder, for its index; None is the settings' one."""

    encoder: str | None = None


class BackupBody(_Body):
    """Collections; none means all."""

    collections: list[str] = []


class UseBody(_Body):
    """An index, by its fingerprint or its encoder."""

    index: str


def api(service: Service, access: Access) -> APIRouter:
    """All routes. Reading needs the password where one is set; changing anything, and taking all
    of it away in a backup, needs it or the token, always.
    """

    async def may_read(request: Request) -> None:
        if access.password and not access.knows(request):
            raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})

    async def may_change(request: Request) -> None:
        if not access.knows(request):
            raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})

    router = APIRouter()
    router.include_router(_reading(service), dependencies=[Depends(may_read)])
    router.include_router(_changing(service), dependencies=[Depends(may_change)])
    router.include_router(_copying(service), dependencies=[Depends(may_change)])
    return router


def _reading(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get("/collections")
    async def collections() -> list[CollectionInfo]:
        return await service.collections()

    @router.get(_COLLECTION + "/documents")
    async def documents(name: str) -> list[DocumentInfo]:
        return await service.documents(name)

    @router.get(_COLLECTION + "/indexes")
    async def indexes(name: str) -> list[IndexInfo]:
        return await service.indexes(name)

    @router.get(_COLLECTION + "/passages/{passage_id}")
    async def passage(name: str, passage_id: str) -> PassageContext:
        return await service.context(name, passage_id)

    @router.post(_COLLECTION + "/passages")
    async def passages(name: str, body: IndexBody) -> StreamingResponse:
        return _streamed(service.passages(name, body.encoder))

    @router.post(_COLLECTION + "/search")
    async def search(name: str, body: SearchBody) -> Response:
        found = await service.search(name, body.question, body.options)
        return Response(wire.line(found), media_type=wire.MEDIA_TYPE)

    @router.post(_COLLECTION + "/ask")
    async def ask(name: str, body: AskBody) -> StreamingResponse:
        history = [ChatMessage(role=MessageRole(t.role), content=t.content) for t in body.history]
        return _streamed(service.ask(name, body.question, history, body.options))

    return router


def _changing(service: Service) -> APIRouter:
    router = APIRouter()

    @router.delete(_COLLECTION)
    async def drop(name: str) -> dict[str, bool]:
        await service.drop_collection(name)
        return {"deleted": True}

    @router.delete(_COLLECTION + "/documents")
    async def delete(name: str, source: str) -> dict[str, bool]:
        return {"deleted": await service.delete_document(name, source)}

    @router.post(_COLLECTION + "/ingest")
    async def ingest(name: str, body: IngestBody) -> StreamingResponse:
        work = partial(service.ingest, name, body.paths, encoder=body.encoder, sync=body.sync)
        return _streamed(_progressing(work))

    @router.post(_COLLECTION + "/rebuild")
    async def rebuild(name: str) -> StreamingResponse:
        return _streamed(_progressing(partial(service.rebuild_collection, name)))

    @router.post(_COLLECTION + "/indexes")
    async def build(name: str, body: IndexBody) -> StreamingResponse:
        return _streamed(_progressing(partial(service.build_index, name, body.encoder)))

    @router.put(_COLLECTION + "/active")
    async def use(name: str, body: UseBody) -> dict[str, bool]:
        await service.use_index(name, body.index)
        return {"used": True}

    @router.delete(_COLLECTION + "/indexes")
    async def drop_index(name: str, index: str) -> dict[str, bool]:
        await service.drop_index(name, index)
        return {"deleted": True}

    return router


def _copying(service: Service) -> APIRouter:
    router = APIRouter()

    @router.post("/backup")
    async def backup(body: BackupBody) -> StreamingResponse:
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

    return router


def _streamed(events: AsyncGenerator[Any, None]) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        try:
            async for event in events:
                yield wire.framed(event)
        except RagAppError as error:
            yield wire.line(error)
        finally:
            await events.aclose()

    return StreamingResponse(lines(), media_type=wire.MEDIA_TYPE)


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


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
