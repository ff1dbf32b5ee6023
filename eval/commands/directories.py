"""`rag-app eval resume`: go on with a run of any kind."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from eval.commands import choice, retrieval
from eval.commands.running import going_on, until_done
from eval.errors import EvalError
from rag_app.commands.common import AsJson


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(resume)


def resume(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(help="Folder of the run.")],
    as_json: AsJson = False,
) -> None:
    """Ask what a run has no answer to yet, errors included, and write its results anew."""
    from eval.running.directory import RunDirectory

    run = RunDirectory.open(directory)
    with going_on(run.path):
        if run.kind == "choice":
            from eval.choice import evaluation as answers

            until_done(answers.run(run, command=sys.argv, secrets=context.obj))
            choice.finished(run.path, run.read_json("metrics.json"), as_json)
        elif run.kind == "retrieval":
            from eval.retrieval import evaluation as searches

            metrics = until_done(searches.run(run, command=sys.argv, secrets=context.obj))
            retrieval.finished(run.path, metrics, as_json)
        else:
            raise EvalError(f"{directory} holds a run of kind {run.kind!r}, which is not known")
