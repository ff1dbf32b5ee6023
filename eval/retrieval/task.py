"""Retrieval as a task: every query of a data set by every system, or by other programs' runs."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from eval.datasets.generated import dataset as generated
from eval.datasets.generated.questions import read as read_questions
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.retrieval import external, scoring
from eval.retrieval.beginning import QUESTIONS, load
from eval.retrieval.lengths import cut, cut_name
from eval.retrieval.plan import RetrievalPlan, limited
from eval.retrieval.ranking import MOST_HITS, NameDocument, by_passage, hits_wanted, ranking
from eval.retrieval.sample import key
from eval.runs.collections import degraded, ingest
from eval.runs.directory import RunDirectory
from eval.runs.lifecycle import OpenService, Phase
from eval.runs.runner import Job
from eval.runs.samples import Record
from rag_app.assembly.components import word_counter
from rag_app.remote.service import RemoteService
from rag_app.results import IndexInfo, OnProgress, SearchResult
from rag_app.service import Service
from rag_app.settings import Settings, override
from rag_app.systems.grammar import System

_DEEPER = 5
"""Times as many hits are asked for where many of them are passages of one document."""
_SHORTEST_REWRITE, _LONGEST_REWRITE = 64, 2048


@dataclass(frozen=True, slots=True)
class _Series:
    """A system over all queries.

    Attributes:
        tokens: what queries are cut to; None leaves them as they are.
    """

    name: str
    system: System
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Series that one application serves."""

    settings: Settings
    series: Sequence[_Series]


