"""`rag-app eval resume`: go on with a run of any kind."""

from pathlib import Path
from typing import Annotated

import typer

from eval.commands import answers, choice, retrieval
from eval.commands.running import execute
from rag_app.commands.common import AsJson

_PRINTING = {
    "answers": answers.PRINTING,
    "choice": choice.PRINTING,
    "retrieval": retrieval.PRINTING,
}


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(resume)


def resume(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(help="Folder of the run.")],
    as_json: AsJson = False,
) -> None:
    """Ask what a run has no answer to yet, errors included, and write its results anew."""
    from eval.runs.directory import RunDirectory

    run = RunDirectory.open(directory)
    execute(run, context.obj, _PRINTING.get(run.kind, choice.PRINTING), as_json)
