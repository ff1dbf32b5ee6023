"""The commands `ui`, `serve` and `mcp`, added to `rag-app` through its entry points."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from rag_app.commands.common import READ_AGAIN, with_service
from rag_app.settings import Settings, override

Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(ui)
    app.command()(serve)
    app.command()(mcp)


def ui(
    context: typer.Context,
    host: Host = None,
    port: Port = None,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = True,
) -> None:
    """Open the chat; a first start ingests the sample documents."""
    from rag_app.collections.ownership import HeldByAnother
    from ui import serving

    try:
        serving.serve(*_settings(context, host, port), samples=True, browser=show)
    except HeldByAnother as held:
        if held.owner is None or not held.owner.address:
            raise
        sys.stderr.write(f"rag-app is running already at {held.owner.address}\n")
        if show:
            serving.open_page(held.owner.address)


def serve(context: typer.Context, host: Host = None, port: Port = None) -> None:
    """Serve the chat and the API."""
    from ui import serving

    serving.serve(*_settings(context, host, port))


def mcp(context: typer.Context) -> None:
    """Offer search, ask and read_document to an assistant over stdin and stdout (MCP)."""
    from rag_app.web.mcp.server import make_server

    settings: Settings = context.obj
    with_service(settings, lambda service: make_server(service, settings).run_stdio_async())


def _settings(
    context: typer.Context, host: str | None, port: int | None
) -> tuple[Settings, Callable[[], Settings]]:
    """The settings, and what reads them anew."""
    where = {"server": {"host": host, "port": port}}
    return override(context.obj, where), lambda: override(context.meta[READ_AGAIN](), where)
