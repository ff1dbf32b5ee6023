"""Qdrant's engine inside this process (qdrant-edge-py), one shard a collection version."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import TextNode

from retrieval.fusion import Scored
from retrieval.index.base import EVERYWHERE, PassageStore, StoredPassage, Vector, Where, point_ids
from retrieval.index.edge_engine import NEW_SHARD, RESERVE, Shard, engine_errors, require_room
from retrieval.index.errors import DamagedIndex, StoreError
from retrieval.index.filters import Group, Leaf, parse_filters
from retrieval.index.fingerprint import IndexSpec
from retrieval.index.records import COLLECTION_POINT, CollectionRecord, DocumentRecord, record_point
from retrieval.passages import from_stored
from retrieval.sparse import SparseVector

DENSE, SPARSE = "dense", "bm25"
PASSAGE = "passage"
_AT_ONCE = 32
"""Points a write: the engine holds the interpreter lock meanwhile, and encoders wait for it."""
_KEYWORDS = ("kind", "version", "source")
_CLOSELY = edge.SearchParams(hnsw_ef=512)
"""Candidates that a search of the graph keeps; with as many as the engine keeps by itself, recall
of 200,000 passages is 0.936 in 1.1 ms, and 1.000 with these in 3.4 ms (docs/scaling.md)."""
_SAMPLE = 16
"""Passages that are read when an index is opened."""


def create_shard(path: Path, spec: IndexSpec, reserve: int = RESERVE) -> None:
    """Make an empty shard in a folder that does not exist yet, with its collection record.

    Raises:
        DiskFull: fewer than `reserve` bytes of the disk would stay free.
    """
    require_room(path, reserve, NEW_SHARD)
    path.mkdir(parents=True)
    config = edge.EdgeConfig(
        vectors={DENSE: _half_precision(spec)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        payload_memory=edge.Memory.Cached,  # a search reads the texts of its hits at once
    )
    with engine_errors(path):
        shard = edge.EdgeShard.create(str(path), config)
        for key in _KEYWORDS:
            shard.update(edge.UpdateOperation.create_field_index(key, edge.KeywordIndexParams()))
        record = CollectionRecord(spec.fingerprint, spec.identity, building=True)
        shard.update(_upsert([edge.Point(COLLECTION_POINT, {}, record.payload())]))
        shard.flush()
        shard.close()


def is_building(path: Path) -> bool:
    """Whether the version in a folder is not whole yet. Raises DamagedIndex, StoreError."""
    shard = Shard(path)
    try:
        (found,) = shard.retrieve([COLLECTION_POINT]) or [None]
        if found is None:
            raise DamagedIndex(path, "it does not say what it was built with")
        return bool(found.payload.get("building", False))
    finally:
        shard.close()


class EdgeStore(PassageStore):
    """A collection version in a folder of its own. One process owns it; its threads may share it.

    Args:
        reserve: bytes of the disk that writes leave free.

    Raises:
        DamagedIndex: its files cannot be read, or lack passages that its records name.
        StoreError: another program has it open.
    """

    _path: Path = PrivateAttr()
    _shard: Shard = PrivateAttr()
    _hidden: dict[str, frozenset[str]] = PrivateAttr()
    _noting: Any = PrivateAttr()
    _deleted: bool = PrivateAttr()

    def __init__(self, path: Path, spec: IndexSpec, reserve: int = RESERVE) -> None:
        super().__init__(spec)
        self._path = path
        self._shard = Shard(path, reserve)
        self._hidden, self._noting = {}, threading.Lock()
        self._deleted = False
        try:
            self._check()
        except DamagedIndex:
            self._shard.close()
            raise

    def _check(self) -> None:
        """Read all records: they tell what is hidden, and whether passages are gone. Of the
        passages some are read: whole files are lost more often than single ones.
        """
        self.collection()
        passages = 0
        for record in self.records():
            self._note(record)
            passages += record.passages if record.live else 0
        if (held := self.size()) < passages:
            raise DamagedIndex(self._path, f"it holds {held} of {passages} passages")
        next(self.dump(_SAMPLE), None)

    @property
    def place(self) -> Path:
        """See `PassageStore.place`."""
        return self._path

    @property
    def client(self) -> Any:
        """The `qdrant_edge.EdgeShard`."""
        return self._shard.engine

    def dense(self, vector: Vector, limit: int, where: Where = EVERYWHERE) -> list[Scored]:
        """See `PassageStore.dense`."""
        query = edge.Query.Nearest(vector.tolist(), using=DENSE)
        return self._search(query, limit, where, _CLOSELY)

    def sparse(self, vector: SparseVector, limit: int, where: Where = EVERYWHERE) -> list[Scored]:
        """See `PassageStore.sparse`."""
        if not vector.indices:
            return []
        query = edge.Query.Nearest(_sparse(vector), using=SPARSE)
        return self._search(query, limit, where, self._population())

    def fetch(self, ids: Sequence[str]) -> list[TextNode]:
        """See `PassageStore.fetch`."""
        found = {
            str(record.id): self._node(record)
            for record in self._shard.retrieve(point_ids(ids))
            if record.payload.get("kind") == PASSAGE
        }
        return [found[passage] for passage in ids if passage in found]

    def passages(
        self, batch: int = 512, hidden: bool = False, where: Where = EVERYWHERE
    ) -> Iterator[list[TextNode]]:
        """See `PassageStore.passages`."""
        unwanted = [] if hidden else self._not_hidden()
        wanted = [_is("kind", PASSAGE), *_conditions(where)]
        for records in self._scroll(edge.Filter(must=wanted, must_not=unwanted), batch):
            yield [self._node(record) for record in records]

    def dump(self, batch: int = 256, where: Where = EVERYWHERE) -> Iterator[list[StoredPassage]]:
        """See `PassageStore.dump`."""
        wanted = [_is("kind", PASSAGE), *_conditions(where)]
        live = edge.Filter(must=wanted, must_not=self._not_hidden())
        for records in self._scroll(live, batch, vectors=True):
            yield [self._whole(record) for record in records]

    def size(self) -> int:
        """See `PassageStore.size`."""
        where = edge.Filter(must=[_is("kind", PASSAGE)])
        return self._shard.count(where)

    def upsert(self, nodes: Sequence[TextNode], weights: Sequence[SparseVector]) -> None:
        """See `PassageStore.upsert`."""
        points = [
            edge.Point(
                passage.node_id,
                {DENSE: passage.get_embedding(), SPARSE: _sparse(weight)},
                {**passage.metadata, "kind": PASSAGE, "text": passage.text},
            )
            for passage, weight in zip(nodes, weights, strict=True)
        ]
        self._put(points)

    def restore(self, passages: Sequence[StoredPassage]) -> None:
        """See `PassageStore.restore`."""
        self._put(
            [
                edge.Point(
                    one.id,
                    {DENSE: one.dense.tolist(), SPARSE: _sparse(one.sparse)},
                    {**one.payload, "kind": PASSAGE},
                )
                for one in passages
            ]
        )

    def reweigh(self, ids: Sequence[str], weights: Sequence[SparseVector]) -> None:
        """See `PassageStore.reweigh`."""
        changed = [
            edge.PointVectors(passage, {SPARSE: _sparse(weight)})
            for passage, weight in zip(ids, weights, strict=True)
        ]
        self._shard.write(edge.UpdateOperation.update_vectors(changed))

    def stored_terms(self, ids: Sequence[str]) -> dict[str, int]:
        """See `PassageStore.stored_terms`."""
        found = self._shard.retrieve(point_ids(ids), ["kind", "terms"])
        return {
            str(record.id): int(record.payload.get("terms", 0))
            for record in found
            if record.payload.get("kind") == PASSAGE
        }

    def count(self, version: str) -> int:
        """See `PassageStore.count`."""
        where = edge.Filter(must=[_is("version", version)])
        return self._shard.count(where)

    def delete_version(self, version: str) -> None:
        """See `PassageStore.delete_version`."""
        self._delete(_is("version", version))

    def delete_source(self, source: str) -> None:
        """See `PassageStore.delete_source`."""
        self._delete(_is("source", source), _is("kind", PASSAGE))

    def records(self) -> list[DocumentRecord]:
        """See `PassageStore.records`."""
        where = edge.Filter(must=[_is("kind", "document")])
        found = [self._document(r.payload) for page in self._scroll(where, 512) for r in page]
        return sorted(found, key=lambda record: record.source)

    def record(self, source: str) -> DocumentRecord | None:
        """See `PassageStore.record`."""
        found = self._shard.retrieve([record_point(source)])
        return self._document(found[0].payload) if found else None

    def put_records(self, records: Sequence[DocumentRecord]) -> None:
        """See `PassageStore.put_records`."""
        for record in records:
            if record.hidden:  # hide before the write that lets passages come in
                self._note(record)
        points = [edge.Point(record.point, {}, record.payload()) for record in records]
        try:
            self._put(points, grows=False)
        except StoreError:  # then what is stored counts
            for source in [record.source for record in records]:
                self._note(self.record(source) or DocumentRecord(source))
            raise
        for record in records:
            self._note(record)

    def delete_record(self, source: str) -> None:
        """See `PassageStore.delete_record`."""
        self._shard.write(edge.UpdateOperation.delete_points([record_point(source)]), grows=False)
        self._note(DocumentRecord(source))

    def collection(self) -> CollectionRecord:
        """See `PassageStore.collection`."""
        found = self._shard.retrieve([COLLECTION_POINT])
        try:
            return CollectionRecord.of(found[0].payload)
        except (IndexError, KeyError, TypeError, ValueError):
            raise DamagedIndex(self._path, "it does not say what it was built with") from None

    def put_collection(self, record: CollectionRecord) -> None:
        """See `PassageStore.put_collection`."""
        self._shard.write(_upsert([edge.Point(COLLECTION_POINT, {}, record.payload())]))

    def require_room(self, size: int) -> None:
        """See `PassageStore.require_room`."""
        self._shard.require_room(size)

    def flush(self) -> None:
        """See `PassageStore.flush`."""
        self._shard.flush()

    def optimize(self) -> None:
        """Build the HNSW graph; see `PassageStore.optimize`."""
        self._shard.optimize()

    def close(self) -> None:
        """See `PassageStore.close`."""
        self._shard.close()

    def _search(self, query: Any, limit: int, where: Where, params: Any) -> list[Scored]:
        request = edge.QueryRequest(
            limit=limit, query=query, filter=self._filter(where), params=params
        )
        return [(str(point.id), point.score) for point in self._shard.query(request)]

    def _population(self) -> Any:
        """Over which passages the engine counts N and n(t).

        Left to itself it counts what its index holds, hidden passages and deleted ones too: the
        latter until the shard is loaded again, in an optimised segment until that is optimised
        again. Saying the population makes N exact and about doubles the time of a search (0.28 to
        0.60 ms at 25,000 passages), so it is said only where this object has deleted or hides some.
        """
        hidden = self._not_hidden()
        if not self._deleted and not hidden:
            return None
        corpus = edge.Filter(must=[_is("kind", PASSAGE)], must_not=hidden)
        return edge.SearchParams(idf=edge.IdfParams(corpus=corpus))

    def _put(self, points: list[Any], *, grows: bool = True) -> None:
        for first in range(0, len(points), _AT_ONCE):
            self._shard.write(_upsert(points[first : first + _AT_ONCE]), grows=grows)

    def _delete(self, *conditions: Any) -> None:
        self._deleted = True
        where = edge.Filter(must=list(conditions))
        self._shard.write(edge.UpdateOperation.delete_points_by_filter(where), grows=False)

    def _node(self, record: Any) -> TextNode:
        try:
            return _node(record)
        except KeyError:
            raise DamagedIndex(self._path, f"passage {record.id} has no text") from None

    def _whole(self, record: Any) -> StoredPassage:
        try:
            passage = _stored(record)
        except KeyError:
            raise DamagedIndex(self._path, f"passage {record.id} has no vector") from None
        if not np.isfinite(passage.dense).all():
            raise DamagedIndex(self._path, f"the vector of passage {record.id} is none")
        if passage.payload.get("terms") and not passage.sparse.indices:
            raise DamagedIndex(self._path, f"passage {record.id} has lost its BM25 weights")
        return passage

    def _document(self, payload: Mapping[str, Any]) -> DocumentRecord:
        try:
            return DocumentRecord.of(payload)
        except (KeyError, TypeError, ValueError):
            raise DamagedIndex(self._path, "the record of a document cannot be read") from None

    def _filter(self, where: Where) -> Any:
        hidden = self._not_hidden()
        wanted = _conditions(where)
        return edge.Filter(must=wanted, must_not=hidden) if hidden or wanted else None

    def _not_hidden(self) -> list[Any]:
        versions = sorted(frozenset().union(*self._hidden.values()))
        return [edge.FieldCondition("version", match=edge.MatchAny(versions))] if versions else []

    def _note(self, record: DocumentRecord) -> None:
        with self._noting:
            others = {key: hidden for key, hidden in self._hidden.items() if key != record.source}
            self._hidden = {**others, record.source: record.hidden} if record.hidden else others

    def _scroll(self, where: Any, batch: int, vectors: bool = False) -> Iterator[list[Any]]:
        offset = None
        while True:
            request = edge.ScrollRequest(
                limit=batch, offset=offset, filter=where, with_payload=True, with_vector=vectors
            )
            records, offset = self._shard.scroll(request)
            if records:
                yield records
            if offset is None:
                return


def _half_precision(spec: IndexSpec) -> Any:
    """Half the memory to scan, the same ranking: docs/decisions/0001-one-store.md has numbers."""
    distances = {"cosine": edge.Distance.Cosine, "dot": edge.Distance.Dot}
    return edge.EdgeVectorParams(
        size=spec.dimension,
        distance=distances[spec.distance],
        datatype=edge.VectorStorageDatatype.Float16,
    )


def _upsert(points: list[Any]) -> Any:
    return edge.UpdateOperation.upsert_points(points)


def _is(key: str, value: str) -> Any:
    return edge.FieldCondition(key, match=edge.MatchValue(value))


_CLAUSES: dict[str, Any] = {"and": "must", "or": "should", "not": "must_not"}


def _conditions(where: Where) -> list[Any]:
    match = edge.MatchAny(list(where.sources))
    sources = [edge.FieldCondition("source", match=match)] if where.sources else []
    return sources + ([_condition(parse_filters(where.filters))] if where.filters else [])


def _condition(part: Leaf | Group) -> Any:
    if isinstance(part, Group):
        inner: Any = [_condition(one) for one in part.parts]
        return edge.Filter(**{_CLAUSES[part.how]: inner})
    if part.kind == "empty":
        return edge.IsEmptyCondition(part.path)
    if part.kind == "range":
        return edge.FieldCondition(part.path, range=edge.RangeFloat(**dict(part.bounds)))
    matches: list[Any] = [
        edge.FieldCondition(part.path, match=edge.MatchValue(value)) for value in part.values
    ]
    return edge.Filter(should=matches)


def _sparse(vector: SparseVector) -> Any:
    return edge.SparseVector(vector.indices, vector.values)


def _stored(record: Any) -> StoredPassage:
    weights = record.vector.get(SPARSE)
    sparse = SparseVector(weights.indices, weights.values) if weights else SparseVector([], [])
    dense = np.asarray(record.vector[DENSE], dtype=np.float32)
    return StoredPassage(str(record.id), record.payload, dense, sparse)


def _node(record: Any) -> TextNode:
    return from_stored(str(record.id), record.payload)
