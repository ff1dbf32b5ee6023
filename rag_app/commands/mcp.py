"""`mcp`: the tools for an assistant that starts this command."""

import typer

from rag_app.commands.common import with_service
from rag_app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(mcp)


def mcp(context: typer.Context) -> None:
    """Offer search, ask and read_document to an assistant over stdin and stdout (MCP)."""
    from rag_app.mcp.server import make_server

    settings: Settings = context.obj
    with_service(settings, lambda service: make_server(service, settings).run_stdio_async())
