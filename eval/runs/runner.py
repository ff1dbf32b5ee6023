"""Work through many samples at once; what fails is recorded, and too much of it stops the run."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from data.errors import RagAppError
from eval.errors import EvalError
from eval.runs.samples import Record, SampleLog

_SEEN_ENOUGH = 10
"""Samples before the share of errors says anything."""


class TooManyErrors(EvalError):
    """More samples failed than a result could bear."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to make.

    Attributes:
        work: gives what came of it; it may raise RagAppError.
        about: what its record holds in any case.
    """

    key: str
    work: Callable[[], Awaitable[Mapping[str, Any]]]
    about: Mapping[str, Any] = field(default_factory=dict)


class Watcher(Protocol):
    """Sees every record."""

    def count(self, record: Record) -> None:
        """A sample is there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    finished: int
    errors: int
    seconds: float


async def run_all(
    jobs: Iterable[Job],
    log: SampleLog,
    *,
    done: Set[str],
    concurrency: int,
    progress: Watcher,
    max_errors: float = 0.02,
) -> Outcome:
    """Do all jobs whose key is not among those done, and append a record for each.

    Args:
        jobs: made while the run goes on, so that memory does not grow with their number.
        log: where records go; open, and closed by whoever opened it.
        max_errors: share of errors among all samples seen from which the run stops, once ten were
            seen, or at the end when all failed.

    Raises:
        TooManyErrors: see `max_errors`; what was asked stays in the log.
        EvalError: the log cannot be written.
    """
    run = _Run(iter(jobs), log, done, progress, max_errors)
    start = time.perf_counter()
    workers = [asyncio.create_task(run.work()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    run.require_some()
    return Outcome(run.finished, run.errors, time.perf_counter() - start)


class _Run:
    def __init__(
        self,
        jobs: Iterator[Job],
        log: SampleLog,
        done: Set[str],
        progress: Watcher,
        max_errors: float,
    ) -> None:
        self.finished, self.errors, self._last_error = 0, 0, ""
        self._jobs, self._log, self._done = jobs, log, done
        self._progress, self._max_errors = progress, max_errors

    async def work(self) -> None:
        """Take jobs until there is none left."""
        for job in self._jobs:
            if job.key in self._done:
                self.finished += 1
                continue
            record = await _record(job)
            self._log.append(record)
            self._progress.count(record)
            self._count(record)
            await asyncio.sleep(0)  # work that never waits must let others in

    def require_some(self) -> None:
        if self.errors and not self.finished:
            raise self._stopped()

    def _count(self, record: Record) -> None:
        if record["state"] != "error":
            self.finished += 1
            return
        self.errors += 1
        self._last_error = str(record.get("detail", ""))
        seen = self.finished + self.errors
        if seen >= _SEEN_ENOUGH and self.errors > self._max_errors * seen:
            raise self._stopped()

    def _stopped(self) -> TooManyErrors:
        seen = self.finished + self.errors
        return TooManyErrors(
            f"{self.errors} of {seen} samples failed, so the run was stopped",
            cause=self._last_error.rstrip("."),
            hint=f"Put that right, then `rag-app eval resume {self._log.path.parent}`",
        )


async def _record(job: Job) -> Record:
    try:
        return {"key": job.key, **job.about, **await job.work()}
    except RagAppError as error:
        return {"key": job.key, **job.about, "state": "error", "detail": str(error)}
