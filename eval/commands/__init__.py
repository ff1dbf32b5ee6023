"""The commands `eval` and `adapt`, added to `rag-app` through its entry points."""

import typer

from eval.commands import adapt, answers, choice, reports, retrieval

_MODULES = (answers, choice, reports, retrieval)
"""Each adds its commands with `register(group)`."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Measure what retrieval finds and gains.")
    for module in _MODULES:
        module.register(group)
    app.add_typer(group, name="eval")
    app.command()(adapt.adapt)
