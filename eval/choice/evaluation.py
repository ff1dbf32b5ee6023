"""A multiple-choice run: take the passages in, ask every question in every arm, sum up."""

import asyncio
import logging
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from eval.choice import library, records
from eval.choice.arms import Arm, explicit, parse_all, retrieving
from eval.choice.asking import Asker, identity_of
from eval.choice.finding import Finder
from eval.choice.plan import ChoicePlan, select
from eval.choice.random_passages import PassagePool
from eval.choice.sample import ChoiceSample
from eval.choice.summary import summarise, timings
from eval.datasets import catalogue
from eval.datasets.choice import ChoiceDataset, Question
from eval.errors import EvalError
from eval.report import write as write_reports
from eval.running.cache import ResponseCache
from eval.running.directory import RunDirectory
from eval.running.environment import environment
from eval.running.progress import Progress
from eval.running.runner import Job, Outcome, run_all
from rag_app.assembly.application import chooser as make_chooser
from rag_app.assembly.application import open_service
from rag_app.cost import shapes
from rag_app.cost.flops import Model
from rag_app.ingestion.engine import OnProgress
from rag_app.results import IndexInfo
from rag_app.service import Service
from rag_app.settings import Settings, override

_WITHOUT_LLM = 2
"""Questions under way at once where no server answers them: the processors are the limit."""


def begin(path: Path, plan: ChoicePlan, settings: Settings) -> RunDirectory:
    """Begin a run, once it is certain that its data set and arms exist.

    Raises:
        EvalError: an arm is unknown, no question is left, or the folder holds a run already.
        DatasetError: the data set is missing, or is not what it should be.
    """
    parse_all(plan.arms)
    dataset = load(plan, settings)
    select(dataset.questions, plan.limit, plan.seed)
    about = {"name": dataset.name, "revision": dataset.revision, "private": dataset.private}
    return RunDirectory.create(path, "choice", plan.as_dict(), about, settings)


def usual_concurrency(settings: Settings) -> int:
    """Questions under way at once where nothing is said."""
    return settings.llm.concurrency if settings.reader.kind == "llm" else _WITHOUT_LLM


def load(plan: ChoicePlan, settings: Settings) -> ChoiceDataset:
    """The data set that a plan names. Raises DatasetError."""
    folder = Path(plan.data_dir) if plan.data_dir else None
    cache = settings.storage.path / "evaluations" / "datasets"
    return catalogue.choice(plan.dataset, folder, cache, subjects=plan.subjects)


async def run(
    directory: RunDirectory,
    *,
    command: Sequence[str] = (),
    opened: Callable[[Settings], Service] = open_service,
    secrets: Settings | None = None,
    tell: Callable[[str], None] | None = None,
    report: Callable[[RunDirectory], None] = write_reports,
) -> Outcome:
    """Ask what has not been answered yet, then write metrics, timings and reports.

    Args:
        directory: the run; its plan says what to do.
        command: the command line, for `env.json`.
        opened: opens the application.
        secrets: where keys come from, see `RunDirectory.settings`.
        tell: takes lines about progress; None means stderr.
        report: writes the reports.

    Raises:
        EvalError: the data set or the collection has changed since the run began, there is nothing
            to search, or too many questions failed.
        RagAppError: the application cannot be opened.
    """
    plan, settings = ChoicePlan.of(directory.plan), directory.settings(secrets)
    dataset = load(plan, settings)
    if dataset.revision != directory.dataset["revision"]:
        raise EvalError(
            f"data set {plan.dataset} has changed since the run in {directory.path} began",
            hint="Begin a new run with another --out",
        )
    arms = [explicit(arm, settings) for arm in parse_all(plan.arms)]
    work = _Work(plan, settings, dataset, arms)
    progress = Progress(
        partial(directory.write_json, "progress.json"),
        work.total,
        lambda record: str(record["arm"]),
        records.right,
        tell,
    )
    with directory.held(), _discreet_logs(dataset.private), directory.log:
        done = _done(directory, progress)
        async with progress, AsyncExitStack() as stack:
            if not dataset.private:
                _keep_questions(directory, work.questions)
            parts = await work.open(stack, opened, progress.takes_in)
            progress.message = ""
            await _keep_environment(directory, settings, command, parts.indexes)
            outcome = await run_all(
                work.jobs(parts.asker),
                directory.log,
                done=done,
                concurrency=plan.concurrency,
                progress=progress,
                max_errors=plan.max_errors,
            )
            directory.log.close()
            finish(directory, report)
    return outcome


def finish(directory: RunDirectory, report: Callable[[RunDirectory], None] = write_reports) -> None:
    """Write what is made of the samples; `report` is as for `run`."""
    plan, dataset = ChoicePlan.of(directory.plan), directory.dataset
    metrics = summarise(
        _samples(directory), dataset=dataset["name"], revision=dataset["revision"], seed=plan.seed
    )
    directory.write_json("timings.json", timings(_samples(directory)))
    directory.write_json("metrics.json", metrics)
    report(directory)


def _samples(directory: RunDirectory) -> Iterator[ChoiceSample]:
    return map(records.sample_of, directory.log.read())


