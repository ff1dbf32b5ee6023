"""The web server: the application's API, health and metrics. `ui` mounts its chat on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Literal

import prometheus_client
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Route

from data.errors import RagAppError
from rag_app.accounts.guarded import guard
from rag_app.accounts.users import SHORTEST
from rag_app.errors import SettingsError
from rag_app.probes.base import Check, Probe
from rag_app.probes.readiness import Readiness
from rag_app.service import Service
from rag_app.settings import Server
from rag_app.telemetry.spans import TELEMETRY
from rag_app.web.access import Access
from rag_app.web.api import api
from rag_app.web.documentation import add_documentation
from rag_app.web.errors import ERRORS, correct, explain, refuse
from rag_app.web.gate import HEALTH, LOOPBACK, Gate
from rag_app.web.mcp.server import PATH, ToolsOverHttp
from rag_app.web.openai_api import openai_api


def require_safe_host(server: Server, users: bool = False) -> None:
    """Refuse to listen on other addresses than loopback where nobody has to log in, and weak
    passwords.

    Args:
        server: where to listen, and its password.
        users: whether there are users.

    Raises:
        SettingsError: naming the settings.
    """
    if server.host not in LOOPBACK and not (server.password or users):
        raise SettingsError(
            f"server.host = {server.host} would open the application to others",
            cause="there are no users, and no password is set",
            hint="`rag-app users add NAME --role admin` makes an admin who logs in; or set"
            " RAG_APP_SERVER__PASSWORD, or listen on 127.0.0.1",
        )
    if server.password and len(server.password.get_secret_value()) < SHORTEST:
        raise SettingsError(
            "server.password is too short",
            cause=f"it has fewer than {SHORTEST} characters",
            hint="Set a longer RAG_APP_SERVER__PASSWORD",
        )


def create_app(
    service: Service,
    access: Access,
    server: Server,
    readiness: Readiness | None = None,
    tools: ToolsOverHttp | None = None,
    counted: prometheus_client.CollectorRegistry | None = None,
) -> FastAPI:
    """The web application around a service; closing it closes the service.

    Args:
        service: answers.
        access: who may call what.
        server: where it listens.
        readiness: what `/readyz` goes by; None asks the service for its collections alone.
        tools: for assistants, if any.
        counted: what `/metrics` tells, besides what it knows of the process.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        try:
            if tools:
                await tools.close()
        finally:
            await service.close()

    app = FastAPI(
        title="rag-app",
        version=version("rag-app"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=ERRORS,
        telemetry=TELEMETRY,
    )
    app.add_middleware(Gate, access=access, server=server)
    app.add_exception_handler(RagAppError, explain)
    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(RequestValidationError, correct)
    app.include_router(_probes(readiness or _listing(service), access, counted))
    guarded = guard(service, access.users)
    app.include_router(api(guarded, access), prefix="/api", tags=["documents and questions"])
    openai = openai_api(guarded)
    app.mount("/v1", openai)
    add_documentation(app, openai, "/v1")
    if tools:
        app.router.routes.append(Route(PATH, tools))
    return app


def _listing(service: Service) -> Readiness:
    """Ready is, of a service that is known no better, what can list its collections."""

    async def run() -> str:
        return f"{len(await service.collections())} collections"

    return Readiness([Check("index", run)])


class _Ready(BaseModel):
    status: Literal["ready", "not ready"]
    failed: list[str]
    degraded: list[str]
    probes: list[Probe] = []


def _probes(
    readiness: Readiness, access: Access, counted: prometheus_client.CollectorRegistry | None
) -> APIRouter:
    router = APIRouter(tags=["probes"])

    @router.get(HEALTH, summary="Whether the process lives.")
    async def alive() -> dict[str, str]:
        """For everybody."""
        return {"status": "alive"}

    described = {"model": _Ready, "description": "What is not ready, if anything."}

    @router.get(
        "/readyz",
        summary="Whether questions can be answered.",
        responses={200: described, 503: described},
    )
    async def ready(request: Request) -> JSONResponse:
        """Names of failing roles for everybody; what the probes say for those who see everything.

        They name collections, addresses and folders.
        """
        report = await readiness.report()
        document: dict[str, Any] = {
            "status": "ready" if report.ready else "not ready",
            "failed": report.failed,
            "degraded": report.degraded,
        }
        if access.sees_all(request):
            document["probes"] = [asdict(probe) for probe in report.probes]
        return JSONResponse(document, status_code=200 if report.ready else 503)

    text = {"description": "Lines.", "content": {"text/plain": {"schema": {"type": "string"}}}}

    @router.get(
        "/metrics",
        summary="Counters, for Prometheus.",
        response_class=Response,  # of no type: errors are JSON
        responses={200: text},
    )
    async def metrics() -> Response:
        """In Prometheus's text format."""
        registries = [prometheus_client.REGISTRY, *([counted] if counted else [])]
        return Response(
            b"".join(map(prometheus_client.generate_latest, registries)),
            media_type=prometheus_client.CONTENT_TYPE_LATEST,
        )

    return router
