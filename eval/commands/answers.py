"""`rag-app eval answers`: whether answers stand by their citations."""

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
from eval.datasets.catalogue import ANSWERS, listed
from rag_app.commands.common import AsJson, InCollection
from rag_app.settings import Settings


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(answers)


def answers(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help=f"{listed(ANSWERS)}: id, question, answerable.")],
    collection: InCollection = None,
    corpus: Corpus = None,
    limit: Limit = None,
    concurrency: AtOnce = None,
    max_errors: MaxErrors = 0.02,
    data_dir: DataDir = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Ask questions, look up every quotation of the answers, and count right abstentions."""
    from eval.answers import task
    from eval.answers.plan import AnswersPlan
    from eval.runs.lifecycle import default_concurrency

    settings: Settings = context.obj
    plan = AnswersPlan(
        dataset,
        collection=collection or settings.collection,
        corpus=str(corpus.absolute()) if corpus else "",
        limit=limit,
        data_dir=str(data_dir.absolute()) if data_dir else "",
        concurrency=concurrency or default_concurrency(settings),
        max_errors=max_errors,
    )
    execute(
        task.begin(out or default_out(settings, dataset), plan, settings),
        settings,
        PRINTING,
        as_json,
    )


def _lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name, system in metrics["systems"].items():
        yield f"{name}: {system['n']} answers, {system['truncated']} of them broken off"
        for metric, found in system.items():
            if isinstance(found, Mapping):
                low, high = found["ci95"]
                yield (
                    f"{metric.replace('_', ' ')}: {found['value']:.1%} ({low:.1%} to {high:.1%}) "
                    f"over {found['n']}"
                )


PRINTING = Printing("systems", _lines)
"""How `execute` prints a run of this kind."""
