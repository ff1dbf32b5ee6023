"""Finding passages: one retriever a way of searching, all with the same result."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from data.arguments import at_least
from data.text import well_formed
from retrieval.encoders.errors import EncoderUnavailableError
from retrieval.encoders.stock import as_encoder
from retrieval.fusion import Fusion, Scored
from retrieval.identifiers import identifiers_of, raise_holders
from retrieval.index.base import EVERYWHERE, Found, PassageStore, Where
from retrieval.passages import indexed_text


@dataclass(frozen=True)
class Retrieval:
    """What one search found, and how.

    Attributes:
        hits: passages, best first; scores are those of the last step (fusion, or the one engine).
        rankings: per step (``dense``, ``bm25``, ``fused``), passage ids with scores, best first.
        milliseconds: per step (``encode``, ``dense``, ``bm25``, ``fuse``, ``fetch``; a store
            on a server answers both searches as one ``search``).
        query_tokens: tokens the encoder read; 0 where there is none.
        query_cut: whether the query was too long for the encoder, which read its beginning alone.
        fallback: why a part of the search was left out; empty where nothing was.
    """

    hits: list[NodeWithScore]
    rankings: Mapping[str, Sequence[Scored]]
    milliseconds: Mapping[str, float]
    query_tokens: int = 0
    query_cut: bool = False
    fallback: str = ""


class PassageRetriever(BaseRetriever, ABC):
    """A LlamaIndex retriever that can also tell how it got there."""

    @abstractmethod
    def find(self, query: str) -> Retrieval:
        """Search once. Raises RetrievalError where the store or the encoder fails."""

    async def afind(self, query: str) -> Retrieval:
        """`find` in a worker thread, so that an event loop goes on meanwhile."""
        return await asyncio.to_thread(self.find, query)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self.find(well_formed(query_bundle.query_str)).hits

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return (await self.afind(well_formed(query_bundle.query_str))).hits


async def find_each(searches: Iterable[Coroutine[None, None, Retrieval]]) -> list[Retrieval]:
    """What searches find that run at once; none is under way when this ends with an error."""
    found: list[Retrieval] = []
    for outcome in await asyncio.gather(*searches, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        found.append(outcome)
    return found


class DenseRetriever(PassageRetriever):
    """Nearest passages by the similarity that the index is built for: cosine or dot product.

    Args:
        encoder: turns the query into a vector; any LlamaIndex embedding will do.
    """

    def __init__(
        self,
        store: PassageStore,
        encoder: BaseEmbedding,
        top_k: int = 10,
        where: Where = EVERYWHERE,
    ) -> None:
        super().__init__()
        self._store, self._encoder = store, as_encoder(encoder)
        at_least(1, top_k=top_k)
        self._top_k, self._where = top_k, where

    def find(self, query: str) -> Retrieval:
        """See `PassageRetriever.find`."""
        clock = _Clock()
        with clock("encode"):
            encoded = self._encoder.encode_queries([query])
        found = self._store.search(encoded.vectors[0], None, self._top_k, self._where)
        hits = _fetch(self._store, found, found.dense, clock)
        cut = encoded.truncated > 0
        return Retrieval(hits, {"dense": found.dense}, clock.milliseconds, encoded.tokens[0], cut)


class BM25Retriever(PassageRetriever):
    """Passages by BM25, scored by the engine from the stored sparse vectors."""

    def __init__(self, store: PassageStore, top_k: int = 10, where: Where = EVERYWHERE) -> None:
        super().__init__()
        at_least(1, top_k=top_k)
        self._store, self._top_k, self._where = store, top_k, where

    def find(self, query: str) -> Retrieval:
        """See `PassageRetriever.find`."""
        clock = _Clock()
        terms = self._store.spec.bm25.encode_query(query)
        found = self._store.search(None, terms, self._top_k, self._where)
        hits = _fetch(self._store, found, found.sparse, clock)
        return Retrieval(hits, {"bm25": found.sparse}, clock.milliseconds)


class HybridRetriever(PassageRetriever):
    """Dense and BM25 candidates from the full collection, fused into one ranking.

    Where the encoder's server does not answer, BM25 alone does, and the result says why.

    Args:
        encoder: turns the query into a vector; any LlamaIndex embedding will do.
        candidates: number of passages each side gives; at least `top_k` is taken.
    """

    def __init__(
        self,
        store: PassageStore,
        encoder: BaseEmbedding,
        fusion: Fusion,
        top_k: int = 10,
        candidates: int = 100,
        where: Where = EVERYWHERE,
    ) -> None:
        super().__init__()
        self._store, self._encoder, self._fusion = store, as_encoder(encoder), fusion
        at_least(1, top_k=top_k, candidates=candidates)
        self._top_k, self._candidates, self._where = top_k, max(candidates, top_k), where

    def find(self, query: str) -> Retrieval:
        """See `PassageRetriever.find`."""
        clock = _Clock()
        try:
            with clock("encode"):
                encoded = self._encoder.encode_queries([query])
        except EncoderUnavailableError as error:
            alone = BM25Retriever(self._store, self._top_k, self._where).find(query)
            return replace(alone, fallback=f"BM25 alone searched: {_first_line(error)}")
        terms = self._store.spec.bm25.encode_query(query)
        found = self._store.search(encoded.vectors[0], terms, self._candidates, self._where)
        candidates: dict[str, TextNode] = {}
        with clock("fuse"):
            fused = self._fusion.fuse(found.dense, found.sparse)
            if wanted := identifiers_of(query):
                nodes = self._store.fetch_found(found, [passage for passage, _ in fused])
                candidates = {node.node_id: node for node in nodes}
                held = {node.node_id: wanted & identifiers_of(indexed_text(node)) for node in nodes}
                fused = raise_holders(fused, held)
        hits = _fetch(self._store, found, fused[: self._top_k], clock, candidates)
        rankings = {"dense": found.dense, "bm25": found.sparse, "fused": fused}
        cut = encoded.truncated > 0
        return Retrieval(hits, rankings, clock.milliseconds, encoded.tokens[0], cut)


class StockRetriever(PassageRetriever):
    """Any LlamaIndex retriever in the place of ours.

    Args:
        retriever: what searches; it does so on its own terms.
        name: what its ranking is called in traces.
        where: which documents' passages are let through.
    """

    def __init__(self, retriever: BaseRetriever, name: str, where: Where = EVERYWHERE) -> None:
        super().__init__()
        self._retriever, self._name, self._where = retriever, name, where

    def find(self, query: str) -> Retrieval:
        """See `PassageRetriever.find`."""
        clock = _Clock()
        with clock(self._name):
            found = self._retriever.retrieve(query)
        sources = self._where.sources
        hits = [hit for hit in found if not sources or hit.node.metadata["source"] in sources]
        ranking = [(hit.node.node_id, hit.score or 0.0) for hit in hits]
        return Retrieval(hits, {self._name: ranking}, clock.milliseconds)


class NoRetriever(PassageRetriever):
    """Finds nothing: the reader answers without documents (closed-book)."""

    def find(self, query: str) -> Retrieval:  # noqa: ARG002
        """See `PassageRetriever.find`."""
        return Retrieval([], {}, {})


@dataclass
class _Clock:
    """Adds up wall time by step."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.milliseconds[step] = (time.perf_counter() - start) * 1000


def _fetch(
    store: PassageStore,
    found: Found,
    ranking: Sequence[Scored],
    clock: _Clock,
    candidates: Mapping[str, TextNode] = MappingProxyType({}),
) -> list[NodeWithScore]:
    """The hits of a ranking; `candidates` are those fetched already, all of them if any."""
    clock.milliseconds.update(found.milliseconds)
    with clock("fetch"):
        scores = dict(ranking)
        nodes = (
            [candidates[one] for one in scores if one in candidates]
            if candidates
            else store.fetch_found(found, list(scores))
        )
        return [NodeWithScore(node=node, score=scores[node.node_id]) for node in nodes]


def _first_line(error: EncoderUnavailableError) -> str:
    return f"{error.message}: {error.cause}" if error.cause else error.message