class RetrievalTask:
    """Searches the queries of a run; see `eval.runs.lifecycle.Task`.

    Raises:
        EvalError: the run's plan, settings or questions are damaged.
        DatasetError: the data set is missing, or is not what it should be.
    """

    group = "system"
    is_correct: Callable[[Record], bool] | None = None

    def __init__(self, directory: RunDirectory, secrets: Settings | None = None) -> None:
        self.plan = RetrievalPlan.of(directory.plan)
        self.settings = directory.settings(secrets)
        self.dataset, self._name_document = _load(directory, self.plan, self.settings)
        self._asked = limited(self.dataset, self.plan.limit)
        self.total = len(self._asked.queries) * len(self.plan.names)
        self._count = word_counter(self.settings)
        self._cut_down = bool(self._asked.parents or self._asked.excluded)

    def questions(self) -> Mapping[str, str]:
        """Id -> text of every query that is asked."""
        return dict(self._asked.queries)

    async def phases(
        self, opened: OpenService, on_ingest: OnProgress
    ) -> AsyncGenerator[Phase, None]:
        """All systems with one application; then those that rewrite, with one for each length.

        Raises:
            EvalError: the documents are not at hand or cannot be ingested.
        """
        if self.plan.runs is not None:
            yield Phase(self._external(self.plan.runs))
            return
        parts = self._parts()
        indexes: Mapping[str, Sequence[IndexInfo]] | None
        for number, part in enumerate(parts):
            service = opened(part.settings)
            try:
                indexes = None
                if number == 0:
                    self._require_settings(service, several=len(parts) > 1)
                    indexes = {self.plan.collection: await self._ingest(service, on_ingest)}
                yield Phase(self._jobs(service, part), indexes)
            finally:
                await service.close()

    def finish(self, directory: RunDirectory) -> dict[str, Any]:
        """Write metrics.json, run.SYSTEM.trec and per_query.csv."""
        return scoring.finish(directory, self.plan, self.dataset, self.settings.recipe)

    def _external(self, runs: Mapping[str, str]) -> Iterator[Job]:
        """Rankings of other programs, which are there already."""

        async def ready(record: Record) -> Record:
            return record

        for record in external.records(runs, self._asked, self.plan.depth):
            yield Job(record["key"], partial(ready, record))

    def _parts(self) -> list[_Part]:
        systems, lengths = self.plan.systems, self.plan.lengths
        rewriting = [system for system in systems if system.options.rewrite == "llm"]
        whole = [_Series(system.name, system) for system in systems]
        cuts = [
            _Series(cut_name(system.name, tokens), system, tokens)
            for system in systems
            for tokens in lengths
            if system not in rewriting
        ]
        parts = [_Part(self.settings, whole + cuts)]
        for tokens in lengths if rewriting else ():
            if not _SHORTEST_REWRITE <= tokens <= _LONGEST_REWRITE:
                raise EvalError(
                    f"a rewrite of {tokens} tokens cannot be asked for",
                    hint=f"Name --lengths from {_SHORTEST_REWRITE} to {_LONGEST_REWRITE}",
                )
            there = override(self.settings, {"rewrite": {"tokens": tokens}})
            rewritten = [_Series(cut_name(system.name, tokens), system) for system in rewriting]
            parts.append(_Part(there, rewritten))
        return parts

    def _require_settings(self, service: Service, *, several: bool) -> None:
        """Refuse an application that runs already where this run needs settings of its own."""
        if isinstance(service, RemoteService) and (self.plan.needs_settings or several):
            raise EvalError(
                f"the running application at {service.address} has other settings than this run",
                cause="it needs rewrites of several lengths"
                if several
                else "it needs the instruction of its task",
                hint="Stop the application, and resume the run",
            )

    async def _ingest(self, service: Service, on_ingest: OnProgress) -> list[IndexInfo]:
        """Bring the indexes of all encoders up to date; returns those that are searched."""
        collection, encoders = self.plan.collection, self.plan.encoders
        if self.plan.dataset.startswith(generated.PREFIX):
            # what people have, they have indexed; but maybe not with each of these encoders
            for encoder in filter(None, encoders):
                await service.build_index(collection, encoder, on_ingest)
        else:
            corpus = self.dataset.require_corpus()
            await ingest(service, collection, corpus, encoders, on_ingest)
            await self._require_only(service, corpus.name)
        searched = [encoder or self.settings.encoder.name for encoder in encoders]
        indexes = await service.indexes(collection)
        return [index for index in indexes if index.usable and index.encoder in searched]

    async def _require_only(self, service: Service, source: str) -> None:
        """Raise where the collection holds documents that are no part of the data set."""
        for document in await service.documents(self.plan.collection):
            if document.source != source:
                raise EvalError(
                    f"collection {self.plan.collection!r} holds more than {self.plan.dataset}",
                    cause=f"{document.source} is no part of it",
                    hint="Name another --collection, or delete that document",
                )

    def _jobs(self, service: Service, part: _Part) -> Iterator[Job]:
        """Every query by every system in turn, so that all of them share the machine's moods."""
        for query, text in self._asked.queries.items():
            for one in part.series:
                work = partial(self._search, service, part.settings, one, query, text)
                yield Job(key(one.name, query), work, {"system": one.name, "query": query})

    async def _search(
        self, service: Service, settings: Settings, one: _Series, query: str, text: str
    ) -> dict[str, Any]:
        """Search, and search deeper where too few documents are left.

        The first search is that of the system as it is used: it alone is timed, and it decides the
        order of all that it finds, since a fusion that is given more candidates is another one.
        rank_bm25 would build its index anew for another depth, so it is always the same for it.
        """
        asked = text if one.tokens is None else cut(text, one.tokens, self._count)
        excluded = self._asked.excluded.get(query, frozenset())
        reranks = one.system.options.rerank not in (None, "none")
        graded = settings.rerank.candidates if reranks else None
        wanted = hits_wanted(self.plan.depth, len(excluded), graded)
        deeper = min(MOST_HITS, _DEEPER * wanted)
        if reranks:
            deeper = wanted
        elif one.system.options.retriever == "rank_bm25":
            wanted = deeper = MOST_HITS if self._cut_down else self.plan.depth
        found = await self._found(service, one, asked, wanted)
        rank = partial(
            ranking,
            document=partial(self._name_document, query),
            excluded=excluded,
            depth=self.plan.depth,
        )
        kept = rank(found.hits)
        if len(kept) < self.plan.depth and len(found.hits) == wanted < deeper:
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
        found = await service.search(self.plan.collection, text, options)
        if why := degraded(found.trace):
            raise EvalError(f"{one.name} did not do what its name says", cause=why)
        return found


def _load(
    directory: RunDirectory, plan: RetrievalPlan, settings: Settings
) -> tuple[RetrievalDataset, NameDocument]:
    """The data set of a run, and what its hits count as."""
    if not plan.dataset.startswith(generated.PREFIX):
        dataset = load(plan, settings)
        return dataset, by_passage(dataset.parents)
    questions = read_questions(directory.path / QUESTIONS)
    dataset = generated.dataset(plan.dataset.removeprefix(generated.PREFIX), questions)
    return dataset, generated.document_of(questions)
