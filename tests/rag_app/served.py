"""The application behind a real uvicorn on a free loopback port."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn

from rag_app.probes.readiness import Readiness
from rag_app.remote.service import RemoteService
from rag_app.service import Service
from rag_app.settings import Server
from rag_app.web.access import Access
from rag_app.web.mcp.server import ToolsOverHttp
from rag_app.web.protocol import SteadyProtocol
from rag_app.web.server import create_app

TOKEN = "the-token"


@dataclass
class Served:
    """Where a served application listens."""

    address: str
    remotes: list[RemoteService] = field(default_factory=list)

    def remote(self, token: str = TOKEN) -> RemoteService:
        """Somebody who calls it; closed at the end."""
        self.remotes.append(RemoteService(self.address, token))
        return self.remotes[-1]


def listening() -> socket.socket:
    """A socket on a free port."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # or asyncio leaves Nagle on
    listener.bind(("127.0.0.1", 0))
    return listener


def address_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def serving(
    service: Service,
    access: Access | None = None,
    server: Server | None = None,
    listener: socket.socket | None = None,
    readiness: Readiness | None = None,
    protocol: type[SteadyProtocol] = SteadyProtocol,
    tools: ToolsOverHttp | None = None,
) -> AsyncIterator[Served]:
    """Serve until the context ends, which closes the service."""
    listener = listener or listening()
    app = create_app(service, access or Access(TOKEN), server or Server(), readiness, tools)
    config = uvicorn.Config(
        app, http=protocol, log_level="critical", ws="none", timeout_graceful_shutdown=1
    )
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve(sockets=[listener]))
    while not running.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    served = Served(address_of(listener))
    try:
        yield served
    finally:
        for remote in served.remotes:
            await remote.close()
        running.should_exit = True
        await task
        listener.close()
