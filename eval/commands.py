"""The command `eval`, added to `rag-app` through its entry points."""

import typer

_eval = typer.Typer(no_args_is_help=True, help="Measure what retrieval finds and what it gains.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_eval, name="eval")
