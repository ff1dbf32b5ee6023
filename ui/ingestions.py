"""The ingestions that go on, each for the browser that began it.

They go on while no page looks: a page that is opened again finds its own here, and may end them.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from data.errors import RagAppError
from rag_app.errors import ApplicationError
from rag_app.results import IngestReport, OnProgress, Progress

Work = Callable[[OnProgress], Awaitable[IngestReport]]
"""What is done; told how it goes on, it may be ended by what that raises."""
_KEPT: Final = 8
"""Ingestions of a visitor that are remembered when another begins, besides those that go on."""


@dataclass(slots=True, eq=False)
class Ingestion:
    """Documents on their way into a collection.

    Attributes:
        number: no other has the same.
        collection: where to.
        news: the newest progress; None before the first.
        report: what was done, once it is.
        error: why it ended before its end, for the person.
        shown: whether a page has shown how it ended; pages that are opened then do not.
    """

    number: int
    collection: str
    news: Progress | None = None
    report: IngestReport | None = None
    error: str = ""
    shown: bool = False
    _stopping: bool = False

    @property
    def running(self) -> bool:
        """Whether it has not ended, one way or another."""
        return not (self.report or self.error)

    def stop(self) -> None:
        """End it at its next step; documents that are whole by then stay."""
        self._stopping = True

    async def run(self, work: Work, folder: Path | None) -> None:
        """Do the work, and delete the folder of what was uploaded for it."""
        report, error = None, "the ingestion broke off"
        try:
            report, error = await work(self._step), ""
        except RagAppError as refused:
            error = str(refused)
        finally:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            self.report, self.error = report, error

    def _step(self, progress: Progress) -> None:
        if self._stopping:
            done, of = progress.documents, progress.total_documents
            kept = "They are in the collection; upload the others again"
            raise ApplicationError(
                f"stopped after {done} of {of} documents",
                hint=kept if done else "Nothing of them is in the collection",
            )
        self.news = progress


class Ingestions:
    """The ingestions of all visitors."""

    def __init__(self) -> None:
        self._of: dict[str, list[Ingestion]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = count(1)

    def start(
        self, visitor: str, collection: str, work: Work, folder: Path | None = None
    ) -> Ingestion:
        """Begin work on a collection; `folder` holds what was uploaded for it, and nothing else."""
        begun = Ingestion(next(self._numbers), collection)
        known = self.of(visitor)
        kept = [one for one in known if one.running or one in known[-_KEPT:]]
        self._of[visitor] = [*kept, begun]
        task = asyncio.create_task(begun.run(work, folder))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return begun

    def of(self, visitor: str) -> list[Ingestion]:
        """A visitor's ingestions: those that go on, and the last ones that have ended."""
        return list(self._of.get(visitor, ()))

    def go_on(self, collection: str) -> bool:
        """Whether anybody's work on a collection has not ended."""
        every = (one for known in self._of.values() for one in known)
        return any(one.running and one.collection == collection for one in every)

    def stop(self, visitor: str) -> None:
        """End all that a visitor has begun."""
        for one in self.of(visitor):
            one.stop()
