"""A Qdrant server, one collection of it a version, in the form LlamaIndex's own store reads."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import numpy as np
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import BaseNode, TextNode
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models

from retrieval.bm25 import BM25
from retrieval.fusion import Scored
from retrieval.index.base import (
    EVERYWHERE,
    Found,
    PassageStore,
    StoredPassage,
    Vector,
    Where,
    point_ids,
)
from retrieval.index.errors import IndexGone
from retrieval.index.filters import Group, Leaf, parse_filters
from retrieval.index.fingerprint import IndexSpec
from retrieval.index.records import (
    COLLECTION_POINT,
    CollectionRecord,
    DocumentRecord,
    record_point,
)
from retrieval.index.server_calls import Calls, equals, pages
from retrieval.index.server_options import AS_THE_SERVER_LIKES, Access
from retrieval.index.tenants import TenantClient
from retrieval.passages import from_stored
from retrieval.sparse import SparseVector

T = TypeVar("T")


DENSE, SPARSE = "dense", "bm25"
PASSAGE, DOCUMENT, HIDES = "passage", "document", "hides"
INDEXED_KEYS = ("kind", "version", "source", HIDES)
TERMS = "term_ids"
"""A passage's BM25 terms, kept where there are several shards, to be counted over all."""

_REQUEST_BYTES = 4_000_000  # Qdrant advises requests well under its 32 MB; DESIGN asks for < 5 MB
_REQUEST_POINTS = 256
_PAGE = 512
_COUNTING = 16  # terms of a query that are counted at once
_MOST_COUNTED = 128
"""Terms of a query that are counted, each by a request of its own."""


class WeighedNode(TextNode):
    """A passage on its way into the store, with its BM25 vector."""

    weight: SparseVector = Field(exclude=True)


