"""`rag-app eval resume`, `report`, `compare` and `gate`: what is done with folders of runs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands import answers, choice, retrieval
from eval.commands.running import execute
from rag_app.commands import output
from rag_app.commands.common import AsJson

_PRINTING = {
    "answers": answers.PRINTING,
    "choice": choice.PRINTING,
    "retrieval": retrieval.PRINTING,
}
_Run = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command()(resume)
    group.command()(report)
    group.command()(compare)
    group.command()(gate)


def resume(context: typer.Context, directory: _Run, as_json: AsJson = False) -> None:
    """Ask what a run has no answer to yet, errors included, and write its results anew."""
    from eval.runs.directory import RunDirectory

    run = RunDirectory.open(directory)
    execute(run, context.obj, _PRINTING.get(run.kind, choice.PRINTING), as_json)


def report(directory: _Run, as_json: AsJson = False) -> None:
    """Write report.html and report.md of a run anew, and print where."""
    from eval.report import PAGE, write
    from eval.runs.directory import RunDirectory

    run = RunDirectory.open(directory)
    write(run)
    metrics: dict[str, Any] = run.read_json("metrics.json")
    output.show(metrics, as_json, lambda _: typer.echo(run.path / PAGE))


def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run, called A.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of another, called B.")],
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file: .html a page, else Markdown.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs over the same data: settings, results, and whether they truly differ."""
    from eval.report import comparing, rendering, terminal
    from eval.runs.directory import RunDirectory

    found = comparing.compare(RunDirectory.open(first), RunDirectory.open(second))
    made = comparing.report(found)
    if out is not None:
        write = rendering.html if out.suffix.lower() in {".html", ".htm"} else rendering.markdown
        out.write_text(write(made), encoding="utf-8")
        typer.echo(f"written: {out}", err=True)
    output.show(found.as_dict(), as_json, lambda _: terminal.show(made))


def gate(
    baseline: Annotated[Path, typer.Argument(metavar="BASELINE_DIR", help="A run to hold to.")],
    new: Annotated[Path, typer.Argument(metavar="NEW_DIR", help="A new run over the same data.")],
    tolerance: Annotated[
        float, typer.Option(min=0, max=100, help="Points of 100 that may be lost.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Exit with 1 where a new run is worse than a baseline, beyond chance."""
    from eval.report.gate import gate as compared
    from eval.runs.directory import RunDirectory

    found = compared(RunDirectory.open(baseline), RunDirectory.open(new), tolerance)
    lines = "\n".join(map(output.harmless, found.lines()))
    output.show(found.as_dict(), as_json, lambda _: typer.echo(lines))
    if not found.passed:
        raise typer.Exit(1)
