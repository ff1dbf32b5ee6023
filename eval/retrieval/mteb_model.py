"""Any of our systems as a model of mteb, so that its public tasks can be run on it.

mteb (https://github.com/embeddings-benchmark/mteb, 2.26) takes whatever indexes a corpus and
searches it (its `SearchProtocol`), so a whole pipeline is measured, not its encoder alone.
"""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from data.closing import ClosedOnExit
from eval.errors import EvalError
from eval.retrieval.ranking import by_passage, hits_wanted, ranking
from eval.runs.collections import degraded
from eval.runs.lifecycle import OpenService
from rag_app.assembly.opening import open_service
from rag_app.results import IngestReport
from rag_app.service import Service
from rag_app.settings import Settings
from rag_app.systems.grammar import System, parse
from retrieval.index.errors import NoIndexOfEncoder, UnknownCollection

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

T = TypeVar("T")
_CORPUS: Final = "corpus.jsonl"
_ELSEWHERE: Final = {"storage", "server", "collection", "log_level", "limits", "ingest", "ray"}
"""Sections of the settings that change no result."""
_UNKNOWN: Final[dict[str, Any]] = dict.fromkeys((
    "loader", "release_date", "languages", "n_parameters", "memory_usage_mb", "max_tokens",
    "embed_dim", "license", "open_weights", "public_training_code", "public_training_data",
    "similarity_fn_name", "use_instructions", "training_datasets",
))  # fmt: skip
"""What mteb wants to know of one model, and a pipeline of several cannot say."""


class MtebModel(ClosedOnExit):
    """A system behind mteb's `SearchProtocol`; close it, or use it as a context.

    Every corpus is ingested into a scratch collection of its own, which is deleted in the end.

    Args:
        system: the system, or its name, such as ``hybrid`` or ``dense@reasonir-8b+qwen``.
        keep: whether the collections stay, so that another system need not encode the corpus anew.

    Raises:
        UnknownSystem: there is no such system.
    """

    def __init__(
        self,
        settings: Settings,
        system: System | str,
        *,
        opened: OpenService | None = None,
        keep: bool = False,
        concurrency: int = 8,
    ) -> None:
        self.system = parse(system) if isinstance(system, str) else system
        self._settings, self._opened = settings, opened or open_service
        self._keep, self._concurrency = keep, concurrency
        # a loop in a thread of its own: a notebook has one that is running already
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mteb")
        self._runner = asyncio.Runner()
        self._service: Service | None = None
        self._collection = ""
        self._collections: list[str] = []

    @property
    def mteb_model_meta(self) -> "ModelMeta":
        """Name and revision, under which mteb keeps results; the revision is of the settings."""
        from mteb.models.model_meta import ModelMeta

        return ModelMeta(
            name=f"rag-app/{self.system.name}",
            revision=_revision(self._settings, self.system),
            framework=[],
            model_type=[_kind(self.system)],
            **_UNKNOWN,
        )

    def index(
        self,
        corpus: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        **_: Any,
    ) -> None:
        """Ingest a corpus; rows have ``id``, ``text`` and maybe ``title``.

        Raises:
            EvalError: it cannot be ingested.
        """
        name = _collection_name(task_metadata.name, hf_subset, hf_split)
        self._run(self._index(name, corpus))
        self._collection = name

    def search(
        self,
        queries: Iterable[Mapping[str, Any]],
        *,
        top_k: int,
        top_ranked: object = None,
        **_: Any,
    ) -> dict[str, dict[str, float]]:
        """Query id -> passage id -> score; scores fall strictly in the order of the ranking.

        Args:
            queries: rows with ``id``, ``text`` and maybe ``instruction``, which is put behind the
                text, as mteb does.
            top_ranked: must be None.

        Raises:
            EvalError: the task hands over its candidates or conversations, or the system does not
                do what its name says.
        """
        if top_ranked is not None:
            raise EvalError("a reranking task was given to a system that searches by itself")
        asked = {str(row["id"]): _text(row) for row in queries}
        return self._run(self._search_all(asked, top_k))

    def close(self) -> None:
        """Delete the collections unless they are kept, and close the application."""
        self._run(self._close())
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(self._runner.run, work).result()

    async def _index(self, name: str, corpus: Iterable[Mapping[str, Any]]) -> None:
        self._service = self._service or self._opened(self._settings)
        if name not in self._collections:
            self._collections.append(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _CORPUS
            with path.open("w", encoding="utf-8") as file:
                for row in corpus:
                    passage = {"_id": str(row["id"]), "title": row.get("title") or ""}
                    file.write(json.dumps({**passage, "text": row["text"]}) + "\n")
            report = await self._ingest(self._service, name, path)
        if report.failures:
            raise EvalError(f"the corpus of {name} cannot be used", cause=report.failures[0].reason)

    async def _ingest(self, service: Service, name: str, path: Path) -> IngestReport:
        encoder = self.system.options.encoder
        try:
            return await service.ingest(name, [path], encoder=encoder)
        except NoIndexOfEncoder:  # it was kept by a system with another encoder
            await service.build_index(name, encoder)
            return await service.ingest(name, [path], encoder=encoder)

    async def _search_all(
        self, asked: Mapping[str, str], top_k: int
    ) -> dict[str, dict[str, float]]:
        free = asyncio.Semaphore(self._concurrency)

        async def one(query: str, text: str) -> dict[str, float]:
            async with free:
                return await self._search(query, text, top_k)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = {query: group.create_task(one(query, asked[query])) for query in asked}
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # the others were ended for it
        return {query: task.result() for query, task in tasks.items()}

    async def _search(self, query: str, text: str, top_k: int) -> dict[str, float]:
        if self._service is None:
            raise EvalError("nothing is indexed yet")
        reranks = self.system.options.rerank not in (None, "none")
        graded = self._settings.rerank.candidates if reranks else None
        options = self.system.options.model_copy(
            update={"top_k": hits_wanted(top_k, excluded=0, graded=graded)}
        )
        found = await self._service.search(self._collection, text, options)
        if why := degraded(found.trace):
            raise EvalError(f"{self.system.name} did not do what its name says", cause=why)
        document = partial(by_passage({}), query)
        return _falling(ranking(found.hits, document, excluded=(), depth=top_k))

    async def _close(self) -> None:
        if self._service is None:
            return
        for name in () if self._keep else self._collections:
            with suppress(UnknownCollection):
                await self._service.drop_collection(name)
        await self._service.close()
        self._service = None


def _falling(ranked: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Scores that fall with every rank in single precision, which is what trec_eval reads."""
    found: dict[str, float] = {}
    last = np.float32(np.inf)
    for passage, score in ranked:
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))  # ties fall, too
        found[passage] = float(last)
    return found


def _text(row: Mapping[str, Any]) -> str:
    text = row["text"]
    if not isinstance(text, str):
        raise EvalError("a conversation cannot be searched with", cause="a query is not one text")
    return f"{text} {row['instruction']}" if row.get("instruction") else text


def _kind(system: System) -> str:
    retriever = str(system.options.retriever)
    return {"dense": "dense", "hybrid": "hybrid"}.get(retriever, "sparse")


def _collection_name(*parts: str) -> str:
    return "mteb-" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _revision(settings: Settings, system: System) -> str:
    """Of all that a result may depend on."""
    tree = settings.model_dump(mode="json", exclude=_ELSEWHERE)
    content = json.dumps([tree, system.options.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
