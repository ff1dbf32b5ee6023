"""Settings -> objects: the only file that knows which class stands behind which name."""

import math
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import httpx
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import LLM
from pydantic import BaseModel

from data.limits import MIB, Limits
from data.parsing import Parser
from data.splitting import Splitter
from generation.choosing import Chooser, LLMChooser
from generation.condensing import CarryOverCondenser, Condenser, LLMCondenser, NoCondenser
from generation.evidence import EvidenceFinder
from generation.quoting import QuotingReader
from generation.reading import Reader
from generation.vector_memory import VectorMemory
from rag_app import telemetry
from rag_app.application import Application
from rag_app.assembly.encoders import EncoderChoice, choose
from rag_app.collections.indexes import AwaitReaders, Kit, TakesIn
from rag_app.collections.leftovers import sweep
from rag_app.collections.ownership import Ownership
from rag_app.errors import SettingsError
from rag_app.ingestion.engine import Ingestor
from rag_app.llm_capabilities import Capabilities
from rag_app.pipeline import Pipeline, Stages
from rag_app.service import QueryOptions
from rag_app.settings import LLMSettings, OwnLLM, Rerank, Settings, override
from retrieval.analysis import Analyzer
from retrieval.bm25 import BM25
from retrieval.encoders.base import Encoder
from retrieval.encoders.minilm import MiniLMEmbedding
from retrieval.encoders.registry import built_in
from retrieval.fusion import (
    Fusion,
    MinMaxFusion,
    NoFusion,
    ObservedMinMaxFusion,
    ReciprocalRankFusion,
)
from retrieval.index.base import PassageStore, Where
from retrieval.index.collections import Collections
from retrieval.index.edge_collections import EdgeCollections
from retrieval.index.fingerprint import IndexSpec
from retrieval.reranking.base import Reranker
from retrieval.reranking.cross_encoder import CrossEncoderReranker
from retrieval.reranking.none import KeepOrder
from retrieval.reranking.qwen import QwenReranker
from retrieval.reranking.qwen_sampled import QwenSampledReranker
from retrieval.reranking.rank1 import Rank1Reranker
from retrieval.reranking.retro_star import RetroStarReranker
from retrieval.reranking.two_passes import TwoPassReranker
from retrieval.retriever import (
    BM25Retriever,
    DenseRetriever,
    ForeignRetriever,
    HybridRetriever,
    NoRetriever,
    PassageRetriever,
)
from retrieval.rewriting import LLMRewriter, NoRewriter, Rewriter

silence_telemetry = telemetry.silence

_SENTENCES = 50_000
"""Sentences whose vectors are remembered for an encoder, at 2 kB each for 384 dimensions."""


def open_application(
    settings: Settings, *, may_block: bool = False
) -> tuple[Application, Ownership | None]:
    """The application in this process, and its right to the storage folder.

    A Qdrant server may be shared, so there is nothing to own there. `may_block` allows an ingestion
    to end with work that stops the whole process for minutes; never where people are served.

    Raises:
        StorageInUse: another process owns the storage folder.
        SettingsError: a part that the settings name cannot be made.
    """
    ownership = Ownership(settings.storage.path) if _embedded(settings) else None
    try:
        return _application(settings, ownership, may_block), ownership
    except BaseException:  # whatever it is, the folder is given back and the error goes on
        if ownership:
            ownership.release()
        raise


def _application(settings: Settings, ownership: Ownership | None, may_block: bool) -> Application:
    kits = _Kits(settings)
    pipelines = _Pipelines(settings, kits.encoder)
    places = collections(settings)
    if ownership:
        sweep(settings.storage.path, places)

    async def release() -> None:
        await pipelines.close()
        kits.close()
        if ownership:
            ownership.release()

    return Application(
        places,
        kits,
        pipelines,
        settings.storage.path,
        release,
        settings.storage.hnsw_above if may_block else None,
        partial(Parser, limits(settings)),
    )


