"""A retrieval run: search every query with every system, or read what others found; then score."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eval.datasets import catalogue
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.own import dataset as own
from eval.own.questions import read as read_questions
from eval.retrieval import foreign, scoring
from eval.retrieval.plan import RetrievalPlan, limited
from eval.retrieval.ranking import Named, by_passage
from eval.retrieval.searching import OpenService, Searching
from eval.running.directory import RunDirectory
from eval.running.progress import Progress
from rag_app.assembly import application as assembly
from rag_app.ingestion.engine import OnProgress
from rag_app.settings import Settings

OWN_QUESTIONS = "own.jsonl"
"""The questions with their gold passages, in a run's folder."""


async def run(
    directory: RunDirectory,
    *,
    command: Sequence[str] = (),
    opened: OpenService | None = None,
    on_ingest: OnProgress | None = None,
    secrets: Settings | None = None,
) -> dict[str, Any]:
    """Do what has not been done yet, then write all that is made of the samples.

    Args:
        directory: the run; its plan says what to do.
        command: the command line, for `env.json`.
        opened: opens the application; None is `rag_app.assembly.application.open_service`.
        on_ingest: is told how far the taking in of documents is.
        secrets: where keys come from, see `RunDirectory.settings`.

    Returns:
        What metrics.json holds.

    Raises:
        EvalError: the data set has changed, too many searches fail, or a system finds nothing.
    """
    plan, settings = RetrievalPlan.of(directory.plan), directory.settings(secrets)
    dataset, named = _load(directory, plan, settings)
    asked = limited(dataset, plan.limit)
    with directory.held():
        async with _progress(directory, len(asked.queries) * len(plan.names)) as progress:
            with directory.log:
                if plan.runs is None:
                    searching = Searching(plan, settings, asked, named)
                    opener = opened or assembly.open_service
                    await searching.run(directory, progress, opener, command, on_ingest)
                else:
                    done = directory.log.finished()
                    for record in foreign.records(plan.runs, asked, plan.depth):
                        if record["key"] not in done:
                            directory.log.append(record)
                            progress.saw(record)
            return scoring.finish(directory, plan, dataset)


def find(plan: RetrievalPlan, settings: Settings) -> RetrievalDataset:
    """The data set that a plan names, with all its queries. Raises DatasetError."""
    folder = Path(plan.data_dir) if plan.data_dir else None
    cache = settings.storage.path / "evaluations" / "datasets"
    return catalogue.retrieval(plan.dataset, folder, cache, queries=plan.queries)


def _load(
    directory: RunDirectory, plan: RetrievalPlan, settings: Settings
) -> tuple[RetrievalDataset, Named]:
    """The data set of a run, and what its hits count as."""
    if plan.dataset.startswith(own.PREFIX):
        questions = read_questions(directory.path / OWN_QUESTIONS)
        dataset = own.dataset(plan.dataset.removeprefix(own.PREFIX), questions)
        named = own.document_of(questions)
    else:
        dataset = find(plan, settings)
        named = by_passage(dataset.parents)
    if dataset.revision != directory.dataset["revision"]:
        raise EvalError(
            f"data set {plan.dataset} has changed since the run in {directory.path} began",
            hint="Begin a new run with another --out",
        )
    return dataset, named


def _progress(directory: RunDirectory, total: int) -> Progress:
    keep = partial(directory.write_json, "progress.json")
    progress = Progress(keep, total, lambda record: str(record["system"]))
    for record in directory.log.read():
        if record["state"] != "error":
            progress.had(record)
    return progress
