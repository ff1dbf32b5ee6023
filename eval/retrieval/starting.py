"""How a retrieval run begins: its data set, its plan, its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.datasets.retrieval import RetrievalDataset
from eval.own import dataset as own_dataset
from eval.own.building import build
from eval.own.questions import OwnQuestion, questions_path, read, write
from eval.retrieval.evaluation import OWN_QUESTIONS, find
from eval.retrieval.foreign import named
from eval.retrieval.plan import RetrievalPlan, collection_name, with_task
from eval.retrieval.searching import OpenService, require_documents
from eval.running.directory import RunDirectory
from eval.systems import System
from rag_app.assembly.application import open_service
from rag_app.service import DEFAULT_OPTIONS
from rag_app.settings import Settings

_WITH_LLM = 8
"""Searches at a time, where language models take part: they wait for a server, mostly."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asks for, whatever the data set; see `eval.retrieval.plan.RetrievalPlan`."""

    systems: tuple[System, ...] = ()
    queries: str = "original"
    lengths: tuple[int, ...] = ()
    limit: int | None = None
    depth: int = 100
    concurrency: int | None = None
    max_errors: float = 0.02
    data_dir: Path | None = None
    collection: str | None = None

    def plan(self, dataset: str, collection: str = "") -> RetrievalPlan:
        """The plan for a data set."""
        usual = _WITH_LLM if any(_uses_llm(system) for system in self.systems) else 1
        return RetrievalPlan(
            dataset=dataset,
            systems=self.systems,
            collection=collection,
            queries=self.queries,
            lengths=self.lengths,
            limit=self.limit,
            depth=self.depth,
            data_dir=str(self.data_dir.absolute()) if self.data_dir else "",
            concurrency=self.concurrency or usual,
            max_errors=self.max_errors,
        )


def public(folder: Path, settings: Settings, order: Order, name: str) -> RunDirectory:
    """Begin a run over a data set that comes with its documents.

    Raises:
        DatasetError: it cannot be had.
        EvalError: its documents are not at hand, or the folder holds a run.
    """
    plan = order.plan(name, order.collection or collection_name(name))
    dataset = find(plan, settings)
    require_documents(dataset)
    told = with_task(settings, dataset.task, order.systems)
    plan = replace(plan, own_settings=_matters(settings, told, order.systems))
    return _begin(folder, plan, dataset, told)


async def own(
    folder: Path,
    settings: Settings,
    order: Order,
    count: int,
    fresh: bool = False,
    opened: OpenService = open_service,
) -> RunDirectory:
    """Begin a run over questions about a collection of one's own.

    The questions that are kept for it are asked again, so that results can be compared; without
    any, or with `fresh`, new ones are made.

    Args:
        folder: of the run.
        settings: those in force.
        order: what is asked for.
        count: most questions.
        fresh: whether to make new questions.
        opened: opens the application.

    Raises:
        EvalError: no questions can be made, those kept have lost their passages, or the folder
            holds a run.
    """
    collection = order.collection or settings.collection
    questions, notes = await _questions(settings, order, collection, count, fresh, opened)
    dataset = own_dataset.dataset(collection, questions)
    plan = replace(order.plan(dataset.name, collection), notes=tuple(notes))
    directory = _begin(folder, plan, dataset, settings)
    write(directory.path / OWN_QUESTIONS, questions)
    return directory


def foreign(
    folder: Path, settings: Settings, order: Order, name: str, files: Sequence[Path]
) -> RunDirectory:
    """Begin a run whose rankings are in files.

    Raises:
        EvalError: a file cannot be read, two have one name, or the folder holds a run.
        DatasetError: the data set cannot be had.
    """
    runs = {system: str(file) for system, file in named(files).items()}
    systems = tuple(System(system, DEFAULT_OPTIONS) for system in runs)
    plan = replace(order.plan(name), systems=systems, runs=runs)
    return _begin(folder, plan, find(plan, settings), settings)


def _begin(
    folder: Path, plan: RetrievalPlan, dataset: RetrievalDataset, settings: Settings
) -> RunDirectory:
    about = {"name": dataset.name, "revision": dataset.revision, "private": False}
    return RunDirectory.create(folder, "retrieval", plan.as_dict(), about, settings)


def _matters(given: Settings, told: Settings, systems: Sequence[System]) -> bool:
    """Whether a system would do something else with what was added to the settings."""
    reranks = any(system.options.rerank not in (None, "none") for system in systems)
    encodes = any(system.reads_query for system in systems)
    return (encodes and (told.encoder, told.encoders) != (given.encoder, given.encoders)) or (
        reranks and told.rerank != given.rerank
    )


def _uses_llm(system: System) -> bool:
    return system.options.rewrite == "llm" or system.options.rerank not in (None, "none")


async def _questions(
    settings: Settings,
    order: Order,
    collection: str,
    count: int,
    fresh: bool,
    opened: OpenService,
) -> tuple[list[OwnQuestion], list[str]]:
    """The questions that are asked, and what is to be known of them."""
    path = questions_path(settings.storage.path, collection)
    encoder = order.systems[0].options.encoder
    service = opened(settings)
    try:
        if path.exists() and not fresh:
            kept = read(path)[:count]
            questions = await own_dataset.still_there(service, collection, kept, encoder)
            told = _lost(len(kept) - len(questions))
        else:
            built = await build(service, settings, collection, count, encoder)
            questions = built.questions
            write(path, questions)
            told = _outcomes(built.outcomes)
    finally:
        await service.close()
    return questions, [*own_dataset.notes(questions), *told]


def _lost(number: int) -> list[str]:
    return [f"{number} kept questions are left out: their passages are gone."] if number else []


def _outcomes(outcomes: Mapping[str, int]) -> list[str]:
    others = ", ".join(f"{what} {n}" for what, n in outcomes.items() if what != "asked")
    return [f"Passages that yielded no question: {others}."] if others else []