def collections(settings: Settings) -> Collections:
    """Where indexes live."""
    storage = settings.storage
    if _embedded(settings):
        return EdgeCollections(storage.path / "collections", storage.min_free_mb * MIB)
    from retrieval.index.server_collections import ServerCollections, connect
    from retrieval.index.server_options import Access, Placement

    key = storage.api_key.get_secret_value() if storage.api_key else None
    client = connect(
        storage.url,
        key,
        prefer_grpc=storage.prefer_grpc,
        grpc_port=storage.grpc_port,
        timeout=storage.timeout,
    )
    placement = Placement(**_given(storage, *_names(Placement)))
    return ServerCollections(client, placement, Access(**_given(storage, *_names(Access))))


def encoder(settings: Settings, name: str | None = None) -> Encoder:
    """The encoder of that name; None means the settings' own. Nothing is loaded yet.

    Raises:
        SettingsError: the registry has none, it cannot be run so, or its licence is not accepted.
    """
    choice = choose(settings, name)
    choice.require_accepted()
    makers: dict[str, Callable[[EncoderChoice], Encoder]] = {
        "onnx": partial(_onnx_encoder, settings),
        "transformers": _transformers_encoder,
        "vllm": _served_encoder,
        "openai": _served_encoder,
    }
    try:
        return makers[choice.backend](choice)
    except ValueError as error:
        name = choice.row.name
        raise SettingsError(f"encoder {name} cannot be made", cause=str(error)) from None


def _onnx_encoder(settings: Settings, choice: EncoderChoice) -> Encoder:
    run = choice.run
    folder, cut = settings.storage.path.absolute() / "models", choice.passage_length
    weights = Path(run.model) if run.model else None
    return MiniLMEmbedding(folder, run.precision, run.workers, cut, weights, choice.row)


def _transformers_encoder(choice: EncoderChoice) -> Encoder:
    from retrieval.encoders.local.reasonir import ReasonIREmbedding
    from retrieval.encoders.local.transformer import TransformersEncoder

    run, row = choice.run, choice.row
    make: Callable[..., Encoder] = partial(TransformersEncoder, row, run.model)
    if row == built_in().get("reasonir-8b"):
        make = partial(ReasonIREmbedding, run.model or row.model_id)
    return make(
        revision=run.revision,
        device=run.device,
        dtype=run.dtype,
        batch_tokens=run.batch_tokens,
        instruction=choice.instruction,
        passage_length=choice.passage_length,
        query_length=choice.query_length,
    )


def _served_encoder(choice: EncoderChoice) -> Encoder:
    from retrieval.encoders.remote.served import ServedEncoder

    run = choice.run
    return ServedEncoder(
        choice.row,
        choice.url,
        api_key=run.api_key.get_secret_value(),
        model=run.served_name,
        revision=run.revision,
        instruction=choice.instruction,
        passage_length=choice.passage_length,
        query_length=choice.query_length,
        concurrency=run.concurrency,
        golden=run.golden,
    )


def chunker(settings: Settings) -> Splitter:
    """Cuts documents, alike for every encoder, so that encoders can be compared on one corpus."""
    chosen = settings.chunking
    try:
        return Splitter(word_counter(settings), chosen.tokens, chosen.overlap)
    except ValueError as error:
        raise SettingsError("settings under chunking do not fit", cause=str(error)) from None


def word_counter(settings: Settings) -> Callable[[str], int]:
    """Counts WordPiece tokens of the bundled model, without the special ones of every text."""
    return partial(_words, MiniLMEmbedding(settings.storage.path.absolute() / "models"))


def _words(model: Encoder, text: str) -> int:
    return model.count_tokens(text) - 2  # [CLS] and [SEP]


def bm25(settings: Settings) -> BM25:
    """The lexical encoder."""
    lexical = settings.bm25
    try:
        return BM25(
            Analyzer(lexical.language),
            lexical.k1,
            lexical.b,
            lexical.k3,
            lexical.title_weight,
            lexical.pair_weight,
        )
    except ValueError as error:
        raise SettingsError("settings under bm25 do not fit", cause=str(error)) from None


