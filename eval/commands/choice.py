"""`rag-app eval choice` and `rag-app eval resume`."""

import typer


def register(group: typer.Typer) -> None:
    """Add the commands."""