class LeanVectorStore(QdrantVectorStore):
    """LlamaIndex's store, without the JSON copy of the whole node in every payload.

    Stock payloads hold the metadata twice and the text in ``_node_content``: about 835 bytes more a
    passage. These hold ``text`` and the metadata once, which the stock class reads as well (its
    `parse_to_query_result` falls back to `text_key` where there is no ``_node_content``).
    """

    def __init__(self, client: Any, collection: str, bm25: BM25) -> None:
        def encode(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
            vectors = [bm25.encode_query(text) for text in texts]
            return [vector.indices for vector in vectors], [vector.values for vector in vectors]

        super().__init__(
            collection,
            client=client,
            enable_hybrid=True,
            dense_vector_name=DENSE,
            sparse_vector_name=SPARSE,
            sparse_doc_fn=encode,  # never called: nodes bring their weights
            sparse_query_fn=encode,
            index_doc_id=False,
            batch_size=_REQUEST_POINTS,
            max_retries=0,  # `Calls` repeats, with a back-off
        )
        self._legacy_vector_format = False  # known; else each `add` asks the server again

    def _build_points(
        self,
        nodes: list[BaseNode],
        sparse_vector_name: str,  # noqa: ARG002
    ) -> tuple[list[Any], list[str]]:
        return [self.point(passage) for passage in nodes], [node.node_id for node in nodes]

    def point(self, passage: BaseNode) -> models.PointStruct:
        """What is stored of a passage. Raises TypeError for a node without BM25 weights."""
        if not isinstance(passage, WeighedNode):
            raise TypeError(f"node {passage.node_id} has no BM25 weights; add it to a PassageStore")
        vectors: dict[str, Any] = {DENSE: passage.get_embedding()}
        if passage.weight.indices:  # a passage without terms is none of the N that idf counts
            vectors[SPARSE] = _sparse(passage.weight)
        return models.PointStruct(
            id=passage.node_id,
            vector=vectors,
            payload={**passage.metadata, "kind": PASSAGE, "text": passage.text},
        )


class ServerStore(PassageStore):
    """A collection version on a Qdrant server. Any number of processes may share it.

    What other processes hide or show (`DocumentRecord.hidden`) is noticed within `HIDDEN_SECONDS`;
    what this object does, at once. Every write returns when the server has applied it and logged it
    ahead.

    Args:
        client: of the server; it stays open when the store is closed.
        collection: Qdrant's name of the version, as `ServerCollections` made it.
        spec: what the index is built with.
        calls: how calls are repeated.
        access: how copies are read and written, and how closely the graph is searched.

    Raises:
        StoreError: the server does not answer, or refuses.
    """

    HIDDEN_SECONDS: ClassVar[float] = 1.0

    _client: QdrantClient | TenantClient = PrivateAttr()
    _collection: str = PrivateAttr()
    _repeat: Calls = PrivateAttr()
    _gone: bool = PrivateAttr(default=False)
    _consistency: models.ReadConsistencyType | None = PrivateAttr()
    _ordering: models.WriteOrdering | None = PrivateAttr()
    _closely: models.SearchParams = PrivateAttr()
    _vector_store: LeanVectorStore = PrivateAttr()
    _counts_terms: bool = PrivateAttr()
    _payload: Any = PrivateAttr()
    _hidden: dict[str, frozenset[str]] = PrivateAttr()
    _hidden_until: float = PrivateAttr()
    _noting: Any = PrivateAttr()

    def __init__(
        self,
        client: QdrantClient | TenantClient,
        collection: str,
        spec: IndexSpec,
        calls: Calls | None = None,
        access: Access = AS_THE_SERVER_LIKES,
    ) -> None:
        super().__init__(spec)
        self._client, self._collection = client, collection
        self._repeat = calls or Calls(client)
        read, write = access.read_consistency, access.write_ordering
        self._consistency = models.ReadConsistencyType(read) if read else None
        self._ordering = models.WriteOrdering(write) if write else None
        self._closely = models.SearchParams(hnsw_ef=access.hnsw_ef)
        self._vector_store = self._calls(lambda: LeanVectorStore(client, collection, spec.bm25))
        kept = self._calls(lambda: client.get_collection(collection)).config.params.sparse_vectors
        self._counts_terms = (kept or {})[SPARSE].modifier != models.Modifier.IDF
        unread = models.PayloadSelectorExclude(exclude=[TERMS])
        self._payload = unread if self._counts_terms else True
        self._hidden, self._hidden_until = {}, 0.0
        self._noting = threading.Lock()

    @property
    def client(self) -> QdrantClient | TenantClient:
        """Of the server; stays open when the store is closed."""
        return self._client

    @property
    def vector_store(self) -> QdrantVectorStore:
        """LlamaIndex's own store over this collection; its searches see hidden versions too."""
        return self._vector_store

    @property
    def gone(self) -> bool:
        """See `PassageStore.gone`."""
        return self._gone

    # --- searching ---------------------------------------------------------------------------

    def dense(self, vector: Vector, limit: int, where: Where = EVERYWHERE) -> list[Scored]:
        """See `PassageStore.dense`; approximate (HNSW) where the server has built its graph."""
        (points,) = self._query([self._nearest(vector, limit, where)])
        return _scored(points)

    def sparse(self, vector: SparseVector, limit: int, where: Where = EVERYWHERE) -> list[Scored]:
        """See `PassageStore.sparse`."""
        if not vector.indices:
            return []
        (points,) = self._query([self._matching(vector, limit, where)])
        return _above_zero(points)

    def search(
        self,
        vector: Vector | None,
        terms: SparseVector | None,
        limit: int,
        where: Where = EVERYWHERE,
    ) -> Found:
        """See `PassageStore.search`; one request asks for both rankings and their texts."""
        start = time.perf_counter()
        asked: dict[str, models.QueryRequest] = {}
        if vector is not None:
            asked[DENSE] = self._nearest(vector, limit, where)
        if terms and terms.indices:
            asked[SPARSE] = self._matching(terms, limit, where)
        for request in asked.values():
            request.with_payload = self._payload
        answers = dict(zip(asked, self._query(list(asked.values())), strict=True))
        return Found(
            _scored(answers.get(DENSE, [])),
            _above_zero(answers.get(SPARSE, [])),
            {"search": 1000 * (time.perf_counter() - start)},
            {str(one.id): one.payload or {} for points in answers.values() for one in points},
        )

    def fetch(self, ids: Sequence[str]) -> list[TextNode]:
        """See `PassageStore.fetch`."""
        found = {
            str(record.id): _node(record)
            for record in self._retrieve(ids, self._payload)
            if _kind(record) == PASSAGE
        }
        return [found[passage] for passage in ids if passage in found]

    def passages(
        self, batch: int = 512, hidden: bool = False, where: Where = EVERYWHERE
    ) -> Iterator[list[TextNode]]:
        """See `PassageStore.passages`."""
        unwanted = [] if hidden else self._not_hidden()
        wanted = [equals("kind", PASSAGE), *_conditions(where)]
        for records in self._scroll(models.Filter(must=wanted, must_not=unwanted), batch):
            yield [_node(record) for record in records]

    def dump(self, batch: int = 256, where: Where = EVERYWHERE) -> Iterator[list[StoredPassage]]:
        """See `PassageStore.dump`."""
        wanted = [equals("kind", PASSAGE), *_conditions(where)]
        live = models.Filter(must=wanted, must_not=self._not_hidden())
        for records in self._scroll(live, batch, vectors=True):
            yield [_stored(record) for record in records]

    def size(self) -> int:
        """See `PassageStore.size`."""
        return self._count(models.Filter(must=[equals("kind", PASSAGE)]))

    # --- writing -----------------------------------------------------------------------------

    def upsert(self, nodes: Sequence[TextNode], weights: Sequence[SparseVector]) -> None:
        """See `PassageStore.upsert`; in requests of less than 5 MB."""
        weighed = (
            WeighedNode(
                id_=passage.node_id,
                text=passage.text,
                embedding=passage.get_embedding(),
                metadata=passage.metadata,
                weight=weight,
            )
            for passage, weight in zip(nodes, weights, strict=True)
        )
        for request in _requests(weighed, _node_bytes):
            self._write([self._vector_store.point(passage) for passage in request])

    def restore(self, passages: Sequence[StoredPassage]) -> None:
        """See `PassageStore.restore`; in requests of less than 5 MB."""
        for request in _requests(passages, _stored_bytes):
            self._write([_restored(one) for one in request])

    def reweigh(self, ids: Sequence[str], weights: Sequence[SparseVector]) -> None:
        """See `PassageStore.reweigh`."""
        changed = [
            models.PointVectors(id=passage, vector={SPARSE: _sparse(weight)})
            for passage, weight in zip(ids, weights, strict=True)
            if weight.indices
        ]
        for request in _requests(changed, _weights_bytes):
            self._calls(
                lambda part=request: self._client.update_vectors(  # type: ignore[misc]
                    self._collection, part, wait=True, ordering=self._ordering
                )
            )

    def stored_terms(self, ids: Sequence[str]) -> dict[str, int]:
        """See `PassageStore.stored_terms`."""
        return {
            str(record.id): int((record.payload or {})["terms"])
            for record in self._retrieve(ids, ["kind", "terms"])
            if _kind(record) == PASSAGE
        }

    def count(self, version: str) -> int:
        """See `PassageStore.count`."""
        return self._count(models.Filter(must=[equals("version", version)]))

    def delete_version(self, version: str) -> None:
        """See `PassageStore.delete_version`."""
        self._delete(models.Filter(must=[equals("version", version)]))

    def delete_source(self, source: str) -> None:
        """See `PassageStore.delete_source`."""
        self._delete(models.Filter(must=[equals("source", source), equals("kind", PASSAGE)]))

    def flush(self) -> None:
        """Nothing to do: the server has logged every write ahead before it answered."""

    def close(self) -> None:
        """Nothing to do: the client belongs to whoever made it."""

    # --- records -----------------------------------------------------------------------------

    def records(self) -> list[DocumentRecord]:
        """See `PassageStore.records`."""
        where = models.Filter(must=[equals("kind", DOCUMENT)])
        found = [_document(record) for page in self._scroll(where, _PAGE) for record in page]
        return sorted(found, key=lambda record: record.source)

    def record(self, source: str) -> DocumentRecord | None:
        """See `PassageStore.record`."""
        found = self._retrieve([record_point(source)], True)
        return _document(found[0]) if found else None

    def put_records(self, records: Sequence[DocumentRecord]) -> None:
        """See `PassageStore.put_records`."""
        for record in records:
            if record.hidden:  # hide before the write that lets passages come in
                self._note(record)
        points = [
            _bare(record.point, {**record.payload(), HIDES: sorted(record.hidden)})
            for record in records
        ]
        for request in _requests(points, _bare_bytes):
            self._upsert(request)
        for record in records:
            self._note(record)

    def delete_record(self, source: str) -> None:
        """See `PassageStore.delete_record`."""
        gone = models.PointIdsList(points=[record_point(source)])
        self._remove(gone)
        self._note(DocumentRecord(source))

    def collection(self) -> CollectionRecord:
        """See `PassageStore.collection`."""
        (found,) = self._retrieve([COLLECTION_POINT], True)
        return CollectionRecord.of(found.payload or {})

    def put_collection(self, record: CollectionRecord) -> None:
        """See `PassageStore.put_collection`."""
        self._upsert([_bare(COLLECTION_POINT, record.payload())])

    # --- helpers -----------------------------------------------------------------------------

    def _calls(self, call: Callable[[], T]) -> T:
        try:
            return self._repeat(call)
        except IndexGone:
            self._gone = True
            raise

    def _nearest(self, vector: Vector, limit: int, where: Where) -> models.QueryRequest:
        return models.QueryRequest(
            query=vector.tolist(),
            using=DENSE,
            limit=limit,
            filter=self._filter(where),
            params=self._closely,
        )

    def _matching(self, terms: SparseVector, limit: int, where: Where) -> models.QueryRequest:
        weighed = self._weighed(terms) if self._counts_terms else terms
        return models.QueryRequest(
            query=_sparse(weighed),
            using=SPARSE,
            limit=limit,
            filter=self._filter(where),
            params=None if self._counts_terms else self._population(),
        )

    def _query(self, asked: Sequence[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        """The points that each request finds, in one round trip; none for no requests."""
        if not asked:
            return []
        answers = self._calls(
            lambda: self._client.query_batch_points(
                self._collection, asked, consistency=self._consistency
            )
        )
        return [answer.points for answer in answers]

    def _population(self) -> models.SearchParams:
        """Over which passages the engine counts N and n(t).

        Left to itself it counts what its index holds, deleted passages included until the segment
        is rebuilt, and hidden ones as well; any process may have deleted, so this is said always.
        """
        corpus = models.Filter(must=[equals("kind", PASSAGE)], must_not=self._not_hidden())
        return models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus))

    def _weighed(self, query: SparseVector) -> SparseVector:
        """A query's weights times idf, counted over all shards; the engine's own formula of it.

        An engine that weighs by idf counts in each shard by itself, and a word that is rare in one
        would weigh more there. Of a query longer than `_MOST_COUNTED` terms those are left out that
        it repeats least, the last first: which are rare is known only when they are counted.
        """
        query = _heaviest(query, _MOST_COUNTED)
        hidden = self._not_hidden()
        none = models.IsEmptyCondition(is_empty=models.PayloadField(key=TERMS))
        with_terms = models.Filter(must=[equals("kind", PASSAGE)], must_not=[none, *hidden])
        holding = [
            models.Filter(must=[equals(TERMS, term)], must_not=hidden) for term in query.indices
        ]
        with ThreadPoolExecutor(_COUNTING) as threads:
            passages, *counts = threads.map(self._count, [with_terms, *holding])
        idf = [math.log(1 + (passages - count + 0.5) / (count + 0.5)) for count in counts]
        weights = [weight * rarity for weight, rarity in zip(query.values, idf, strict=True)]
        return SparseVector(query.indices, weights)

    def _filter(self, where: Where) -> models.Filter | None:
        hidden = self._not_hidden()
        wanted = _conditions(where)
        return models.Filter(must=wanted, must_not=hidden) if hidden or wanted else None

    def _not_hidden(self) -> list[Any]:
        versions = frozenset().union(*self._hidden_versions().values())
        return [_any("version", sorted(versions))] if versions else []

    def _hidden_versions(self) -> dict[str, frozenset[str]]:
        with self._noting:
            if time.monotonic() >= self._hidden_until:
                where = models.Filter(
                    must=[equals("kind", DOCUMENT)],
                    must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key=HIDES))],
                )
                found = [
                    _document(record) for page in self._scroll(where, _PAGE) for record in page
                ]
                self._hidden = {record.source: record.hidden for record in found}
                self._hidden_until = time.monotonic() + self.HIDDEN_SECONDS
            return self._hidden

    def _note(self, record: DocumentRecord) -> None:
        with self._noting:
            others = {key: hidden for key, hidden in self._hidden.items() if key != record.source}
            self._hidden = {**others, record.source: record.hidden} if record.hidden else others

    def _retrieve(self, ids: Sequence[str], payload: Any) -> list[models.Record]:
        wanted = point_ids(ids)
        if not wanted:
            return []
        return self._calls(
            lambda: self._client.retrieve(
                self._collection,
                wanted,
                with_payload=payload,
                with_vectors=False,
                consistency=self._consistency,
            )
        )

    def _count(self, where: models.Filter) -> int:
        found = self._calls(
            lambda: self._client.count(self._collection, count_filter=where, exact=True)
        )
        return found.count

    def _write(self, passages: list[models.PointStruct]) -> None:
        for one in passages if self._counts_terms else ():
            weights: Any = one.vector
            if SPARSE in weights:
                one.payload = {**(one.payload or {}), TERMS: weights[SPARSE].indices}
        self._upsert(passages)

    def _upsert(self, points: list[models.PointStruct]) -> None:
        self._calls(
            lambda: self._client.upsert(
                self._collection, points, wait=True, ordering=self._ordering
            )
        )

    def _delete(self, where: models.Filter) -> None:
        self._remove(models.FilterSelector(filter=where))

    def _remove(self, points: models.PointsSelector) -> None:
        self._calls(
            lambda: self._client.delete(
                self._collection, points, wait=True, ordering=self._ordering
            )
        )

    def _scroll(
        self, where: models.Filter, batch: int, vectors: bool = False
    ) -> Iterator[list[models.Record]]:
        return pages(
            lambda start: self._calls(
                lambda: self._client.scroll(
                    self._collection,
                    scroll_filter=where,
                    limit=batch,
                    offset=start,
                    with_payload=self._payload,
                    with_vectors=vectors,
                    consistency=self._consistency,
                )
            )
        )