def limits(settings: Settings) -> Limits:
    """What one file may cost."""
    chosen = settings.limits
    return Limits(
        max_file_bytes=chosen.file_mb * MIB,
        max_stream_bytes=chosen.stream_mb * MIB,
        max_pages=chosen.pages,
        seconds=chosen.seconds,
        memory_bytes=chosen.memory_mb * MIB,
    )


def fusion(settings: Settings) -> Fusion:
    """Merges two rankings."""
    chosen = settings.retrieval
    makers: dict[str, Callable[[], Fusion]] = {
        "rrf": lambda: ReciprocalRankFusion(chosen.rrf_k),
        "minmax": lambda: MinMaxFusion(chosen.weight),
        "minmax-observed": lambda: ObservedMinMaxFusion(chosen.weight),
        "none": NoFusion,
    }
    return makers[chosen.fusion]()


def llm_of(settings: Settings, own: OwnLLM) -> LLMSettings:
    """The settings of a stage's language model."""
    return settings.llm.model_copy(update=own.model_dump(exclude_none=True))


def llm(
    settings: LLMSettings,
    connections: httpx.AsyncClient,
    *,
    chat: bool = True,
    retries: int = 2,
    capabilities: Capabilities | None = None,
) -> LLM:
    """The one client of an OpenAI-compatible server.

    Args:
        settings: where it is, and what to ask of it.
        connections: the pool it uses; whoever made it closes it.
        chat: whether it is spoken to in turns; else prompts are sent as they are.
        retries: how often a call that may succeed later is made again.
        capabilities: what is known of servers, and where what it learns of this one goes.

    Raises:
        SettingsError: no model is named.
    """
    if not settings.model:
        raise SettingsError(
            "no language model is connected",
            cause="llm.model is empty",
            hint="Set RAG_APP_LLM__API_BASE and RAG_APP_LLM__MODEL, or choose reader `quote`",
        )
    from rag_app.llm_client import MeteredLLM

    return MeteredLLM(
        connections=connections,
        model=settings.model,
        api_base=settings.api_base,
        api_key=settings.api_key.get_secret_value(),
        context_window=settings.context_window,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        timeout=settings.timeout,
        max_retries=retries,
        concurrency=settings.concurrency,
        capabilities=capabilities,
        is_chat_model=chat,
    )


def llm_reader(settings: LLMSettings, client: LLM, finder: EvidenceFinder | None = None) -> Reader:
    """Answers with an LLM, within its context window; `finder` marks the sentences it cites."""
    from generation.budget import TokenBudget
    from generation.llm_reader import LLMReader

    budget = TokenBudget(settings.context_window, settings.max_tokens)
    return LLMReader(client, budget, deadline=settings.timeout, finder=finder)


@asynccontextmanager
async def reranker(settings: Settings) -> AsyncIterator[Reranker]:
    """The reranker alone, with connections that end with the context.

    Raises:
        SettingsError: settings under rerank do not fit, or no model is named.
    """
    pipelines = _Pipelines(settings, partial(encoder, settings))
    try:
        yield pipelines.reranker(settings)
    finally:
        await pipelines.close()


def chooser(
    settings: Settings, connections: httpx.AsyncClient, passages: Iterable[str] = ()
) -> Chooser:
    """What answers multiple-choice questions, by the kind of reader.

    Args:
        settings: `reader.kind` says whether a language model chooses.
        connections: the pool for that model's server; whoever made it closes it.
        passages: texts of the collection that passages will come from, to tell rare words by; for
            what chooses without a language model.

    Raises:
        SettingsError: no model is named.
    """
    makers: dict[str, Callable[[], Chooser]] = {
        "llm": lambda: _llm_chooser(settings.llm, connections),
        "quote": lambda: _scoring_chooser(settings, passages),
    }
    return makers[settings.reader.kind]()


