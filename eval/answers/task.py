"""Free answers as a task: every question to the pipeline that the settings make."""

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from eval.answers.plan import AnswersPlan
from eval.answers.scoring import evidence
from eval.answers.summary import summarise
from eval.datasets import catalogue
from eval.datasets.answers_jsonl import OpenDataset, OpenQuestion
from eval.errors import EvalError
from eval.runs import lifecycle
from eval.runs.collections import degraded, ingest
from eval.runs.directory import RunDirectory
from eval.runs.lifecycle import OpenService, Phase
from eval.runs.runner import Job
from eval.runs.samples import Record
from generation.quoting import MORE
from rag_app.results import OnProgress
from rag_app.service import Service, answer_of
from rag_app.settings import Settings

KIND = "answers"
SYSTEM = "rag"
"""What the one system is called: the pipeline of the settings."""


def begin(path: Path, plan: AnswersPlan, settings: Settings) -> RunDirectory:
    """Begin a run, once it is certain that its data set exists.

    Raises:
        EvalError: the folder holds a run already.
        DatasetError: the data set is missing, or is not what it should be.
    """
    return lifecycle.begin(path, KIND, plan, load(plan, settings), settings)


def load(plan: AnswersPlan, settings: Settings) -> OpenDataset:
    """The data set that a plan names. Raises DatasetError."""
    folder = Path(plan.data_dir) if plan.data_dir else None
    return catalogue.answers(plan.dataset, folder, settings.storage.path / "evaluations/datasets")


class AnswersTask:
    """Asks the questions of a run; see `eval.runs.lifecycle.Task`."""

    group = "system"
    is_correct: Callable[[Record], bool] | None = None

    def __init__(self, directory: RunDirectory, secrets: Settings | None = None) -> None:
        self.plan = AnswersPlan.of(directory.plan)
        self.settings = directory.settings(secrets)
        self.dataset = load(self.plan, self.settings)
        order = sorted(self.dataset.questions, key=lambda one: _hash(one.id))
        self._questions = order[: self.plan.limit]
        self.total = len(self._questions)

    def questions(self) -> Mapping[str, str]:
        """Id -> text."""
        return {one.id: one.question for one in self._questions}

    async def phases(
        self, opened: OpenService, on_ingest: OnProgress
    ) -> AsyncGenerator[Phase, None]:
        """One: all questions."""
        service = opened(self.settings)
        try:
            collection = self.plan.collection
            if self.plan.corpus:
                encoder = self.settings.encoder.name
                await ingest(service, collection, Path(self.plan.corpus), [encoder], on_ingest)
            indexes = [one for one in await service.indexes(collection) if one.usable]
            if not indexes:
                raise EvalError(
                    f"collection {collection} has no index for these settings",
                    hint="Name another --collection, or ingest documents with --corpus",
                )
            yield Phase(self._jobs(service), {collection: indexes})
        finally:
            await service.close()

    def finish(self, directory: RunDirectory) -> dict[str, Any]:
        """Write metrics.json."""
        dataset = directory.dataset
        asked = {one.id: one for one in self._questions}
        metrics = summarise(
            directory.log.read(), asked, dataset=dataset["name"], revision=dataset["revision"]
        )
        directory.write_json("metrics.json", metrics)
        return metrics

    def _jobs(self, service: Service) -> Iterator[Job]:
        for one in self._questions:
            about = {"system": SYSTEM, "query": one.id}
            yield Job(one.id, partial(self._ask, service, one), about)

    async def _ask(self, service: Service, one: OpenQuestion) -> Record:
        answer = await answer_of(service.ask(self.plan.collection, one.question))
        if why := degraded(answer.trace):
            raise EvalError("passages were not searched as the settings say", cause=why)
        claimed = answer.text.replace(MORE, "")  # which is ours, and of no passage
        cited = {citation.n: citation.text for citation in answer.citations}
        return {
            "state": "ok",
            "text": answer.text,
            "abstained": answer.abstained,
            "truncated": answer.truncated,
            "sources": list(dict.fromkeys(citation.source for citation in answer.citations)),
            "milliseconds": round(answer.trace.milliseconds, 3),
            **asdict(evidence(claimed, cited, [hit.text for hit in answer.hits])),
        }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
