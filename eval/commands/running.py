"""What commands that run an evaluation share: kinds of runs, running one, printing its end."""

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.registry import Row, registry
from eval.errors import EvalError
from rag_app.commands import output
from rag_app.commands.common import Interrupted, until_done
from rag_app.settings import Settings

if TYPE_CHECKING:
    from eval.runs.directory import RunDirectory

Lines = Callable[[Mapping[str, Any]], Iterable[str]]
DataDir = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="Folder of local data sets.")
]
Corpus = Annotated[Path | None, typer.Option(exists=True, help="File or folder to ingest first.")]
Limit = Annotated[int | None, typer.Option(min=1, help="That many questions.")]
AtOnce = Annotated[int | None, typer.Option(min=1, help="Questions under way at once.")]
MaxErrors = Annotated[float, typer.Option(min=0, max=1, help="Share of errors that stops the run.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the run; a new one under the storage.")]
TASKS = registry(
    Row("answers", "eval.answers.task:AnswersTask", "quotations and citations of free answers"),
    Row("choice", "eval.choice.task:ChoiceTask", "answers to multiple-choice questions"),
    Row("retrieval", "eval.retrieval.task:RetrievalTask", "rankings of a data set's queries"),
)
"""Kinds of runs, by the name that `run.json` keeps."""


@dataclass(frozen=True)
class Printing:
    """How a kind of run is printed.

    Attributes:
        group: what errors are counted by in metrics.json, ``arms`` or ``systems``.
    """

    group: str
    lines: Lines


def default_out(settings: Settings, dataset: str) -> Path:
    """A folder for a run of a data set, named after it and the present time."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", dataset).strip("-")
    now = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return settings.storage.path / "evaluations" / f"{name}-{now}"


def execute(
    directory: "RunDirectory", settings: Settings, printing: Printing, as_json: bool
) -> None:
    """Do what is left of a run, write its report, and print what it came to.

    Raises:
        EvalError: its kind is unknown, or it fails.
        typer.Exit: with 3, some samples failed.
    """
    from eval.report import write
    from eval.runs.lifecycle import run

    if directory.kind not in TASKS:
        raise EvalError(
            f"{directory.path} holds a run of kind {directory.kind!r}, which is not known"
        )
    with resumable(directory.path):
        task = TASKS[directory.kind].load()(directory, settings)
        result = until_done(run(directory, task, command=sys.argv))
        write(directory)
    _show(directory.path, result.metrics, printing, as_json)


@contextmanager
def resumable(run: Path) -> Iterator[None]:
    """Say on stderr where a run is kept, and how to resume it when it is interrupted."""
    sys.stderr.write(f"run: {run}\n")
    try:
        yield
    except Interrupted:
        sys.stderr.write(f"to go on: rag-app eval resume {shlex.quote(str(run))}\n")
        raise


def _show(path: Path, metrics: Mapping[str, Any], printing: Printing, as_json: bool) -> None:
    """Print what a run came to, how to resume where something failed, and where its report is.

    Raises:
        typer.Exit: with 3, something failed.
    """
    errors = sum(one["errors"] for one in metrics[printing.group].values())

    def show(document: Mapping[str, Any]) -> None:
        lines = [*printing.lines(document["metrics"])]
        if errors:
            lines.append(f"{errors} failed: `rag-app eval resume {path}`")
        for line in [*lines, f"report: {path / 'report.html'}"]:
            sys.stdout.write(output.harmless(line) + "\n")

    output.show({"directory": str(path), "errors": errors, "metrics": metrics}, as_json, show)
    if errors:
        raise typer.Exit(3)