def _llm_chooser(settings: LLMSettings, connections: httpx.AsyncClient) -> Chooser:
    from generation.budget import TokenBudget

    client = llm(settings, connections)
    budget = TokenBudget(settings.context_window, settings.max_tokens)
    return LLMChooser(client, budget, settings.temperature, settings.timeout)


def _scoring_chooser(settings: Settings, passages: Iterable[str]) -> Chooser:
    """With the bundled encoder, whichever one searches: its weights were fitted to that."""
    from generation.option_evidence import Terms, TermShares
    from generation.option_scoring import ScoringChooser

    model = MiniLMEmbedding(settings.storage.path.absolute() / "models")
    language = settings.bm25.language
    shares = TermShares(passages, Terms(language))
    return ScoringChooser(
        lambda texts: model.encode_passages(texts).vectors,
        encoder=model.fingerprint,
        language=language,
        share=shares if shares.passages else None,
        shares=shares.fingerprint,
    )


class _Kits:
    """The kit of every encoder that is asked for, made once; they are closed together."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._chunker, self._bm25 = chunker(settings), bm25(settings)
        self._parser = partial(Parser, limits(settings))
        self._made: dict[str, tuple[Encoder, Kit]] = {}
        self._making = threading.Lock()

    def __call__(self, name: str | None = None) -> Kit:
        return self._one(name)[1]

    def encoder(self, name: str | None = None) -> Encoder:
        """The encoder of that name; None means the settings' own."""
        return self._one(name)[0]

    def close(self) -> None:
        """Close all encoders."""
        for model, _ in self._made.values():
            model.close()

    def _one(self, name: str | None) -> tuple[Encoder, Kit]:
        name = name or self._settings.encoder.name
        with self._making:
            if name not in self._made:
                model = encoder(self._settings, name)
                self._made[name] = model, self._kit(model)
            return self._made[name]

    def _kit(self, model: Encoder) -> Kit:
        spec = IndexSpec(model.dimension, model.identity, self._chunker.identity, self._bm25)
        engine = {"local": self._local, "ray": self._ray}[self._settings.ingest.engine]
        return Kit(model.row.name, spec, partial(engine, model), model.verify)

    def _local(
        self, model: Encoder, store: PassageStore, originals: Path, await_readers: AwaitReaders
    ) -> Ingestor:
        return Ingestor(store, model, self._chunker, self._parser, originals, await_readers)

    def _ray(
        self, model: Encoder, store: PassageStore, originals: Path, await_readers: AwaitReaders
    ) -> TakesIn:
        from rag_app.ingestion.ray_cluster import Cluster
        from rag_app.ingestion.ray_engine import RayIngestor

        cluster = Cluster(**self._settings.ray.model_dump())
        threads = {"workers": math.ceil(cluster.cpus_per_actor)}
        there = override(self._settings, {"encoders": {model.row.name: threads}})
        copied = encoder(there, model.row.name)  # has not been opened, so it travels light
        return RayIngestor(
            store, copied, self._chunker, self._parser, originals, await_readers, cluster
        )


def _with_options(settings: Settings, options: QueryOptions) -> Settings:
    return override(settings, options.overrides())


