"""The catalogue of models: encoders and rerankers, what is here of them, what brings more."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from data.errors import RagAppError
from rag_app.assembly.availability import NOT_DOWNLOADED, encoder_obstacle, reranker_obstacle
from rag_app.assembly.encoders import choose, rows
from rag_app.errors import ApplicationError
from rag_app.results import IndexInfo, Progress
from rag_app.service import Service
from rag_app.settings import Settings
from retrieval import published
from retrieval.components import RERANKERS
from retrieval.encoders.registry import EncoderRow
from retrieval.reranking.cross_encoder_models import CROSS_ENCODERS

Act = Literal["download", "build", ""]


@dataclass(slots=True, eq=False)
class Job:
    """A download, or the building of an index.

    Attributes:
        done: how far it is, 0 to 1.
        news: how far, in words.
        error: why it ended before its end.
        running: whether it goes on.
    """

    done: float = 0.0
    news: str = "Starting"
    error: str = ""
    running: bool = True
    _stopping: bool = field(default=False, repr=False)

    def stop(self) -> None:
        """End it at its next step."""
        self._stopping = True

    def on_bytes(self, come: int, total: int) -> None:
        """Note how far a download is; raises ApplicationError where it is not wanted any longer."""
        self._require_wanted()
        self.done = min(1.0, come / total) if total else 0.0
        self.news = f"{come / 1e6:,.1f} of {total / 1e6:,.1f} MB"

    def on_progress(self, progress: Progress) -> None:
        """Note how far an index is; raises as `on_bytes`."""
        self._require_wanted()
        self.done = progress.done
        self.news = (
            f"{progress.documents} of {progress.total_documents} documents, "
            f"{progress.passages} passages"
        )

    def _require_wanted(self) -> None:
        if self._stopping:
            raise ApplicationError("stopped", hint="What was done is kept; it goes on from there")


@dataclass(frozen=True, slots=True)
class Item:
    """An encoder or a reranker as the catalogue shows it.

    Attributes:
        name: of its row.
        model: the model behind it.
        parameters: of the model; 0 where they are not known.
        licence: of the weights.
        score: published mean nDCG@10 on BRIGHT, in percent; None without one.
        source: of that number.
        state: what is here of it, in words.
        act: what can be done about that.
        job: what is being done, or how it failed.
    """

    name: str
    model: str = ""
    parameters: float = 0
    licence: str = ""
    score: float | None = None
    source: str = ""
    state: str = ""
    act: Act = ""
    job: Job | None = None


class ModelCatalogue:
    """What there is, and the jobs that bring more; they go on while no page looks.

    Args:
        service: builds indexes.
        settings: gives those in force.
    """

    def __init__(self, service: Service, settings: Callable[[], Settings]) -> None:
        self._service, self._settings = service, settings
        self._jobs: dict[tuple[str, str], Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        """Whether anything is being brought."""
        return any(job.running for job in self._jobs.values())

    def encoders(self, collection: str, indexes: Sequence[IndexInfo]) -> list[Item]:
        """All encoders, with what a collection has of them."""
        settings = self._settings()
        there = {one.encoder: one for one in reversed(indexes)}
        return [
            self._encoder(settings, row, collection, there.get(row.name)) for row in rows(settings)
        ]

    def rerankers(self) -> list[Item]:
        """The cross-encoders that run in this process, and what else can rerank."""
        settings = self._settings()
        return [*map(self._cross_encoder, CROSS_ENCODERS), *_others(settings)]

    def start(self, act: str, name: str, collection: str) -> None:
        """Begin a download, or the index of an encoder.

        Raises:
            ApplicationError: there is no such thing to do, or it is being done.
        """
        key = (name, collection if act == "build" else "")
        work = self._building(name, collection) if act == "build" else self._downloading(name)
        if (job := self._jobs.get(key)) and job.running:
            raise ApplicationError(f"{name} is being worked on already")
        job = self._jobs[key] = Job()
        task = asyncio.create_task(self._run(key, job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, name: str, collection: str) -> None:
        """End what is being done for a name."""
        for key in ((name, collection), (name, "")):
            if job := self._jobs.get(key):
                job.stop()

    # --- jobs --------------------------------------------------------------------------------

    async def _run(
        self, key: tuple[str, str], job: Job, work: Callable[[Job], Awaitable[None]]
    ) -> None:
        try:
            await work(job)
            del self._jobs[key]
        except RagAppError as error:
            job.error = str(error)
        finally:
            job.running, job.error = False, job.error or "it broke off"

    def _building(self, name: str, collection: str) -> Callable[[Job], Awaitable[None]]:
        if obstacle := encoder_obstacle(self._settings(), name):
            raise ApplicationError(f"{name} cannot be used", cause=obstacle)

        async def work(job: Job) -> None:
            report = await self._service.build_index(collection, name, job.on_progress)
            if report.failures:
                first = report.failures[0]
                raise ApplicationError(
                    f"{len(report.failures)} documents could not be indexed",
                    cause=f"{first.source}: {first.reason}",
                )

        return work

    def _downloading(self, name: str) -> Callable[[Job], Awaitable[None]]:
        from retrieval.encoders.local.checkpoint import download_model
        from retrieval.reranking.local_cross_encoder import download_cross_encoder

        settings = self._settings()
        if cross_encoder := CROSS_ENCODERS.get(name):

            async def work(job: Job) -> None:
                model, backend = cross_encoder.model_id, settings.rerank.backend
                await asyncio.to_thread(download_cross_encoder, model, job.on_bytes, backend)

            return work
        if encoder_obstacle(settings, name) != NOT_DOWNLOADED:
            raise ApplicationError(f"there is nothing to download of {name}")
        choice = choose(settings, name)

        async def get(job: Job) -> None:
            model = choice.run.model or choice.row.model_id
            revision = choice.run.revision or choice.row.revision
            await asyncio.to_thread(download_model, model, revision, job.on_bytes)

        return get

    # --- items -------------------------------------------------------------------------------

    def _encoder(
        self, settings: Settings, row: EncoderRow, collection: str, index: IndexInfo | None
    ) -> Item:
        state, act = _state_of_encoder(encoder_obstacle(settings, row.name), index)
        return Item(
            row.name, row.model_id, row.parameters, row.licence, row.bright, row.bright_source,
            state, act, self._jobs.get((row.name, collection)) or self._jobs.get((row.name, "")),
        )  # fmt: skip

    def _cross_encoder(self, name: str) -> Item:
        from retrieval.reranking.local_cross_encoder import is_cached

        row, chosen = CROSS_ENCODERS[name], self._settings().rerank
        act: Act = ""
        state = "downloaded: set rerank.model to use it"
        if not is_cached(row.model_id, chosen.backend):
            state, act = NOT_DOWNLOADED, "download"
        elif chosen.kind == "cross-encoder" and chosen.model in {name, row.model_id}:
            state = "in use"
        return Item(
            name, row.model_id, row.parameters, row.licence, state=state, act=act,
            job=self._jobs.get((name, "")),
        )  # fmt: skip


def _state_of_encoder(obstacle: str, index: IndexInfo | None) -> tuple[str, Act]:
    """What is here of an encoder, and what can be done."""
    if obstacle:
        return obstacle, "download" if obstacle == NOT_DOWNLOADED else ""
    if index is None:
        return "can be used; has no index of this collection", "build"
    if not index.usable:
        return "its index has to be built anew", "build"
    if index.behind:
        return f"its index lacks {index.behind} documents", "build"
    return f"indexed: {index.passages:,} passages", ""


def _others(settings: Settings) -> list[Item]:
    """The rerankers that no cross-encoder of the list is behind."""
    found = []
    for name, row in RERANKERS.items():
        if name in _NO_MODEL:
            continue
        score, source = _published(name)
        obstacle = reranker_obstacle(settings, name)
        state = obstacle or ("in use" if settings.rerank.kind == name else "can be used")
        found.append(Item(name, row.help, licence="", score=score, source=source, state=state))
    return found


_NO_MODEL: Final = {"none", "cross-encoder"}


def _published(reranker: str) -> tuple[float | None, str]:
    """The best published mean over BRIGHT of a pipeline that ends with a reranker."""
    numbers = [
        (one.bright, f"{one.system}: {one.source}")
        for one in published.table().retrieval
        if one.bright and any(name.endswith(f"+{reranker}") for name in one.pipelines or ())
    ]
    best = max(numbers, default=None)
    return (round(100 * best[0], 1), best[1]) if best else (None, "")
