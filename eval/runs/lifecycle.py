"""The lifecycle of a run, whatever it measures: begin, resume, samples, environment, finish.

A kind of evaluation is a `Task`: it says which samples there are, gets each, and sums them up. What
is kept on disk, what counts as done, when a run stops and what is written down of the machine is
said here, once.
"""

import logging
from collections import ChainMap
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from eval.errors import EvalError
from eval.runs.collections import require_unchanged
from eval.runs.directory import RunDirectory
from eval.runs.environment import environment
from eval.runs.plan import Plan
from eval.runs.progress import Progress
from eval.runs.runner import Job, run_all
from eval.runs.samples import Record
from rag_app.assembly.opening import open_service
from rag_app.results import IndexInfo, OnProgress
from rag_app.service import Service
from rag_app.settings import Settings

OpenService = Callable[[Settings], Service]
_CONCURRENT_QUOTING = 2
"""Questions under way at once where no server answers them: the processors are the limit."""


class Dataset(Protocol):
    """What a run keeps of its data set, to know it again."""

    @property
    def name(self) -> str:
        """As it is asked for."""

    @property
    def revision(self) -> str:
        """Digest of all that was read."""

    @property
    def private(self) -> bool:
        """Whether its text must never be published, not even in logs."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Samples that are got while one application is open.

    Attributes:
        jobs: one a sample, made while the run goes on.
        indexes: collection -> indexes that are searched, to be written down; None for nothing new.
    """

    jobs: Iterable[Job]
    indexes: Mapping[str, Sequence[IndexInfo]] | None = None


class Task(Protocol):
    """A kind of evaluation at work on one run."""

    @property
    def plan(self) -> Plan:
        """What was asked for."""

    @property
    def settings(self) -> Settings:
        """Those in force when the run began, with present secrets."""

    @property
    def dataset(self) -> Dataset:
        """What is asked."""

    @property
    def total(self) -> int:
        """How many samples there will be."""

    @property
    def group(self) -> str:
        """The field of a record that progress is counted by: ``arm`` or ``system``."""

    @property
    def is_correct(self) -> Callable[[Record], bool] | None:
        """Whether a record's answer is right; None where answers are not judged one by one."""

    def questions(self) -> Mapping[str, Any]:
        """Id -> text of what is asked, for reports."""

    def phases(self, opened: OpenService, on_ingest: OnProgress) -> AsyncGenerator[Phase, None]:
        """The samples; whatever was opened for a phase is closed behind it."""

    def finish(self, directory: RunDirectory) -> dict[str, Any]:
        """Write what is made of the samples, metrics.json above all; returns its content."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    Attributes:
        finished: samples without an error, those of earlier attempts included.
        errors: samples that failed, and will be tried again.
    """

    finished: int
    errors: int
    metrics: Mapping[str, Any]


def default_concurrency(settings: Settings) -> int:
    """Questions under way at once where nothing is said."""
    return settings.llm.concurrency if settings.reader.kind == "llm" else _CONCURRENT_QUOTING


def begin(path: Path, kind: str, plan: Plan, dataset: Dataset, settings: Settings) -> RunDirectory:
    """Begin a run. Raises EvalError: the folder holds a run already, or cannot be written."""
    about = {"name": dataset.name, "revision": dataset.revision, "private": dataset.private}
    return RunDirectory.create(path, kind, plan.as_dict(), about, settings)


async def run(
    directory: RunDirectory,
    task: Task,
    *,
    command: Sequence[str] = (),
    opened: OpenService | None = None,
    write_line: Callable[[str], None] | None = None,
) -> Result:
    """Get the samples that are missing, errors of earlier attempts included, and sum up.

    Args:
        opened: opens the application; None is `rag_app.assembly.opening.open_service`.
        write_line: takes lines about progress; None means stderr.

    Raises:
        EvalError: the data set or the collection has changed since the run began, there is nothing
            to search, or too many samples failed.
        RagAppError: the application cannot be opened.
    """
    plan, private = task.plan, task.dataset.private
    if task.dataset.revision != directory.dataset["revision"]:
        raise EvalError(
            f"data set {plan.dataset} has changed since the run in {directory.path} began",
            hint="Begin a new run with another --out",
        )
    save = partial(directory.write_json, "progress.json")
    progress = Progress(
        save, task.total, lambda record: str(record[task.group]), task.is_correct, write_line
    )
    finished = errors = 0
    with directory.held(), _quiet_logs(private), directory.log:
        done = _finished(directory, progress)
        phases = task.phases(opened or open_service, progress.show_ingest)
        async with progress, aclosing(phases):
            if not private:
                directory.write_json("questions.json", task.questions())
            async for phase in phases:
                progress.message = ""
                if phase.indexes is not None:
                    await _record_environment(directory, task.settings, command, phase.indexes)
                outcome = await run_all(
                    phase.jobs,
                    directory.log,
                    done=done,
                    concurrency=plan.concurrency,
                    progress=progress,
                    max_errors=plan.max_errors,
                )
                finished, errors = finished + outcome.finished, errors + outcome.errors
            directory.log.close()
            metrics = task.finish(directory)
    return Result(finished, errors, metrics)


def _finished(directory: RunDirectory, progress: Progress) -> set[str]:
    """Keys of the samples that need not be tried again, which `progress` counts."""
    done = set()
    for record in directory.log.read():
        if record["state"] != "error":
            done.add(str(record["key"]))
            progress.count_earlier(record)
    return done


async def _record_environment(
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
    require_unchanged(before["indexes"], now["indexes"])
    resumed = before.get("resumed", [])
    last = dict(ChainMap(*reversed(resumed), before))
    changes = {name: value for name, value in now.items() if last.get(name) != value}
    if changes:
        directory.write_json("env.json", {**before, "resumed": [*resumed, changes]})


@contextmanager
def _quiet_logs(private: bool) -> Iterator[None]:
    """For private data sets, keep libraries from logging what they send at the level of debug."""
    before = logging.root.manager.disable
    if private:
        logging.disable(max(before, logging.DEBUG))
    try:
        yield
    finally:
        logging.disable(before)