class _Pipelines:
    """Makes the pipeline for one question out of parts that all questions share."""

    def __init__(self, settings: Settings, encoders: Callable[[str], Encoder]) -> None:
        self._encoders = encoders
        self._choose = lru_cache(256)(partial(_with_options, settings))
        self._connections: httpx.AsyncClient | None = None
        self._capabilities = Capabilities()
        self._models: dict[tuple[LLMSettings, bool], LLM] = {}
        self._rewriters: dict[object, Rewriter] = {}
        self._rerankers: dict[object, Reranker] = {}
        self._finders: dict[str, EvidenceFinder] = {}
        self._reference: tuple[object, BaseRetriever] | None = None

    def __call__(self, store: PassageStore, options: QueryOptions) -> Pipeline:
        settings = self._choose(options)
        return self._around(self._retriever(settings, store, Where(options.sources)), settings)

    def closed_book(self, options: QueryOptions) -> Pipeline | None:
        """The pipeline, if it needs no store because retrieval is off."""
        settings = self._choose(options)
        off = settings.retrieval.retriever == "none"
        return self._around(NoRetriever(), settings) if off else None

    def _around(self, retriever: PassageRetriever, settings: Settings) -> Pipeline:
        chosen, kept = settings.rerank, settings.retrieval.top_k
        stages = Stages(
            condenser=self._condenser(settings),
            rewriter=self._rewriter(settings),
            retriever=retriever,
            retriever_name=settings.retrieval.retriever,
            reranker=self.reranker(settings),
            reranker_name=chosen.kind,
            reader=self._reader(settings),
            combine=settings.rewrite.combine,
            found=_found(settings),
            kept=kept,
        )
        model = self._encoders(settings.encoder.name)
        weights = settings.llm.parameters
        parameters = {settings.llm.model: weights} if weights else {}
        return Pipeline(stages, settings.reader.passages, model, parameters)

    async def close(self) -> None:
        """Close the connections to the language models, if any were made."""
        if self._connections:
            await self._connections.aclose()

    def _condenser(self, settings: Settings) -> Condenser:
        chosen = settings.condense
        usual = "llm" if llm_of(settings, chosen.llm).model else "carry-over"
        kind = usual if chosen.kind == "auto" else chosen.kind
        makers: dict[str, Callable[[], Condenser]] = {
            "none": NoCondenser,
            "carry-over": lambda: CarryOverCondenser(settings.bm25.language),
            "llm": lambda: LLMCondenser(
                self._model(settings, chosen.llm), deadline=chosen.deadline
            ),
        }
        return makers[kind]()

    def _rewriter(self, settings: Settings) -> Rewriter:
        """Kept for all questions with these settings, since it remembers its answers."""
        chosen = settings.rewrite
        if chosen.kind == "none":
            return NoRewriter()
        key = (chosen, settings.llm)
        if key not in self._rewriters:
            self._rewriters[key] = LLMRewriter(
                self._model(settings, chosen.llm),
                tokens=chosen.tokens,
                rewrites=chosen.rewrites,
                keep_original=chosen.keep_original,
                rounds=chosen.rounds,
                deadline=chosen.deadline,
            )
        return self._rewriters[key]

    def reranker(self, settings: Settings) -> Reranker:
        """Kept for all questions with these settings, since it learns what its server refuses."""
        key = (settings.rerank, settings.llm)
        if key not in self._rerankers:
            self._rerankers[key] = self._new_reranker(settings)
        return self._rerankers[key]

    def _new_reranker(self, settings: Settings) -> Reranker:
        chosen = settings.rerank
        model = partial(self._model, settings, chosen.llm)
        own = llm_of(settings, chosen.llm)
        limits = _given(chosen, "concurrency", "deadline")
        mixed = _given(chosen, "weight", "normalise", "passage_tokens") | limits
        graded = {"definition": chosen.definition, **mixed}
        makers: dict[str, Callable[[], Reranker]] = {
            "none": KeepOrder,
            "qwen": lambda: QwenReranker(model(), **graded),
            "qwen-sampled": lambda: QwenSampledReranker(
                model(chat=False), definition=chosen.definition, template=chosen.template, **limits
            ),
            "rank1": lambda: Rank1Reranker(model(chat=False), **graded),
            "retro-star": lambda: _retro_star(chosen, model(), **graded),
            "cross-encoder": lambda: CrossEncoderReranker(
                self._pool(),
                chosen.url,
                own.model,
                api_key=own.api_key.get_secret_value(),
                **mixed,
            ),
        }
        try:
            return makers[chosen.kind]()
        except ValueError as error:
            raise SettingsError("settings under rerank do not fit", cause=str(error)) from None

    def _model(self, settings: Settings, own: OwnLLM, *, chat: bool = True) -> LLM:
        """A client for a stage; stages that ask the same server share one, and its limit."""
        chosen = llm_of(settings, own)
        key = (chosen, chat)
        if key not in self._models:
            self._models[key] = llm(
                chosen, self._pool(), chat=chat, capabilities=self._capabilities
            )
        return self._models[key]

    def _pool(self) -> httpx.AsyncClient:
        if self._connections is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
            self._connections = httpx.AsyncClient(trust_env=False, limits=limits)
        return self._connections

    def _retriever(self, settings: Settings, store: PassageStore, where: Where) -> PassageRetriever:
        chosen, model = settings.retrieval, self._encoders(settings.encoder.name)
        found = _found(settings)
        makers: dict[str, Callable[[], PassageRetriever]] = {
            "dense": lambda: DenseRetriever(store, model, found, where),
            "bm25": lambda: BM25Retriever(store, found, where),
            "hybrid": lambda: HybridRetriever(
                store, model, fusion(settings), found, chosen.candidates, where
            ),
            "rank_bm25": lambda: ForeignRetriever(
                self._rank_bm25(settings, store), "rank_bm25", where
            ),
            "none": NoRetriever,
        }
        return makers[chosen.retriever]()

    def _rank_bm25(self, settings: Settings, store: PassageStore) -> BaseRetriever:
        """The reference index, built once for a state of the collection."""
        from retrieval.rank_bm25_reference import RankBM25Retriever

        versions = tuple(record.version for record in store.records())
        state = (store.spec.fingerprint, versions, _found(settings))
        if self._reference is None or self._reference[0] != state:
            nodes = (node for batch in store.passages() for node in batch)
            terms = bm25(settings)
            index = RankBM25Retriever(nodes, terms.analyzer, terms.k1, terms.b, _found(settings))
            self._reference = (state, index)
        return self._reference[1]

    def _reader(self, settings: Settings) -> Reader:
        chosen = settings.reader
        makers: dict[str, Callable[[], Reader]] = {
            "quote": lambda: QuotingReader(
                sentences=chosen.sentences,
                passages=max(1, chosen.passages),
                finder=self._finder(settings),
            ),
            "llm": lambda: self._llm_reader(settings),
        }
        return makers[chosen.kind]()

    def _finder(self, settings: Settings) -> EvidenceFinder:
        """With the bundled encoder, whichever one searches: its weights were fitted to that.

        Kept for all questions, since it remembers the vectors of sentences.
        """
        language = settings.bm25.language
        if language not in self._finders:
            model = self._encoders("minilm")
            vectors = VectorMemory(lambda texts: model.encode_passages(texts).vectors, _SENTENCES)
            self._finders[language] = EvidenceFinder(language, vectors, model.encode_query)
        return self._finders[language]

    def _llm_reader(self, settings: Settings) -> Reader:
        model = self._model(settings, OwnLLM())
        return llm_reader(settings.llm, model, self._finder(settings))


def _retro_star(chosen: Rerank, model: LLM, **graded: Any) -> Reranker:
    """In one pass, or in two of which the first chooses those that are worth many samples."""
    grader = partial(RetroStarReranker, model, template=chosen.template, **graded)
    last = grader(samples=chosen.samples)
    if chosen.finalists is None:
        return last
    return TwoPassReranker(grader(samples=1, weight=1.0), last, chosen.finalists)


def _given(section: BaseModel, *names: str) -> dict[str, Any]:
    """Those of the values that are set; the rest is left to whoever takes them."""
    return {name: value for name in names if (value := getattr(section, name)) is not None}


def _names(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


def _found(settings: Settings) -> int:
    """How many passages are retrieved: a reranker is given more than it leaves."""
    top_k = settings.retrieval.top_k
    return top_k if settings.rerank.kind == "none" else max(top_k, settings.rerank.candidates)


def _embedded(settings: Settings) -> bool:
    return settings.storage.engine == "embedded"