def _requests(items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Cuts a stream where the next item would make a request too large."""
    request: list[T] = []
    size = 0
    for item in items:
        extra = size_of(item)
        if request and (size + extra > _REQUEST_BYTES or len(request) == _REQUEST_POINTS):
            yield request
            request, size = [], 0
        request.append(item)
        size += extra
    if request:
        yield request


def _bytes(payload: Any, dimensions: int = 0, coordinates: int = 0) -> int:
    """How much a point adds to a request at most: as JSON, which is longer than gRPC's form.

    A float takes up to 22 characters, a sparse coordinate 34 and its number in `TERMS` 12.
    """
    return 22 * dimensions + 46 * coordinates + len(json.dumps(payload)) + 200


def _node_bytes(passage: WeighedNode) -> int:
    return _bytes(
        [passage.text, passage.metadata], len(passage.embedding or ()), len(passage.weight)
    )


def _stored_bytes(passage: StoredPassage) -> int:
    return _bytes(passage.payload, len(passage.dense), len(passage.sparse))


def _weights_bytes(point: models.PointVectors) -> int:
    return _bytes(None, coordinates=len(point.vector[SPARSE].indices))  # type: ignore[index, call-overload, union-attr]


def _bare_bytes(point: models.PointStruct) -> int:
    return _bytes(point.payload)


def _any(key: str, values: Iterable[str]) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _heaviest(query: SparseVector, most: int) -> SparseVector:
    kept = sorted(range(len(query.indices)), key=lambda term: -query.values[term])[:most]
    return SparseVector([query.indices[i] for i in kept], [query.values[i] for i in kept])


def _scored(points: Iterable[models.ScoredPoint]) -> list[Scored]:
    return [(str(point.id), point.score) for point in points]


def _above_zero(points: Iterable[models.ScoredPoint]) -> list[Scored]:
    return [(passage, score) for passage, score in _scored(points) if score > 0]


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=vector.indices, values=vector.values)


def _bare(point: str, payload: Mapping[str, Any]) -> models.PointStruct:
    """A record: a point without vectors."""
    return models.PointStruct(id=point, vector={}, payload=dict(payload))


def _restored(passage: StoredPassage) -> models.PointStruct:
    vectors: dict[str, Any] = {DENSE: passage.dense.tolist()}
    if passage.sparse.indices:
        vectors[SPARSE] = _sparse(passage.sparse)
    payload = {**passage.payload, "kind": PASSAGE}
    return models.PointStruct(id=passage.id, vector=vectors, payload=payload)


def _stored(record: models.Record) -> StoredPassage:
    vectors: Any = record.vector
    weights = vectors.get(SPARSE)
    sparse = SparseVector(weights.indices, weights.values) if weights else SparseVector([], [])
    dense = np.asarray(vectors[DENSE], dtype=np.float32)
    return StoredPassage(str(record.id), record.payload or {}, dense, sparse)


def _kind(record: models.Record) -> Any:
    return (record.payload or {}).get("kind")


_CLAUSES: dict[str, Any] = {"and": "must", "or": "should", "not": "must_not"}


def _conditions(where: Where) -> list[Any]:
    sources = [_any("source", where.sources)] if where.sources else []
    return sources + ([_condition(parse_filters(where.filters))] if where.filters else [])


def _condition(part: Leaf | Group) -> Any:
    if isinstance(part, Group):
        inner: Any = [_condition(one) for one in part.parts]
        return models.Filter(**{_CLAUSES[part.how]: inner})
    if part.kind == "empty":
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=part.path))
    if part.kind == "range":
        return models.FieldCondition(key=part.path, range=models.Range(**dict(part.bounds)))
    return models.Filter(should=[equals(part.path, value) for value in part.values])


def _document(record: models.Record) -> DocumentRecord:
    return DocumentRecord.of(record.payload or {})


def _node(record: models.Record) -> TextNode:
    return from_stored(str(record.id), record.payload or {})
