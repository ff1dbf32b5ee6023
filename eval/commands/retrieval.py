"""`rag-app eval retrieval` and `rag-app eval score`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands.running import DataDir, MaxErrors, Out, Printing, default_out, execute
from eval.datasets.catalogue import RETRIEVAL, listed
from rag_app.commands.common import Accept, AsJson, InCollection, accepted, until_done
from rag_app.errors import SettingsError
from rag_app.settings import Settings

GENERATED = "own"
"""The data set of questions that are generated of a collection."""


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command()(retrieval)
    group.command()(score)


def retrieval(  # noqa: PLR0913, PLR0917 - one parameter a flag
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(help=f"{listed(RETRIEVAL)}, or own: your own documents.")
    ],
    retrievers: Annotated[
        str, typer.Option(help="dense, bm25, hybrid, rank_bm25, with commas between them.")
    ] = "",
    encoders: Annotated[str, typer.Option(help="Rows of the encoder registry.")] = "",
    rewrite: Annotated[str, typer.Option(help="none, llm or both.")] = "",
    rerank: Annotated[str, typer.Option(help="none and names of rerankers.")] = "",
    systems: Annotated[
        str,
        typer.Option(
            help="RETRIEVER or RETRIEVER@ENCODER, behind it +rewrite and +RERANKER as wanted. "
            "Commas between systems."
        ),
    ] = "",
    queries: Annotated[
        str | None,
        typer.Option(help="Which queries of BRIGHT, such as gpt4_reason; a recipe names its own."),
    ] = None,
    lengths: Annotated[
        str, typer.Option(help="Further runs with queries of so many tokens, such as 64,256,1024.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Queries; all without it.")] = None,
    depth: Annotated[int, typer.Option(min=10, max=1000, help="Documents of a ranking.")] = 100,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Searches at a time; 1, or 8 with language models.")
    ] = None,
    max_errors: MaxErrors = 0.02,
    questions: Annotated[int, typer.Option(min=1, help="own: how many questions to make.")] = 100,
    fresh: Annotated[bool, typer.Option(help="own: make new questions.")] = False,
    collection: InCollection = None,
    data_dir: DataDir = None,
    out: Out = None,
    accept_license: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Compare how well systems find what the judges found relevant."""
    from eval.retrieval import beginning
    from eval.retrieval.plan import RetrievalPlan
    from rag_app.assembly import recipes
    from rag_app.systems.grammar import chosen

    settings: Settings = context.obj
    recipe = recipes.load(settings.recipe) if settings.recipe else None
    compared = chosen(settings, *map(_listed, (systems, retrievers, encoders, rewrite, rerank)))
    for system in compared:
        settings = accepted(settings, system.options.encoder, accept_license)
    plan = RetrievalPlan(
        dataset,
        tuple(compared),
        queries or (recipe.queries if recipe and _is_bright(dataset) else "original"),
        _numbers(lengths),
        depth,
        collection=collection or "",
        limit=limit,
        data_dir=str(data_dir.absolute()) if data_dir else "",
        concurrency=concurrency or beginning.default_concurrency(compared),
        max_errors=max_errors,
    )
    folder = out or default_out(settings, dataset)
    if dataset == GENERATED:
        directory = until_done(beginning.begin_generated(folder, plan, settings, questions, fresh))
    else:
        directory = beginning.begin(folder, plan, settings)
    execute(directory, settings, PRINTING, as_json)


def score(
    context: typer.Context,
    runs: Annotated[list[Path], typer.Argument(help="Files of runs: TREC's form or BRIGHT's.")],
    dataset: Annotated[str, typer.Option(help="What the runs are of, such as bright:biology.")],
    queries: Annotated[str, typer.Option(help="Which queries, such as gpt4_reason.")] = "original",
    limit: Annotated[int | None, typer.Option(min=1, help="Queries; all without it.")] = None,
    data_dir: DataDir = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score runs of other programs with the same metrics and tests."""
    from eval.retrieval import beginning
    from eval.retrieval.plan import RetrievalPlan

    settings: Settings = context.obj
    folder = str(data_dir.absolute()) if data_dir else ""
    plan = RetrievalPlan(dataset, (), queries, limit=limit, data_dir=folder)
    directory = beginning.begin_external(
        out or default_out(settings, f"score-{dataset}"), plan, settings, runs
    )
    execute(directory, settings, PRINTING, as_json)


def _lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    best_first = sorted(metrics["systems"].items(), key=lambda one: -one[1]["ndcg@10"])
    for name, values in best_first:
        shown = [f"{what} {values[what]:.4f}" for what in ("ndcg@10", "recall@100", "mrr@10")]
        if values["p50_ms"] is not None:
            shown.append(f"{values['p50_ms']:.1f} ms")
        shown += [f"{values[w]} {w}" for w in ("without_hits", "errors") if values[w]]
        yield f"{name}: {', '.join(shown)}"
    for one in metrics["published"]:
        note = f" ({one['note']})" if one["note"] else ""
        yield f"published for {one['system']}: {one['metric']} {one['value']:.4f}{note}"
    for found in metrics["comparisons"]:
        low, high = found["ci95"]
        yield (
            f"{found['a']} - {found['b']}: {found['delta']:+.4f} ({low:+.4f} to {high:+.4f}), "
            f"p = {found['p_holm']:.2g} after Holm"
        )
    for note in metrics["notes"]:
        yield note


PRINTING = Printing("systems", _lines)
"""How `execute` prints a run of this kind."""


def _is_bright(dataset: str) -> bool:
    """Whether a recipe's queries exist for it."""
    return dataset.startswith("bright:")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = sorted({int(part) for part in _listed(text)})
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise SettingsError(
            f"--lengths {text!r} is not valid", hint="Give numbers such as 64,128,256"
        )
    return tuple(numbers)
