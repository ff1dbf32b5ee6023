"""Searching every query of a data set with every system, through the application."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eval.choice.library import require_unchanged
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.own.dataset import PREFIX
from eval.retrieval import scoring
from eval.retrieval.lengths import cut, cut_name
from eval.retrieval.plan import RetrievalPlan
from eval.retrieval.ranking import MOST_HITS, Named, degraded, hits_wanted, ranking
from eval.running.directory import RunDirectory
from eval.running.environment import environment
from eval.running.progress import Progress
from eval.running.runner import Job, run_all
from eval.systems import System
from rag_app.assembly import application as assembly
from rag_app.ingestion.engine import OnProgress
from rag_app.ingestion.engine import Progress as Taken
from rag_app.remote.service import RemoteService
from rag_app.results import IndexInfo, SearchResult
from rag_app.service import Service
from rag_app.settings import Settings, override
from retrieval.index.errors import NoIndexOfEncoder

OpenService = Callable[[Settings], Service]
_DEEPER = 5
"""Times as many hits are asked for where many of them are passages of one document."""
_SHORTEST_REWRITE, _LONGEST_REWRITE = 64, 2048


@dataclass(frozen=True, slots=True)
class _Series:
    """A system over all queries.

    Attributes:
        name: what its samples are called.
        system: the system.
        tokens: what queries are cut to; None leaves them as they are.
    """

    name: str
    system: System
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _Phase:
    """Series that one application serves."""

    settings: Settings
    series: Sequence[_Series]


class Searching:
    """The searches of a run.

    Args:
        plan: what was asked for.
        settings: those in force.
        dataset: with the queries that are asked, and no others.
        named: the document that a hit counts as.
    """

    def __init__(
        self, plan: RetrievalPlan, settings: Settings, dataset: RetrievalDataset, named: Named
    ) -> None:
        self._plan, self._settings = plan, settings
        self._dataset, self._named = dataset, named
        self._count = assembly.word_counter(settings)
        self._cut_down = bool(dataset.parents or dataset.excluded)

    async def run(
        self,
        directory: RunDirectory,
        progress: Progress,
        opened: OpenService,
        command: Sequence[str],
        on_ingest: OnProgress | None,
    ) -> None:
        """Take the documents in, then search what has not been searched yet.

        Raises:
            EvalError: the documents are not at hand or cannot be taken in, or searches fail.
        """
        done, phases = directory.log.finished(), self._phases()
        for number, phase in enumerate(phases):
            service = opened(phase.settings)
            try:
                if number == 0:
                    self._require_own_settings(service, phases)
                    telling = partial(_tell, progress, on_ingest)
                    indexes = {self._plan.collection: await self._take_in(service, telling)}
                    progress.message = ""
                    found = await environment(self._settings, command, indexes)
                    _keep_environment(directory, found)
                await run_all(
                    self._jobs(service, phase),
                    directory.log,
                    done=done,
                    concurrency=self._plan.concurrency,
                    progress=progress,
                    max_errors=self._plan.max_errors,
                )
            finally:
                await service.close()

    def _phases(self) -> list[_Phase]:
        """All systems with one application; then those that rewrite, with one for each length."""
        systems, lengths = self._plan.systems, self._plan.lengths
        rewriting = [system for system in systems if system.options.rewrite == "llm"]
        whole = [_Series(system.name, system) for system in systems]
        cuts = [
            _Series(cut_name(system.name, tokens), system, tokens)
            for system in systems
            for tokens in lengths
            if system not in rewriting
        ]
        phases = [_Phase(self._settings, whole + cuts)]
        for tokens in lengths if rewriting else ():
            if not _SHORTEST_REWRITE <= tokens <= _LONGEST_REWRITE:
                raise EvalError(
                    f"a rewrite of {tokens} tokens cannot be asked for",
                    hint=f"Name --lengths from {_SHORTEST_REWRITE} to {_LONGEST_REWRITE}",
                )
            there = override(self._settings, {"rewrite": {"tokens": tokens}})
            named = [_Series(cut_name(system.name, tokens), system) for system in rewriting]
            phases.append(_Phase(there, named))
        return phases

    def _require_own_settings(self, service: Service, phases: Sequence[_Phase]) -> None:
        """Refuse an application that runs already where this run needs settings of its own."""
        several = len(phases) > 1
        if isinstance(service, RemoteService) and (self._plan.own_settings or several):
            raise EvalError(
                f"the running application at {service.address} has other settings than this run",
                cause="it needs rewrites of several lengths"
                if several
                else "it needs the instruction of its task",
                hint="Stop the application, and resume the run",
            )

    async def _take_in(self, service: Service, on_ingest: OnProgress) -> list[IndexInfo]:
        """Bring the indexes of all encoders up to date, which costs next to nothing where they are.

        Returns:
            Those that are searched.
        """
        collection, (first, *others) = self._plan.collection, self._plan.encoders
        if not self._plan.dataset.startswith(PREFIX):
            corpus = require_documents(self._dataset)
            try:
                report = await service.ingest(collection, [corpus], on_ingest, first)
            except NoIndexOfEncoder:  # another run has made the collection, with another encoder
                await service.build_index(collection, first, on_ingest)
                report = await service.ingest(collection, [corpus], on_ingest, first)
            if report.failures:
                failure = report.failures[0]
                raise EvalError(f"{failure.source} could not be taken in", cause=failure.reason)
            await self._refuse_foreign(service, corpus)
        elif first is not None:  # what people have, they have indexed; but maybe not with this
            await service.build_index(collection, first, on_ingest)
        for encoder in others:
            await service.build_index(collection, encoder, on_ingest)
        searched = [encoder or self._settings.encoder.name for encoder in self._plan.encoders]
        indexes = await service.indexes(collection)
        return [index for index in indexes if index.usable and index.encoder in searched]

    async def _refuse_foreign(self, service: Service, corpus: Path) -> None:
        """Raise where the collection holds documents that are no part of the data set."""
        for document in await service.documents(self._plan.collection):
            if document.source != corpus.name:
                raise EvalError(
                    f"collection {self._plan.collection!r} holds more than {self._plan.dataset}",
                    cause=f"{document.source} is no part of it",
                    hint="Name another --collection, or delete that document",
                )

    def _jobs(self, service: Service, phase: _Phase) -> Iterator[Job]:
        """Every query by every system in turn, so that all of them share the machine's moods."""
        for query, text in self._dataset.queries.items():
            for one in phase.series:
                key = scoring.key(one.name, query)
                work = partial(self._search, service, phase.settings, one, query, text)
                yield Job(key, work, {"system": one.name, "query": query})

    async def _search(
        self, service: Service, settings: Settings, one: _Series, query: str, text: str
    ) -> dict[str, Any]:
        """Search, and search deeper where too few documents are left.

        The first search is that of the system as it is used: it alone is timed, and it decides the
        order of all that it finds, since a fusion that is given more candidates is another one.
        rank_bm25 would build its index anew for another depth, so it is always the same for it.
        """
        asked = text if one.tokens is None else cut(text, one.tokens, self._count)
        excluded = self._dataset.excluded.get(query, frozenset())
        reranks = one.system.options.rerank not in (None, "none")
        graded = settings.rerank.candidates if reranks else None
        wanted = hits_wanted(self._plan.depth, len(excluded), graded)
        deeper = min(MOST_HITS, _DEEPER * wanted)
        if reranks:
            deeper = wanted
        elif one.system.options.retriever == "rank_bm25":
            wanted = deeper = MOST_HITS if self._cut_down else self._plan.depth
        found = await self._found(service, one, asked, wanted)
        rank = partial(
            ranking,
            document=partial(self._named, query),
            excluded=excluded,
            depth=self._plan.depth,
        )
        kept = rank(found.hits)
        if len(kept) < self._plan.depth and len(found.hits) == wanted < deeper:
            more = await self._found(service, one, asked, deeper)
            kept = rank([*found.hits, *more.hits])
        return {
            "state": "ok",
            "hits": kept,
            "query_tokens": found.trace.tokens.get("query", 0),
            "flops": found.trace.flops,
            "milliseconds": round(found.trace.milliseconds, 3),
        }

    async def _found(self, service: Service, one: _Series, text: str, wanted: int) -> SearchResult:
        options = one.system.options.model_copy(update={"top_k": wanted})
        found = await service.search(self._plan.collection, text, options)
        if why := degraded(found.trace):
            raise EvalError(f"{one.name} did not do what its name says", cause=why)
        return found


def _tell(progress: Progress, on_ingest: OnProgress | None, news: Taken) -> None:
    progress.message = f"taking documents in, {news.done:.0%} done"
    if on_ingest:
        on_ingest(news)


def _keep_environment(directory: RunDirectory, now: Mapping[str, Any]) -> None:
    """Write env.json. Raises EvalError where the run began over other passages."""
    if (directory.path / "env.json").exists():
        require_unchanged(directory.read_json("env.json")["indexes"], now["indexes"])
    else:
        directory.write_json("env.json", now)


def require_documents(dataset: RetrievalDataset) -> Path:
    """The corpus. Raises EvalError with the command that gets it where it is not at hand."""
    if dataset.corpus is None:
        raise EvalError(
            f"the documents of {dataset.name} are not at hand",
            cause="only runs of other programs can be scored without them (eval score)",
            hint=dataset.missing,
        )
    return dataset.corpus
