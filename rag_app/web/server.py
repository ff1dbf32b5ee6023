"""The web server: the application's API, health and metrics. `ui` mounts its chat on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

import prometheus_client
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from data.errors import RagAppError
from rag_app.errors import SettingsError
from rag_app.probes.base import Check
from rag_app.probes.readiness import Readiness
from rag_app.service import Service
from rag_app.settings import Server
from rag_app.web.access import Access
from rag_app.web.api import api
from rag_app.web.gate import LOOPBACK, Gate, printable
from rag_app.web.openai_api import openai_api
from retrieval.index.errors import DiskFull

_SHORTEST: Final = 8
"""Characters of a password."""


def require_safe_host(server: Server) -> None:
    """Refuse to listen on other addresses than loopback without a password, and weak passwords.

    Raises:
        SettingsError: naming the settings.
    """
    if server.host not in LOOPBACK and not server.password:
        raise SettingsError(
            f"server.host = {server.host} would open the application to others",
            cause="no password is set",
            hint="Set RAG_APP_SERVER__PASSWORD, or listen on 127.0.0.1",
        )
    if server.password and len(server.password.get_secret_value()) < _SHORTEST:
        raise SettingsError(
            "server.password is too short",
            cause=f"it has fewer than {_SHORTEST} characters",
            hint="Set a longer RAG_APP_SERVER__PASSWORD",
        )


def create_app(
    service: Service, access: Access, server: Server, readiness: Readiness | None = None
) -> FastAPI:
    """The web application around a service; closing it closes the service.

    Args:
        service: answers.
        access: who may call what.
        server: where it listens.
        readiness: what `/readyz` goes by; None asks the service for its collections alone.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(title="rag-app", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Gate, access=access, server=server)
    app.add_exception_handler(RagAppError, _explain)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _correct)
    app.include_router(_probes(readiness or _listing(service), access))
    app.include_router(api(service, access), prefix="/api")
    app.mount("/v1", openai_api(service))
    return app


async def _explain(_: Request, error: Exception) -> JSONResponse:
    status = HTTPStatus.INSUFFICIENT_STORAGE if isinstance(error, DiskFull) else 400
    return JSONResponse({"message": printable(str(error))}, status_code=status)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    body = {"message": str(error.detail)}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _correct(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    problems = (
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
    )
    return JSONResponse({"message": printable("; ".join(problems))}, status_code=422)


def _listing(service: Service) -> Readiness:
    """Ready is, of a service that is known no better, what can list its collections."""

    async def run() -> str:
        return f"{len(await service.collections())} collections"

    return Readiness([Check("index", run)])


def _probes(readiness: Readiness, access: Access) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def ready(request: Request) -> JSONResponse:
        """Names of failing roles for everybody; what the probes say for those who may read."""
        report = await readiness.report()
        document: dict[str, Any] = {
            "status": "ready" if report.ready else "not ready",
            "failed": report.failed,
            "degraded": report.degraded,
        }
        if access.may_read(request):
            document["probes"] = [asdict(probe) for probe in report.probes]
        return JSONResponse(document, status_code=200 if report.ready else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(
            prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    return router
