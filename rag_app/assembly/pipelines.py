"""The pipeline of a question: the stages that its options ask for, each made once."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, TypeVar

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor

from data.recent import Recent
from generation.evidence import EvidenceFinder
from generation.vector_memory import VectorMemory
from rag_app.assembly import components
from rag_app.assembly.clients import Clients
from rag_app.pipeline import Pipeline, Stages
from rag_app.service import QueryOptions
from rag_app.settings import Settings, override
from retrieval.components import RETRIEVERS
from retrieval.encoders.base import Encoder
from retrieval.index.base import EVERYWHERE, PassageStore, Where
from retrieval.retriever import PassageRetriever, StockRetriever
from retrieval.several import SeveralRetriever

T = TypeVar("T")
_SENTENCES = 50_000
"""Sentences whose vectors are remembered for an encoder, at 2 kB each for 384 dimensions."""
_MOST_KEPT = 64
"""Stages that are kept: questions may name any number of models."""


def _with_options(settings: Settings, options: QueryOptions) -> Settings:
    if options.model:
        settings = settings.model_copy(update={"llm": settings.llm.with_model(options.model)})
    return override(settings, options.overrides())


class Pipelines:
    """Makes the pipeline for one question out of stages that all questions share.

    Args:
        settings: what holds where a question's options leave it open.
        encoders: the encoder of a name.
    """

    def __init__(self, settings: Settings, encoders: Callable[[str], Encoder]) -> None:
        components.require_classes(settings)
        self._encoders = encoders
        self._settings = settings
        self._choose = lru_cache(256)(partial(_with_options, settings))
        self._clients = Clients()
        # Rewriters and finders remember answers and vectors, rerankers what their server refuses,
        # readers how their model begins.
        self._kept: Recent[tuple[str, str], Any] = Recent(_MOST_KEPT)
        self._stock: tuple[object, BaseRetriever] | None = None

    def __call__(
        self,
        options: QueryOptions,
        store: PassageStore | None,
        others: Mapping[str, PassageStore] = MappingProxyType({}),
    ) -> Pipeline:
        """The pipeline over a store; None where `needs_store` says that it needs none.

        Args:
            options: of the question.
            store: of the collection that is asked.
            others: of all that are asked, by name, where there are several.

        Raises:
            SettingsError: a stage cannot be made.
        """
        settings = self._choose(options)
        rewriting, reranking, reading = settings.rewrite, settings.rerank, settings.reader
        make = components
        stages = Stages(
            condenser=self._keep(
                "condense",
                f"{settings.condense.kind} {settings.llm.model}",
                lambda: make.condenser(settings, self._clients),
            ),
            rewriter=self._keep(
                "rewrite",
                f"{rewriting.kind} {settings.llm.model}",
                lambda: make.rewriter(settings, self._clients),
            ),
            retriever=self._several(settings, store, Where(options.sources), others),
            retriever_name=settings.retrieval.retriever,
            reranker=self._reranker(settings),
            reranker_name=reranking.kind,
            reader=self._keep(
                "read",
                f"{reading.kind} {reading.passages} {settings.llm.model}",
                lambda: make.reader(settings, self._clients, partial(self._finder, settings)),
            ),
            combine=rewriting.combine,
            found=make.found(settings),
            kept=settings.retrieval.top_k,
        )
        weights = settings.llm.parameters
        parameters = {settings.llm.model: weights} if weights else {}
        llm, prices = settings.llm, {}
        if llm.price_input is not None and llm.price_output is not None:
            prices[llm.model] = llm.price_input, llm.price_output
        model = self._encoders(settings.encoder.name)
        return Pipeline(stages, reading.passages, model, parameters, prices)

    def use(self, settings: Settings) -> None:
        """Let questions go by other settings from now on; those under way keep their stages.

        Raises:
            SettingsError: a class that they name cannot be used; nothing has changed.
        """
        components.require_classes(settings)
        self._settings = settings
        self._choose = lru_cache(256)(partial(_with_options, settings))
        for key in [key for key in self._kept if key[0] != "finder"]:
            del self._kept[key]

    def needs_store(self, options: QueryOptions) -> bool:
        """Whether the pipeline searches."""
        return self._choose(options).retrieval.retriever != "none"

    def reranker(self) -> BaseNodePostprocessor:
        """The settings' reranker. Raises SettingsError where it cannot be made."""
        return self._reranker(self._settings)

    async def close(self) -> None:
        """Close the connections to the language models, if any were made."""
        await self._clients.close()

    def _keep(self, stage: str, kind: str, make: Callable[[], T]) -> T:
        """One stage for all questions that choose it alike; `kind` says all that they choose."""
        if (stage, kind) not in self._kept:
            self._kept[stage, kind] = make()
        made: T = self._kept[stage, kind]
        return made

    def _reranker(self, settings: Settings) -> BaseNodePostprocessor:
        make = partial(components.reranker, settings, self._clients)
        return self._keep("rerank", f"{settings.rerank.kind} {settings.llm.model}", make)

    def _several(
        self,
        settings: Settings,
        store: PassageStore | None,
        where: Where,
        others: Mapping[str, PassageStore],
    ) -> PassageRetriever:
        """Documents are chosen in the first collection alone."""
        if not others:
            return self._retriever(settings, store, where)
        retrievers = {
            name: self._retriever(settings, one, where if one is store else EVERYWHERE)
            for name, one in others.items()
        }
        return SeveralRetriever(retrievers, components.found(settings))

    def _retriever(
        self, settings: Settings, store: PassageStore | None, where: Where
    ) -> PassageRetriever:
        """One that is not ours may hold all passages: it is kept until these change."""
        name, count = settings.retrieval.retriever, components.found(settings)
        model = partial(self._encoders, settings.encoder.name)
        kind = components.load("retrieval.retriever", name, RETRIEVERS)
        make = partial(components.retriever, kind, settings, store, where, model)
        if store is None or (isinstance(kind, type) and issubclass(kind, PassageRetriever)):
            made: PassageRetriever = make()
            return made
        versions = tuple(record.version for record in store.records())
        state = (name, count, store.spec.fingerprint, versions)
        if self._stock is None or self._stock[0] != state:
            self._stock = state, make()
        return StockRetriever(self._stock[1], name, where)

    def _finder(self, settings: Settings) -> EvidenceFinder:
        """With the bundled encoder, whichever one searches: its weights were fitted to that."""

        def make() -> EvidenceFinder:
            model = self._encoders("minilm")
            vectors = VectorMemory(lambda texts: model.encode_passages(texts).vectors, _SENTENCES)
            return EvidenceFinder(language, vectors, model.encode_query)

        language = settings.bm25.language
        return self._keep("finder", language, make)
