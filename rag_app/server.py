"""The web server: the application's API, health and metrics. `ui` mounts its chat on it."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import prometheus_client
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from pydantic import BaseModel, ConfigDict
from starlette.middleware.trustedhost import TrustedHostMiddleware

from rag_app import wire
from rag_app.errors import EXPECTED, SettingsError
from rag_app.ingest import IngestReport, OnProgress, Progress
from rag_app.results import CollectionInfo, DocumentInfo, PassageContext
from rag_app.service import QueryOptions, Service
from rag_app.settings import Server

LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
        """Whether the request carries the token or the password."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return bool(self.token) and secrets.compare_digest(value.encode(), self.token.encode())
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
    """Files and folders of this machine."""

    paths: list[Path]


def require_safe_host(server: Server) -> None:
    """Refuse to listen on other addresses than loopback without a password.

    Raises:
        SettingsError: naming the settings.
    """
    if server.host not in LOOPBACK and not server.password:
        raise SettingsError(
            f"server.host = {server.host} would open the application to others",
            cause="no password is set",
            way_out="Set RAG_APP_SERVER__PASSWORD, or listen on 127.0.0.1",
        )


def create_app(service: Service, access: Access, server: Server) -> FastAPI:
    """The web application around a service; closing it closes the service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(title="rag-app", lifespan=lifespan, docs_url=None, redoc_url=None)
    if server.host in LOOPBACK:  # a web page elsewhere must not reach us by a name of its own
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    for kind in EXPECTED:
        app.add_exception_handler(kind, _explain)
    app.include_router(_probes(service))
    app.include_router(_api(service, access), prefix="/api")
    return app


async def _explain(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"message": str(error)}, status_code=400)


def _probes(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def ready() -> dict[str, Any]:
        return {"status": "ready", "collections": len(await service.collections())}

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(
            prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    return router


def _api(service: Service, access: Access) -> APIRouter:
    async def may_read(request: Request) -> None:
        if access.password and not access.knows(request):
            raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})

    async def may_write(request: Request) -> None:
        if not access.knows(request):
            raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})

    router = APIRouter(dependencies=[Depends(may_read)])
    owner = APIRouter(dependencies=[Depends(may_write)])
    place = "/collections/{name}"

    @router.get("/collections")
    async def collections() -> list[CollectionInfo]:
        return await service.collections()

    @router.get(place + "/documents")
    async def documents(name: str) -> list[DocumentInfo]:
        return await service.documents(name)

    @router.get(place + "/passages/{chunk_id}")
    async def passage(name: str, chunk_id: str) -> PassageContext:
        return await service.context(name, chunk_id)

    @router.post(place + "/search")
    async def search(name: str, body: SearchBody) -> Response:
        found = await service.search(name, body.question, body.options)
        return Response(wire.line(found), media_type=wire.MEDIA_TYPE)

    @router.post(place + "/ask")
    async def ask(name: str, body: AskBody) -> StreamingResponse:
        history = [ChatMessage(role=MessageRole(t.role), content=t.content) for t in body.history]
        return _streamed(service.ask(name, body.question, history, body.options))

    @owner.delete(place)
    async def drop(name: str) -> dict[str, bool]:
        await service.drop_collection(name)
        return {"deleted": True}

    @owner.delete(place + "/documents")
    async def delete(name: str, source: str) -> dict[str, bool]:
        return {"deleted": await service.delete_document(name, source)}

    @owner.post(place + "/ingest")
    async def ingest(name: str, body: IngestBody) -> StreamingResponse:
        return _streamed(_progressing(lambda tell: service.ingest(name, body.paths, tell)))

    @owner.post(place + "/rebuild")
    async def rebuild(name: str) -> StreamingResponse:
        return _streamed(_progressing(lambda tell: service.rebuild_collection(name, tell)))

    router.include_router(owner)
    return router


def _streamed(events: AsyncGenerator[Any, None]) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        try:
            async for event in events:
                yield wire.line(event)
        except EXPECTED as error:
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

    def tell(progress: Progress | None) -> None:
        loop.call_soon_threadsafe(news.put_nowait, progress)

    task = asyncio.ensure_future(work(tell))
    task.add_done_callback(lambda _: tell(None))
    while (progress := await news.get()) is not None:
        yield progress
    yield await task


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
