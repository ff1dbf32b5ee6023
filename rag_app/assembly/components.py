"""Settings -> objects: builds every stage from its row, or from the class of a dotted path.

`build` is the whole idea: the class is loaded, and given those of the stage's parts that its
``__init__`` names. The rows are in `data.components`, `retrieval.components` and
`generation.components`. A dotted path ``package.module:Class`` comes from settings files and the
environment alone (`rag_app.service.QueryOptions` refuses it): it names anyone's LlamaIndex
component, which is made from ``options`` of its section and the few parts that it names, too.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from inspect import signature
from pathlib import Path
from typing import Any

import httpx
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor

from data.components import SPLITTERS
from data.limits import MIB, Limits
from data.parsing import Parser
from data.registry import Row
from data.splitting import Splitter
from generation.budget import TokenBudget
from generation.choosing import Chooser, LLMChooser
from generation.components import CONDENSERS, READERS
from generation.condensing import Condenser
from generation.evidence import EvidenceFinder
from generation.reading import Reader
from rag_app.assembly.clients import Clients, llm, llm_of
from rag_app.assembly.encoders import EncoderChoice, choose
from rag_app.errors import SettingsError
from rag_app.ingestion.engine import AwaitReaders, Ingestor
from rag_app.settings import LLMSettings, Rerank, Retrieval, Settings, StageLLM, override
from retrieval.analysis import Analyzer
from retrieval.bm25 import BM25
from retrieval.components import ENCODER_BACKENDS, FUSIONS, RERANKERS, RETRIEVERS, REWRITERS
from retrieval.encoders.base import Encoder
from retrieval.encoders.minilm import MiniLMEmbedding
from retrieval.encoders.registry import built_in
from retrieval.encoders.stock import StockEncoder
from retrieval.fusion import Fusion
from retrieval.index.base import PassageStore, Where
from retrieval.rewriting import Rewriter

Parts = Mapping[str, Callable[[], Any]]
"""What a stage has to offer, by the names that classes call it; made when a class asks for it."""


def build(section: str, kind: Callable[..., Any], parts: Parts, **options: Any) -> Any:
    """An object of a class, given the options, and those of the parts that its `__init__` names.

    Raises:
        SettingsError: an argument is missing, unknown or out of its range.
    """
    wanted = _arguments(kind) - options.keys()
    try:
        return kind(**{name: make() for name, make in parts.items() if name in wanted}, **options)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"settings under {section} do not fit", cause=str(error)) from error


@lru_cache(256)
def _arguments(kind: Callable[..., Any]) -> frozenset[str]:
    return frozenset(signature(kind).parameters)


def _ready(values: Mapping[str, Any]) -> Parts:
    """Parts that are there already."""
    return {name: partial(values.__getitem__, name) for name in values}


def load(setting: str, name: str, rows: Mapping[str, Row]) -> Callable[..., Any]:
    """The class of a row, or of a dotted path.

    Raises:
        SettingsError: it cannot be imported.
    """
    row = rows.get(name) or Row(name, name, "a class of the user's")
    try:
        found: Callable[..., Any] = row.load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"setting {setting} = {name!r} cannot be used",
            cause=str(error),
            hint=f"It needs {row.needs}"
            if row.needs
            else "Install its package, or correct the path",
        ) from error
    if name not in rows and not isinstance(found, type):
        raise SettingsError(
            f"setting {setting} = {name!r} cannot be used",
            cause="it is no class",
            hint="Name a class: package.module:Class",
        )
    return found


def require_classes(settings: Settings) -> None:
    """Try the classes that settings name by their paths, before questions go by them.

    Raises:
        SettingsError: one cannot be imported, or is none.
    """
    for setting, name, rows in (
        ("chunking.splitter", settings.chunking.splitter, SPLITTERS),
        ("retrieval.retriever", settings.retrieval.retriever, RETRIEVERS),
        ("rerank.kind", settings.rerank.kind, RERANKERS),
        ("reader.kind", settings.reader.kind, READERS),
    ):
        if name not in rows:
            load(setting, name, rows)


# --- documents -------------------------------------------------------------------------------


def splitter(settings: Settings) -> Splitter:
    """Cuts documents, alike for every encoder, so that encoders can be compared on one corpus."""
    chosen = settings.chunking
    kind = load("chunking.splitter", chosen.splitter, SPLITTERS)
    if chosen.splitter not in SPLITTERS:
        from rag_app.ingestion.stock_splitter import StockSplitter

        stock = build("chunking", kind, {}, **chosen.options)
        return StockSplitter(stock, chosen.splitter, chosen.options)
    parts: Parts = {
        "count_tokens": lambda: word_counter(settings),
        "chunk_tokens": lambda: chosen.tokens,
        "overlap_tokens": lambda: chosen.overlap,
    }
    made: Splitter = build("chunking", kind, parts)
    return made


def word_counter(settings: Settings) -> Callable[[str], int]:
    """Counts WordPiece tokens of the bundled model, without the special ones of every text."""
    return partial(_words, MiniLMEmbedding(_models(settings)))


def _words(model: Encoder, text: str) -> int:
    return model.count_tokens(text) - 2  # [CLS] and [SEP]


def _models(settings: Settings) -> Path:
    return settings.storage.path.absolute() / "models"


def limits(settings: Settings) -> Limits:
    """What one file may cost."""
    chosen = settings.limits
    return Limits(
        max_file_bytes=chosen.file_mb * MIB,
        max_stream_bytes=chosen.stream_mb * MIB,
        max_pages=chosen.pages,
        seconds=chosen.seconds,
        encode_seconds=chosen.encode_seconds,
        memory_bytes=chosen.memory_mb * MIB,
    )


def ingestor(
    settings: Settings,
    cut: Splitter,
    model: Encoder,
    store: PassageStore,
    originals: Path,
    await_readers: AwaitReaders,
) -> Ingestor:
    """What ingests documents, in this process or with Ray."""
    parser = partial(Parser, limits(settings))
    if settings.ingest.engine == "local":
        return Ingestor(store, model, cut, parser, originals, await_readers)
    from rag_app.ingestion.ray_cluster import Cluster
    from rag_app.ingestion.ray_engine import RayIngestor

    cluster = Cluster(**settings.ray.model_dump())
    threads = {"workers": math.ceil(cluster.cpus_per_actor)}
    there = override(settings, {"encoders": {model.row.name: threads}})
    copied = encoder(there, model.row.name)  # has not been opened, so it travels light
    return RayIngestor(store, copied, cut, parser, originals, await_readers, cluster)


# --- retrieval -------------------------------------------------------------------------------


def encoder(settings: Settings, name: str | None = None) -> Encoder:
    """The encoder of that name; None means the settings' own. Nothing is loaded yet.

    Raises:
        SettingsError: the registry has none, it cannot be run so, or its licence is not accepted.
    """
    choice = choose(settings, name)
    choice.require_accepted()
    if choice.backend == "class":
        path = choice.row.name
        kind = load("encoder.name", path, {})
        return StockEncoder(build("encoder", kind, {}, **settings.encoder.options), name=path)
    kind = load("encoder.backend", choice.backend, ENCODER_BACKENDS)
    if choice.backend == "transformers" and choice.row == built_in().get("reasonir-8b"):
        kind = Row("", "retrieval.encoders.local.reasonir:ReasonIREmbedding", "").load()
    try:
        made: Encoder = build("encoder", kind, _encoder_parts(settings, choice))
    except SettingsError as error:
        raise SettingsError(
            f"encoder {choice.row.name} cannot be made", cause=error.cause
        ) from None
    return made


def _encoder_parts(settings: Settings, choice: EncoderChoice) -> Parts:
    run = choice.run
    model = run.served_name if choice.served else run.model or choice.row.model_id
    given = {
        **run.model_dump(),
        "row": choice.row,
        "model": model,
        "url": choice.url,
        "api_key": run.api_key.get_secret_value(),
        "instruction": choice.instruction,
        "passage_length": choice.passage_length,
        "query_length": choice.query_length,
        "cache_dir": _models(settings),
        "max_length": choice.passage_length,
        "model_dir": Path(run.model) if run.model else None,
    }
    return _ready(given)


def bm25(settings: Settings) -> BM25:
    """The lexical encoder."""
    chosen = settings.bm25
    parts = _ready(dict(chosen))
    try:
        analyzer = Analyzer(chosen.language)
    except ValueError as error:
        raise SettingsError("settings under bm25 do not fit", cause=str(error)) from None
    made: BM25 = build("bm25", BM25, parts, analyzer=analyzer)
    return made


def fusion(settings: Settings) -> Fusion:
    """Merges two rankings."""
    chosen = settings.retrieval
    parts: Parts = {"k": lambda: chosen.rrf_k, "weight": lambda: chosen.weight}
    made: Fusion = build("retrieval", load("retrieval.fusion", chosen.fusion, FUSIONS), parts)
    return made


def found(settings: Settings) -> int:
    """How many passages are retrieved: a reranker is given more than it leaves."""
    top_k = settings.retrieval.top_k
    return top_k if settings.rerank.kind == "none" else max(top_k, settings.rerank.candidates)


def retriever(
    kind: Callable[..., Any],
    settings: Settings,
    store: PassageStore | None,
    where: Where,
    model: Callable[[], Encoder],
) -> Any:
    """Finds passages: one of ours, or any retriever."""
    chosen = settings.retrieval
    nodes = (node for batch in (store.passages() if store else ()) for node in batch)
    parts: Parts = {
        "store": lambda: store,
        "encoder": partial(_patient_enough, chosen, model),
        "fusion": partial(fusion, settings),
        "top_k": partial(found, settings),
        "candidates": lambda: chosen.candidates,
        "where": lambda: where,
        "nodes": lambda: list(nodes) if ":" in chosen.retriever else nodes,
        "analyzer": lambda: bm25(settings).analyzer,
        "k1": lambda: settings.bm25.k1,
        "b": lambda: settings.bm25.b,
        "similarity_top_k": partial(found, settings),
    }
    return build("retrieval", kind, parts, **chosen.options)


def _patient_enough(chosen: Retrieval, model: Callable[[], Encoder]) -> Encoder:
    """The encoder; of `hybrid`, which can do without, one that gives its server up soon."""
    from retrieval.encoders.remote.served import ServedEncoder

    made = model()
    if chosen.retriever == "hybrid" and isinstance(made, ServedEncoder):
        return made.hasty(chosen.encoder_deadline)
    return made


def rewriter(settings: Settings, clients: Clients) -> Rewriter:
    """Makes queries of a question."""
    chosen = settings.rewrite
    parts = {**_ready(dict(chosen)), "llm": lambda: clients.get(llm_of(settings, chosen.llm))}
    made: Rewriter = build("rewrite", load("rewrite.kind", chosen.kind, REWRITERS), parts)
    return made


def reranker(settings: Settings, clients: Clients) -> BaseNodePostprocessor:
    """Puts passages in a better order: one of ours, or any node postprocessor."""
    chosen, model = settings.rerank, llm_of(settings, settings.rerank.llm)
    kind = reranker_class(chosen)
    parts: Parts = {"llm": lambda: clients.get(model)}
    if chosen.kind in RERANKERS:
        parts = {
            **parts,
            "completions": lambda: clients.get(model, chat=False),
            "connections": clients.connections,
            "url": lambda: chosen.url,
            "model": lambda: chosen.model or model.model,
            "backend": lambda: chosen.backend,
            "api_key": model.api_key.get_secret_value,
            "definition": lambda: chosen.definition,
            "template": lambda: chosen.template,
            "samples": lambda: chosen.samples,
            "finalists": lambda: chosen.finalists,
            "grading": lambda: replace(usual_grading(kind), **chosen.grading()),
        }
    made: BaseNodePostprocessor = build("rerank", kind, parts, **chosen.options)
    return made


def reranker_class(chosen: Rerank) -> Callable[..., Any]:
    """The class that `rerank.kind` names; of a cross-encoder, where its model runs decides."""
    name = chosen.kind
    if name == "cross-encoder" and chosen.model:
        name = "retrieval.reranking.local_cross_encoder:LocalCrossEncoder"
    return load("rerank.kind", name, RERANKERS)


def usual_grading(kind: Callable[..., Any]) -> Any:
    """How a reranker grades where the settings leave it open; None for one that does not grade."""
    grading = signature(kind).parameters.get("grading")
    return grading.default if grading else None


# --- generation ------------------------------------------------------------------------------


def condenser(settings: Settings, clients: Clients) -> Condenser:
    """Makes a follow-up question one that stands alone."""
    chosen, model = settings.condense, llm_of(settings, settings.condense.llm)
    default = "llm" if model.model else "carry-over"
    kind = default if chosen.kind == "auto" else chosen.kind
    parts: Parts = {
        "llm": lambda: clients.get(model),
        "deadline": lambda: chosen.deadline,
        "language": lambda: settings.bm25.language,
    }
    made: Condenser = build("condense", load("condense.kind", kind, CONDENSERS), parts)
    return made


def reader(settings: Settings, clients: Clients, finder: Callable[[], EvidenceFinder]) -> Reader:
    """Answers: one of ours, or ours over a language model of anyone's."""
    chosen = settings.reader
    kind = load("reader.kind", chosen.kind, READERS)
    if chosen.kind not in READERS:
        made = build("reader", kind, {}, **chosen.options)
        if not isinstance(made, LLM):
            if not isinstance(made, Reader):
                raise SettingsError(
                    f"setting reader.kind = {chosen.kind!r} is not valid",
                    cause="it is neither a language model nor a reader",
                )
            return made
        window = made.metadata.context_window
        # what a stock model says of its longest answer is mostly LlamaIndex's default of 256, or -1
        longest = max(made.metadata.num_output, settings.llm.max_tokens)
        limits = {"context_window": window, "max_tokens": max(1, min(longest, window // 2))}
        return llm_reader(settings.llm.model_copy(update=limits), made, finder())
    parts: Parts = {
        "llm": lambda: clients.get(llm_of(settings, StageLLM())),
        "budget": lambda: budget(settings.llm),
        "deadline": lambda: settings.llm.timeout,
        "sentences": lambda: chosen.sentences,
        "passages": lambda: max(1, chosen.passages),
        "finder": finder,
    }
    answers: Reader = build("reader", kind, parts)
    return answers


def budget(settings: LLMSettings) -> TokenBudget:
    """The context window of a language model, and what of it is kept for the answer."""
    return TokenBudget(settings.context_window, settings.max_tokens)


def llm_reader(settings: LLMSettings, client: LLM, finder: EvidenceFinder | None = None) -> Reader:
    """Answers with an LLM, within its context window; `finder` marks the sentences it cites."""
    from generation.llm_reader import LLMReader

    return LLMReader(client, budget(settings), deadline=settings.timeout, finder=finder)


def chooser(
    settings: Settings, connections: httpx.AsyncClient, passages: Iterable[str] = ()
) -> Chooser:
    """What answers multiple-choice questions, by the kind of reader.

    Args:
        passages: texts of the collection that passages will come from, to tell rare words by; for
            what chooses without a language model.

    Raises:
        SettingsError: no model is named.
    """
    if settings.reader.kind == "quote":
        return _scoring_chooser(settings, passages)
    chosen, client = settings.llm, llm(settings.llm, connections)
    return LLMChooser(client, budget(chosen), chosen.temperature, chosen.timeout)


def _scoring_chooser(settings: Settings, passages: Iterable[str]) -> Chooser:
    """With the bundled encoder, whichever one searches: its weights were fitted to that."""
    from generation.option_evidence import Terms, TermShares
    from generation.option_scoring import ScoringChooser

    model, language = MiniLMEmbedding(_models(settings)), settings.bm25.language
    shares = TermShares(passages, Terms(language))
    return ScoringChooser(
        lambda texts: model.encode_passages(texts).vectors,
        encoder=model.fingerprint,
        language=language,
        share=shares if shares.passages else None,
        shares=shares.fingerprint,
    )
