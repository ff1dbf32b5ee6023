"""What every store offers, whichever Qdrant stands behind it."""

import re
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from numpy.typing import NDArray

from retrieval.bm25 import average
from retrieval.fusion import MinMaxFusion, Scored
from retrieval.index.fingerprint import IndexSpec
from retrieval.index.records import CollectionRecord, DocumentRecord
from retrieval.passages import (
    from_stored,
    is_passage,
    title,
    to_stored,
    unknown_content,
    version_id,
)
from retrieval.sparse import SparseVector

Vector = NDArray[np.float32]
_POINT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Where:
    """Which passages a search may return.

    Attributes:
        sources: those of any of these documents, or of all when it is empty.
        filters: those whose metadata pass; see `retrieval.index.filters`.
    """

    sources: tuple[str, ...] = ()
    filters: MetadataFilters | None = None


EVERYWHERE = Where()


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as an engine holds it; written into any store, searches find it with equal scores.

    Equal but for the last bit of a BM25 score: an engine adds up a passage's terms in an order that
    comes of the order in which it was given points.

    Attributes:
        id: its passage id.
        payload: its text and metadata, plain data.
        dense: [dimension], float32, with what normalising and half precision have left of it.
        sparse: its BM25 weights; empty where it has no terms.
    """

    id: str
    payload: Mapping[str, Any]
    dense: Vector
    sparse: SparseVector


@dataclass(frozen=True, slots=True)
class Found:
    """What a store found for one question.

    Attributes:
        dense: the ranking of `PassageStore.dense`, empty where it was not asked for.
        sparse: that of `PassageStore.sparse`, likewise.
        milliseconds: by step.
        payloads: what is stored of every passage of both, by id, where it came in the same answer.
    """

    dense: list[Scored]
    sparse: list[Scored]
    milliseconds: Mapping[str, float]
    payloads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class PassageStore(BasePydanticVectorStore):
    """A LlamaIndex vector store that also keeps document records and finds by BM25.

    Searches see the live version of each document alone (`DocumentRecord`). Scores of `dense` are
    cosines or dot products (`IndexSpec.distance`), those of `sparse` BM25 (`retrieval.bm25.BM25`);
    both lists are best first.
    """

    stores_text: bool = True
    _spec: IndexSpec = PrivateAttr()
    _stored: str | None = PrivateAttr(default=None)

    def __init__(self, spec: IndexSpec) -> None:
        super().__init__(stores_text=True)
        self._spec = spec

    @property
    def spec(self) -> IndexSpec:
        """What the index is built with, or what it was opened with to be listed or emptied."""
        return self._spec

    @property
    def place(self) -> Path:
        """Where it lies, for a person."""
        return Path()

    @property
    def gone(self) -> bool:
        """Whether another process was found to have deleted it; its name may mean another now."""
        return False

    def follow(self, spec: IndexSpec) -> None:
        """Go on with the spec that the index was built with, where it was opened with another."""
        self._spec = spec

    @property
    def stored_fingerprint(self) -> str:
        """Of what the stored vectors were made with; an open store's never changes."""
        if self._stored is None:
            self._stored = self.collection().fingerprint
        return self._stored

    # --- searching ---------------------------------------------------------------------------

    @abstractmethod
    def dense(self, vector: Vector, limit: int, where: Where = EVERYWHERE) -> list[Scored]:
        """The nearest passages to a query vector of shape [dimension]."""

    @abstractmethod
    def sparse(self, vector: SparseVector, limit: int, where: Where = EVERYWHERE) -> list[Scored]:
        """The passages with the highest BM25 score above zero; none for an empty vector."""

    def search(
        self,
        vector: Vector | None,
        terms: SparseVector | None,
        limit: int,
        where: Where = EVERYWHERE,
    ) -> Found:
        """Both searches of a question, or the one that something is given for.

        Args:
            vector: for `dense`.
            terms: for `sparse`.
            limit: passages that each gives.
            where: which passages to search.
        """
        start = time.perf_counter()
        dense = [] if vector is None else self.dense(vector, limit, where)
        between = time.perf_counter()
        sparse = [] if terms is None else self.sparse(terms, limit, where)
        spent = {"dense": between - start, "bm25": time.perf_counter() - between}
        asked = {"dense": vector is not None, "bm25": terms is not None}
        return Found(dense, sparse, {step: 1000 * spent[step] for step in spent if asked[step]})

    def fetch_found(self, found: Found, ids: Sequence[str]) -> list[TextNode]:
        """As `fetch`, of passages in `found`; without another request where they came with it."""
        if not found.payloads:
            return self.fetch(ids)
        return [from_stored(one, found.payloads[one]) for one in ids]

    @abstractmethod
    def fetch(self, ids: Sequence[str]) -> list[TextNode]:
        """Passages by id, in the order asked for; ids that are not stored are left out."""

    @abstractmethod
    def passages(
        self, batch: int = 512, hidden: bool = False, where: Where = EVERYWHERE
    ) -> Iterator[list[TextNode]]:
        """Every live passage, and those that searches must not see if `hidden`, in batches.

        They come in no particular order.

        Raises:
            ValueError: a filter of `where` is not offered.
        """

    @abstractmethod
    def dump(self, batch: int = 256, where: Where = EVERYWHERE) -> Iterator[list[StoredPassage]]:
        """Every live passage with its vectors, in batches and in no particular order.

        Raises:
            ValueError: a filter of `where` is not offered.
        """

    @abstractmethod
    def size(self) -> int:
        """How many passages are stored, those that searches must not see included."""

    # --- writing -----------------------------------------------------------------------------

    @abstractmethod
    def upsert(self, nodes: Sequence[TextNode], weights: Sequence[SparseVector]) -> None:
        """Write passages with their dense (`node.embedding`) and sparse vectors."""

    @abstractmethod
    def restore(self, passages: Sequence[StoredPassage]) -> None:
        """Write passages that `dump` gave, whichever store it was; a second time does no harm."""

    @abstractmethod
    def reweigh(self, ids: Sequence[str], weights: Sequence[SparseVector]) -> None:
        """Replace the sparse vectors of stored passages."""

    @abstractmethod
    def stored_terms(self, ids: Sequence[str]) -> dict[str, int]:
        """Which of these passage ids are stored, and the BM25 length of each."""

    @abstractmethod
    def count(self, version: str) -> int:
        """How many passages of a document version are stored."""

    @abstractmethod
    def delete_version(self, version: str) -> None:
        """Delete all passages of a document version."""

    @abstractmethod
    def delete_source(self, source: str) -> None:
        """Delete all passages of a document, whatever their version, but not its record."""

    @abstractmethod
    def flush(self) -> None:
        """Return only when all that was written would survive a power cut."""

    def require_room(self, size: int) -> None:
        """Refuse to let this machine's disk fill up, where the store lies on it.

        Raises:
            DiskFull: too little would stay free.
        """

    def optimize(self) -> None:
        """Build what makes searches of a large collection faster, where that is not automatic.

        May take minutes and hold the interpreter lock: never call it in a process that serves.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the store; closing twice is allowed."""

    # --- records -----------------------------------------------------------------------------

    @abstractmethod
    def records(self) -> list[DocumentRecord]:
        """All document records, by source."""

    @abstractmethod
    def record(self, source: str) -> DocumentRecord | None:
        """The record of one document."""

    def put_record(self, record: DocumentRecord) -> None:
        """Write a document record; from then on searches follow it."""
        self.put_records([record])

    @abstractmethod
    def put_records(self, records: Sequence[DocumentRecord]) -> None:
        """As `put_record`, for many."""

    @abstractmethod
    def delete_record(self, source: str) -> None:
        """Forget a document whose passages are deleted."""

    @abstractmethod
    def collection(self) -> CollectionRecord:
        """The collection's own record."""

    @abstractmethod
    def put_collection(self, record: CollectionRecord) -> None:
        """Write the collection's own record."""

    # --- LlamaIndex's vector store, on top of these ------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Write passages that carry an embedding; BM25 weights are computed here.

        All metadata is kept. The metadata of a node that `retrieval.passages.passage` made gains
        `terms`, its BM25 length. Any other node becomes a passage of the document `ref_doc_id`,
        which is listed from then on. The first passages ever written fix the average length until
        `retrieval.index.maintenance` refreshes it.

        Raises:
            ValueError: a node is not a TextNode, has no embedding of the index's dimension, or an
                id that is no UUID.
        """
        checked = [self._checked(node) for node in nodes]
        if not checked:
            return []
        passages = [to_stored(node) for node in checked]
        others = [p for p, node in zip(passages, checked, strict=True) if not is_passage(node)]
        before = self.stored_terms([passage.node_id for passage in others])
        counted = [self._spec.bm25.count(passage.text, title(passage)) for passage in passages]
        mean = self._average_length([passage.length for passage in counted])
        for passage, terms in zip(passages, counted, strict=True):
            passage.metadata["terms"] = terms.length
        self.upsert(passages, [self._spec.bm25.weigh(terms, mean) for terms in counted])
        for source in {passage.metadata["source"] for passage in others}:
            self._list(source, [p for p in others if p.metadata["source"] == source], before)
        return [passage.node_id for passage in passages]

    def _list(self, source: str, added: Sequence[TextNode], before: Mapping[str, int]) -> None:
        """Write the record of a document whose passages others make, batch by batch."""
        content, now = unknown_content(source), datetime.now(UTC).isoformat(timespec="microseconds")
        record = self.record(source) or DocumentRecord(source, live=content, since=now)
        terms = sum(one.metadata["terms"] - before.get(one.node_id, 0) for one in added)
        passages = self.count(version_id(source, content))
        total = record.terms + terms
        self.put_record(replace(record, passages=passages, terms=total, updated=now))

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Delete a document: passages of every version of it, then its record."""
        record = self.record(ref_doc_id)
        if record is not None and record.live:
            if record.retired:  # only one version can be named as retired
                self.delete_version(version_id(ref_doc_id, record.retired))
            self.put_record(replace(record, live=None, retired=record.live))
        self.delete_source(ref_doc_id)
        if record is not None:
            self.delete_record(ref_doc_id)

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Live passages: those of the ids, those that pass the filters, or those that do both.

        Raises:
            ValueError: neither is given, or a filter is not offered.
        """
        if filters is None:
            if node_ids is None:
                raise ValueError("get_nodes needs node_ids or filters")
            return list(self.fetch(node_ids))
        batches = self.passages(where=Where(filters=filters))
        wanted = None if node_ids is None else set(node_ids)
        return [
            one for batch in batches for one in batch if wanted is None or one.node_id in wanted
        ]

    def clear(self) -> None:
        """Delete all documents with their passages; what the index is built with stays."""
        sources = {record.source for record in self.records()}
        for batch in self.passages(hidden=True):
            sources.update(str(one.ref_doc_id) for one in batch)
        for source in sources:
            self.delete(source)
        self.put_collection(replace(self.collection(), average_length=0.0, refresh_to=None))

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        """LlamaIndex's query in its modes default (dense), sparse and hybrid (min-max, alpha)."""
        where, limit = Where(filters=query.filters), query.similarity_top_k
        vector: Vector | None = None
        terms: SparseVector | None = None
        if query.mode in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.HYBRID):
            vector = _vector(query)
        if query.mode in (VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.HYBRID):
            terms = self._spec.bm25.encode_query(query.query_str or "")
        if vector is None and terms is None:
            raise ValueError(f"query mode {query.mode} is not one of default, sparse, hybrid")
        found = self.search(vector, terms, limit, where)
        hits = found.dense or found.sparse
        if query.mode == VectorStoreQueryMode.HYBRID:
            weight = 0.5 if query.alpha is None else query.alpha
            hits = MinMaxFusion(weight).fuse(found.dense, found.sparse)[:limit]
        scores = dict(hits)
        nodes = self.fetch_found(found, list(scores))
        return VectorStoreQueryResult(
            nodes=nodes,
            similarities=[scores[node.node_id] for node in nodes],
            ids=[node.node_id for node in nodes],
        )

    def _checked(self, node: BaseNode) -> TextNode:
        if not isinstance(node, TextNode):
            raise ValueError(f"node {node.node_id} is a {type(node).__name__}, not a TextNode")  # noqa: TRY004
        length = len(node.embedding or ())
        if length != self._spec.dimension:
            raise ValueError(
                f"node {node.node_id} has an embedding of length {length}; "
                f"this index takes {self._spec.dimension}"
            )
        if not _POINT_ID.fullmatch(node.node_id):
            raise ValueError(
                f"node {node.node_id!r} has an id that is no UUID; leave id_ out to get one"
            )
        return node

    def _average_length(self, lengths: Sequence[int]) -> float:
        record = self.collection()
        if record.average_length <= 0:
            record = record.refreshed(average(lengths))
            self.put_collection(record)
        return record.refresh_to or record.average_length


def point_ids(ids: Sequence[str]) -> list[str]:
    """Those that can name a point at all; engines refuse the whole call for one that cannot."""
    return [identifier for identifier in ids if _POINT_ID.fullmatch(identifier)]


def _vector(query: VectorStoreQuery) -> Vector:
    if query.query_embedding is None:
        raise ValueError(f"query mode {query.mode} needs query_embedding")
    return np.asarray(query.query_embedding, dtype=np.float32)
