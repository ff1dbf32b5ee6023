"""`rag-app eval choice`: what retrieval gains over a closed book."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from eval.commands.running import (
    AtOnce,
    Corpus,
    DataDir,
    Limit,
    MaxErrors,
    Out,
    Printing,
    default_out,
    execute,
)
from eval.datasets.catalogue import CHOICE, listed
from rag_app.commands.common import Accept, AsJson, InCollection, accepted
from rag_app.settings import Settings


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(choice)


def choice(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help=f"{listed(CHOICE)}.")],
    arms: Annotated[
        str,
        typer.Option(help="closed_book, rag, rag:SYSTEM, random; #2 asks an arm a second time."),
    ] = "closed_book,rag",
    subjects: Annotated[str | None, typer.Option(help="Only these, with commas.")] = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(help="Of orders, of the limit, of random passages.")] = 0,
    repeats: Annotated[
        int, typer.Option(min=1, help="How often, the choices shifted each time.")
    ] = 1,
    passages: Annotated[
        int | None, typer.Option(min=1, max=100, help="Passages of each search.")
    ] = None,
    collection: InCollection = None,
    corpus: Corpus = None,
    data_dir: DataDir = None,
    concurrency: AtOnce = None,
    max_errors: MaxErrors = 0.02,
    cache: Annotated[
        bool, typer.Option(help="Take answers of earlier runs, and keep new ones.")
    ] = True,
    out: Out = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Ask multiple-choice questions with and without passages, and compare."""
    from eval.choice import task
    from eval.choice.arms import parse_all, retrieving
    from eval.choice.plan import ChoicePlan
    from eval.runs.lifecycle import default_concurrency

    settings: Settings = context.obj
    for arm in retrieving(parse_all(arms)):
        settings = accepted(settings, arm.options.encoder, accept_license)
    plan = ChoicePlan(
        dataset=dataset,
        arms=arms,
        subjects=tuple(filter(None, map(str.strip, (subjects or "").split(",")))),
        limit=limit,
        seed=seed,
        repeats=repeats,
        passages=passages,
        collection=collection or "",
        corpus=str(corpus.absolute()) if corpus else "",
        data_dir=str(data_dir.absolute()) if data_dir else "",
        concurrency=concurrency or default_concurrency(settings),
        max_errors=max_errors,
        cache=cache,
    )
    directory = task.begin(out or default_out(settings, dataset), plan, settings)
    execute(directory, settings, PRINTING, as_json)


def _lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name, arm in metrics["arms"].items():
        low, high = arm["ci95"]
        counts = [
            f"{arm[what]} {what}" for what in ("unparsed", "truncated", "errors") if arm[what]
        ]
        shown = [f"{name}: {arm['accuracy']:.1%} ({low:.1%} to {high:.1%}) of {arm['n']}", *counts]
        yield ", ".join(shown)
    for pair, delta in metrics["delta"].items():
        low, high = delta["ci95"]
        yield (
            f"{pair}: {delta['points']:+.1f} points ({low:+.1f} to {high:+.1f}), "
            f"p = {delta['mcnemar_p']:.2g}, detectable from {delta['mde']:.1f} points"
        )


PRINTING = Printing("arms", _lines)
"""How `execute` prints a run of this kind."""
