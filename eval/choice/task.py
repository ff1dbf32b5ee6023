"""Multiple choice as a task: every question in every arm."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from eval.choice import records
from eval.choice.arms import parse_all, resolve, retrieving
from eval.choice.asking import Asker, identity_of
from eval.choice.collection import prepare
from eval.choice.finding import Finder
from eval.choice.plan import ChoicePlan, select
from eval.choice.random_passages import PassagePool
from eval.choice.sample import ChoiceSample
from eval.choice.summary import summarise, timings
from eval.datasets import catalogue
from eval.datasets.choice import ChoiceDataset
from eval.runs import lifecycle
from eval.runs.cache import ResponseCache
from eval.runs.directory import RunDirectory
from eval.runs.lifecycle import OpenService, Phase
from eval.runs.runner import Job
from eval.runs.samples import Record
from rag_app.assembly.components import chooser as make_chooser
from rag_app.cost import shapes
from rag_app.results import IndexInfo, OnProgress
from rag_app.service import Service
from rag_app.settings import Settings, override

KIND = "choice"
_SCORED_PASSAGES = 10
"""Passages of each search where no language model reads; what its weights were fitted with."""


def begin(path: Path, plan: ChoicePlan, settings: Settings) -> RunDirectory:
    """Begin a run, once it is certain that its data set and arms exist.

    Raises:
        EvalError: an arm is unknown, no question is left, or the folder holds a run already.
        DatasetError: the data set is missing, or is not what it should be.
    """
    parse_all(plan.arms)
    dataset = load(plan, settings)
    select(dataset.questions, plan.limit, plan.seed)
    return lifecycle.begin(path, KIND, plan, dataset, settings)


def load(plan: ChoicePlan, settings: Settings) -> ChoiceDataset:
    """The data set that a plan names. Raises DatasetError."""
    folder = Path(plan.data_dir) if plan.data_dir else None
    cache = settings.storage.path / "evaluations" / "datasets"
    return catalogue.choice(plan.dataset, folder, cache, subjects=plan.subjects)


class ChoiceTask:
    """Asks the questions of a run; see `eval.runs.lifecycle.Task`.

    Raises:
        EvalError: the run's plan or settings are damaged.
        DatasetError: the data set is missing, or is not what it should be.
    """

    group = "arm"
    is_correct: Callable[[Record], bool] | None = staticmethod(records.is_correct)

    def __init__(self, directory: RunDirectory, secrets: Settings | None = None) -> None:
        self.plan = ChoicePlan.of(directory.plan)
        self.settings = directory.settings(secrets)
        self.dataset = load(self.plan, self.settings)
        self._arms = [resolve(arm, self.settings) for arm in parse_all(self.plan.arms)]
        self._questions = select(self.dataset.questions, self.plan.limit, self.plan.seed)
        self.total = len(self._questions) * self.plan.repeats * len(self._arms)

    def questions(self) -> Mapping[str, Any]:
        """Id -> question and choices."""
        return {
            one.id: {"question": one.question, "choices": list(one.choices)}
            for one in self._questions
        }

    async def phases(
        self, opened: OpenService, on_ingest: OnProgress
    ) -> AsyncGenerator[Phase, None]:
        """One: all samples, with whatever the arms need opened."""
        async with AsyncExitStack() as stack:
            asker, indexes = await self._open(stack, opened, on_ingest)
            yield Phase(self._jobs(asker), indexes)

    def finish(self, directory: RunDirectory) -> dict[str, Any]:
        """Write metrics.json and timings.json."""

        def samples() -> Iterator[ChoiceSample]:
            return map(records.sample_of, directory.log.read())

        about = directory.dataset
        metrics = summarise(
            samples(), dataset=about["name"], revision=about["revision"], seed=self.plan.seed
        )
        directory.write_json("timings.json", timings(samples()))
        directory.write_json("metrics.json", metrics)
        return metrics

    def _jobs(self, asker: Asker) -> Iterator[Job]:
        """All arms of a question one after the other, so that they share its searches."""
        for question in self._questions:
            for repeat in range(self.plan.repeats):
                for arm in self._arms:
                    yield Job(
                        records.key(arm.name, question.id, repeat),
                        partial(asker.ask, question, arm, repeat),
                        asker.about(question, arm, repeat),
                    )

    async def _open(
        self, stack: AsyncExitStack, opened: OpenService, on_ingest: OnProgress
    ) -> tuple[Asker, Mapping[str, Sequence[IndexInfo]]]:
        """What asks the questions, and the indexes that it searches; the stack closes it."""
        plan, settings = self.plan, self.settings
        finder: Finder | None = None
        pool: PassagePool | None = None
        indexes: dict[str, Sequence[IndexInfo]] = {}
        texts: list[str] = []
        has_llm = settings.reader.kind == "llm"
        searching = retrieving(self._arms)
        if searching:
            service = opened(settings)
            stack.push_async_callback(service.close)
            collection, indexes[collection] = await prepare(
                service, plan, settings, self.dataset.corpus, searching, on_ingest
            )
            finder = Finder(
                service,
                collection,
                plan.passages or (settings.reader.passages if has_llm else _SCORED_PASSAGES),
                settings.retrieval.top_k,
                remembered=4 * plan.concurrency * len(searching),
            )
            stack.push_async_callback(finder.close)
            measured = next((arm for arm in searching if arm.kind == "random"), None)
            if measured:
                pool = await PassagePool.of(service, collection, measured.options.encoder)
            if not has_llm:
                texts = await _texts(service, collection, searching[0].options.encoder)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        connections = await stack.enter_async_context(
            httpx.AsyncClient(trust_env=False, limits=limits)
        )
        # the client must not hold back what the plan lets ask at once
        together = max(plan.concurrency, settings.llm.concurrency)
        asking = override(settings, {"llm": {"concurrency": together}})
        chooser = await asyncio.to_thread(make_chooser, asking, connections, texts)
        cache = settings.storage.path / "evaluations" / "cache.sqlite"
        asker = Asker(
            chooser=chooser,
            seed=plan.seed,
            private=self.dataset.private,
            identity=identity_of(chooser, settings.llm.api_base if has_llm else ""),
            model=(shapes.shape_of(settings.llm.model) or settings.llm.parameters)
            if has_llm
            else None,
            finder=finder,
            pool=pool,
            cache=stack.enter_context(ResponseCache(cache)) if plan.cache else None,
        )
        return asker, indexes


async def _texts(service: Service, collection: str, encoder: str | None) -> list[str]:
    """All passages of a collection with their headings."""
    batches = service.passages(collection, encoder)
    return [" ".join([*p.headings, p.text]) async for batch in batches for p in batch.passages]
