"""How a retrieval run begins: its data set, its plan, its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from eval.datasets import catalogue
from eval.datasets.generated import dataset as generated
from eval.datasets.generated.building import build
from eval.datasets.generated.questions import GeneratedQuestion, questions_path, read, write
from eval.datasets.retrieval import RetrievalDataset
from eval.retrieval.external import name_files
from eval.retrieval.plan import RetrievalPlan, collection_of, with_task
from eval.runs import lifecycle
from eval.runs.directory import RunDirectory
from eval.runs.lifecycle import OpenService
from rag_app.assembly.opening import open_service
from rag_app.service import DEFAULT_OPTIONS, Service
from rag_app.settings import Settings
from rag_app.systems.grammar import System

KIND = "retrieval"
QUESTIONS = "own.jsonl"
"""The generated questions with their gold passages, in a run's folder."""
_CONCURRENT_WITH_LLM = 8
"""Searches at a time, where language models take part: they wait for a server, mostly."""


def default_concurrency(systems: Sequence[System]) -> int:
    """Searches at a time where nothing is said."""
    return _CONCURRENT_WITH_LLM if any(map(_uses_llm, systems)) else 1


def load(plan: RetrievalPlan, settings: Settings) -> RetrievalDataset:
    """The data set that a plan names, with all its queries. Raises DatasetError."""
    folder = Path(plan.data_dir) if plan.data_dir else None
    cache = settings.storage.path / "evaluations" / "datasets"
    return catalogue.retrieval(plan.dataset, folder, cache, queries=plan.queries)


def begin(folder: Path, plan: RetrievalPlan, settings: Settings) -> RunDirectory:
    """Begin a run over a data set that comes with its documents.

    Raises:
        DatasetError: it cannot be loaded.
        EvalError: its documents are not at hand, or the folder holds a run.
    """
    dataset = load(plan, settings)
    dataset.require_corpus()
    with_instructions = with_task(settings, dataset.task, plan.systems)
    plan = replace(
        plan,
        collection=plan.collection or collection_of(plan.dataset),
        needs_settings=_matters(settings, with_instructions, plan.systems),
    )
    return lifecycle.begin(folder, KIND, plan, dataset, with_instructions)


async def begin_generated(
    folder: Path,
    plan: RetrievalPlan,
    settings: Settings,
    count: int,
    fresh: bool = False,
    opened: OpenService = open_service,
) -> RunDirectory:
    """Begin a run over questions that are generated of a collection.

    The questions that are kept for it are asked again, so that results can be compared; without
    any, or with `fresh`, new ones are made.

    Args:
        plan: what is asked for; its data set is the collection.

    Raises:
        EvalError: no questions can be made, those kept have lost their passages, or the folder
            holds a run.
    """
    collection = plan.collection or settings.collection
    service = opened(settings)
    try:
        questions, notes = await _questions(service, settings, plan, collection, count, fresh)
    finally:
        await service.close()
    dataset = generated.dataset(collection, questions)
    notes = [*generated.notes(questions), *notes]
    plan = replace(plan, dataset=dataset.name, collection=collection, notes=tuple(notes))
    directory = lifecycle.begin(folder, KIND, plan, dataset, settings)
    write(directory.path / QUESTIONS, questions)
    return directory


def begin_external(
    folder: Path, plan: RetrievalPlan, settings: Settings, files: Sequence[Path]
) -> RunDirectory:
    """Begin a run whose rankings are in files of other programs.

    Raises:
        EvalError: a file cannot be read, two have one name, or the folder holds a run.
        DatasetError: the data set cannot be loaded.
    """
    runs = {system: str(file) for system, file in name_files(files).items()}
    systems = tuple(System(system, DEFAULT_OPTIONS) for system in runs)
    plan = replace(plan, systems=systems, runs=runs)
    return lifecycle.begin(folder, KIND, plan, load(plan, settings), settings)


def _matters(given: Settings, changed: Settings, systems: Sequence[System]) -> bool:
    """Whether a system would do something else with what was added to the settings."""
    encodes = any(system.reads_query for system in systems)
    return (encodes and (changed.encoder, changed.encoders) != (given.encoder, given.encoders)) or (
        any(map(_reranks, systems)) and changed.rerank != given.rerank
    )


def _reranks(system: System) -> bool:
    return system.options.rerank not in (None, "none")


def _uses_llm(system: System) -> bool:
    return system.options.rewrite == "llm" or _reranks(system)


async def _questions(
    service: Service,
    settings: Settings,
    plan: RetrievalPlan,
    collection: str,
    count: int,
    fresh: bool,
) -> tuple[list[GeneratedQuestion], list[str]]:
    """The questions that are asked, and what is to be known of how they were had."""
    path = questions_path(settings.storage.path, collection)
    encoder = plan.systems[0].options.encoder
    if path.exists() and not fresh:
        kept = read(path)[:count]
        questions = await generated.still_there(service, collection, kept, encoder)
        lost = len(kept) - len(questions)
        note = f"{lost} kept questions are left out: their passages are gone."
        return questions, _note(lost, note)
    built = await build(service, settings, collection, count, encoder)
    write(path, built.questions)
    others = _listed(built.outcomes)
    return built.questions, _note(others, f"Passages that yielded no question: {others}.")


def _note(when: object, note: str) -> list[str]:
    return [note] if when else []


def _listed(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {n}" for what, n in outcomes.items() if what != "asked")
