"""What commands that run an evaluation share."""

import asyncio
import shlex
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import typer

from rag_app.commands import output
from rag_app.commands.common import Interrupted

T = TypeVar("T")


@contextmanager
def going_on(run: Path) -> Iterator[None]:
    """Say on stderr where a run is kept, and how to go on with it when it is interrupted."""
    sys.stderr.write(f"run: {run}\n")
    try:
        yield
    except Interrupted:
        sys.stderr.write(f"to go on: rag-app eval resume {shlex.quote(str(run))}\n")
        raise


def until_done(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C is `Interrupted`, a name that typer lets through."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise Interrupted from None


def finished(
    path: Path,
    metrics: Mapping[str, Any],
    group: str,
    lines: Callable[[Mapping[str, Any]], Iterable[str]],
    as_json: bool,
) -> None:
    """Print what a run came to, how to go on where something failed, and where its report is.

    Args:
        path: of the run.
        metrics: its metrics.json.
        group: what errors are counted by, ``arms`` or ``systems``.
        lines: makes the metrics' lines for a person.
        as_json: whether to print one JSON document instead.

    Raises:
        typer.Exit: with 3, something failed.
    """
    errors = sum(one["errors"] for one in metrics[group].values())

    def show(document: Mapping[str, Any]) -> None:
        told = [*lines(document["metrics"])]
        if errors:
            told.append(f"{errors} failed: `rag-app eval resume {path}`")
        for line in [*told, f"report: {path / 'report.html'}"]:
            sys.stdout.write(output.harmless(line) + "\n")

    output.show({"directory": str(path), "errors": errors, "metrics": metrics}, as_json, show)
    if errors:
        raise typer.Exit(3)