def _done(directory: RunDirectory, progress: Progress) -> set[str]:
    done = set()
    for record in directory.log.read():
        if record["state"] != "error":
            done.add(str(record["key"]))
            progress.had(record)
    return done


def _keep_questions(directory: RunDirectory, questions: Sequence[Question]) -> None:
    """For reports, which show the questions whose answers changed."""
    directory.write_json(
        "questions.json",
        {q.id: {"question": q.question, "choices": list(q.choices)} for q in questions},
    )


async def _keep_environment(
    directory: RunDirectory,
    settings: Settings,
    command: Sequence[str],
    indexes: Mapping[str, Sequence[IndexInfo]],
) -> None:
    """Write env.json; what is different when a run is resumed is noted below what was.

    Raises:
        EvalError: a collection has changed since the run began.
    """
    now = await environment(settings, command, indexes)
    if not (directory.path / "env.json").exists():
        directory.write_json("env.json", now)
        return
    before = directory.read_json("env.json")
    library.require_unchanged(before["indexes"], now["indexes"])
    resumed = before.get("resumed", [])
    last = dict(ChainMap(*reversed(resumed), before))
    changes = {name: value for name, value in now.items() if last.get(name) != value}
    if changes:
        directory.write_json("env.json", {**before, "resumed": [*resumed, changes]})


@contextmanager
def _discreet_logs(private: bool) -> Iterator[None]:
    """Keep libraries from logging what they send, at the level of debugging."""
    before = logging.root.manager.disable
    if private:
        logging.disable(max(before, logging.DEBUG))
    try:
        yield
    finally:
        logging.disable(before)


WITHOUT_LLM = 10
"""Passages of each search where no language model reads; what its weights were fitted with."""


@dataclass(frozen=True)
class _Parts:
    asker: Asker
    indexes: Mapping[str, Sequence[IndexInfo]]


class _Work:
    """Everything that a plan means."""

    def __init__(
        self, plan: ChoicePlan, settings: Settings, dataset: ChoiceDataset, arms: Sequence[Arm]
    ) -> None:
        self.questions = select(dataset.questions, plan.limit, plan.seed)
        self.total = len(self.questions) * plan.repeats * len(arms)
        self._plan, self._settings, self._dataset = plan, settings, dataset
        self._arms = arms

    def jobs(self, asker: Asker) -> Iterator[Job]:
        """All arms of a question one after the other, so that they share its searches."""
        for question in self.questions:
            for repeat in range(self._plan.repeats):
                for arm in self._arms:
                    yield Job(
                        records.key(arm.name, question.id, repeat),
                        partial(asker.ask, question, arm, repeat),
                        asker.about(question, arm, repeat),
                    )

    async def open(
        self,
        stack: AsyncExitStack,
        opened: Callable[[Settings], Service],
        on_ingest: OnProgress,
    ) -> _Parts:
        """What asks the questions; the stack closes it."""
        plan, settings = self._plan, self._settings
        finder: Finder | None = None
        pool: PassagePool | None = None
        indexes: dict[str, Sequence[IndexInfo]] = {}
        texts: list[str] = []
        asks = settings.reader.kind == "llm"
        searching = retrieving(self._arms)
        if searching:
            service = opened(settings)
            stack.push_async_callback(service.close)
            shelf = await library.take_in(
                service, plan, settings, self._dataset.corpus, searching, on_ingest
            )
            indexes = {shelf.collection: shelf.indexes}
            finder = Finder(
                service,
                shelf.collection,
                plan.passages or (settings.reader.passages if asks else WITHOUT_LLM),
                settings.retrieval.top_k,
                remembered=4 * plan.concurrency * len(searching),
            )
            stack.push_async_callback(finder.close)
            measured = next((arm for arm in searching if arm.kind == "random"), None)
            if measured:
                pool = await PassagePool.of(service, shelf.collection, measured.options.encoder)
            if not asks:
                texts = await _texts(service, shelf.collection, searching[0].options.encoder)
        connections = await stack.enter_async_context(_connections())
        together = max(plan.concurrency, settings.llm.concurrency)
        asking = override(settings, {"llm": {"concurrency": together}})
        chooser = await asyncio.to_thread(make_chooser, asking, connections, texts)
        asker = Asker(
            chooser=chooser,
            seed=plan.seed,
            private=self._dataset.private,
            identity=identity_of(chooser, settings.llm.api_base if asks else ""),
            model=_model(settings) if asks else None,
            finder=finder,
            pool=pool,
            cache=stack.enter_context(ResponseCache(_cache_of(settings))) if plan.cache else None,
        )
        return _Parts(asker, indexes)


async def _texts(service: Service, collection: str, encoder: str | None) -> list[str]:
    """All passages of a collection with their headings."""
    batches = service.passages(collection, encoder)
    return [" ".join([*p.headings, p.text]) async for batch in batches for p in batch.passages]


def _model(settings: Settings) -> Model | None:
    return shapes.shape_of(settings.llm.model) or settings.llm.parameters


def _cache_of(settings: Settings) -> Path:
    return settings.storage.path / "evaluations" / "cache.sqlite"


def _connections() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    return httpx.AsyncClient(trust_env=False, limits=limits)
