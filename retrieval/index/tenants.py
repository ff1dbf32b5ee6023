"""Many small collections as parts (tenants) of one of a Qdrant server's, told apart by a field.

Qdrant keeps a graph, a log and files for each of its collections and advises against thousands of
them; parts of one cost a payload value (https://qdrant.tech/documentation/guides/multiple-partitions).
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from qdrant_client import QdrantClient, models

from retrieval.index.errors import IndexGone
from retrieval.index.server_calls import create_once, equals, pages

TENANT = "rag_app_tenant"
CATALOGUE = "_tenants"
"""Qdrant's collection of the names: a point without vectors for each part and each alias."""

_SPACE = uuid.UUID("8d0c4f8e-5d0a-5b0e-9f1c-6b2f6f1f3a57")
_PART, _ALIAS = "part", "alias"
_EDGES = 16  # of a passage to others of its part, Qdrant's own default of a whole collection
_PAGE = 512


@dataclass(frozen=True, slots=True)
class Part:
    """A collection's place.

    Attributes:
        name: what `ServerCollections` calls it, such as ``docs__0123456789abcdef``.
        key: 32 hexadecimal digits, drawn when it was made: one made anew shows nothing of the old.
        gone: whether it is being deleted.
    """

    name: str
    key: str
    gone: bool = False

    @property
    def within(self) -> str:
        """Qdrant's name of the collection that it is a part of: there is one a fingerprint."""
        return f"{CATALOGUE}__{_fingerprint(self.name)}"

    def id(self, point: object) -> str:
        """What a point of this part is called in the whole, and the other way round.

        Two collections may hold the same document, and so points of the same id.
        """
        return str(uuid.UUID(int=uuid.UUID(str(point)).int ^ int(self.key, 16)))

    def filter(self, inner: models.Filter | None = None) -> models.Filter:
        """What passes the filter, in this part alone."""
        of_part = equals(TENANT, self.key)
        return models.Filter(must=[of_part, inner] if inner else [of_part])


class TenantClient:
    """The calls of a `QdrantClient` that `ServerCollections` and `ServerStore` make.

    Each collection that these know is a part of a larger one, which all of the same fingerprint
    share. What other calls a client has is not offered, so nothing reaches beyond its part. A
    collection has one alias: a new one takes the place of the old. What other processes delete is
    noticed within `KNOWN_SECONDS` by reads, and at once by writes.

    Args:
        client: of the server.
    """

    KNOWN_SECONDS = 1.0

    def __init__(self, client: QdrantClient) -> None:
        self._client = client
        self._known: dict[str, tuple[float, Part]] = {}

    @property
    def init_options(self) -> dict[str, Any]:
        """Of the client."""
        return self._client.init_options

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    # --- collections and aliases -------------------------------------------------------------

    def get_collections(self) -> models.CollectionsResponse:
        """Those that are not being deleted."""
        names = [part.name for part in self._parts() if not part.gone]
        return models.CollectionsResponse(
            collections=[models.CollectionDescription(name=name) for name in names]
        )

    def collection_exists(self, collection: str) -> bool:
        """Whether it is one of `get_collections`."""
        part = self._find(collection)
        return part is not None and not part.gone

    def get_collection(self, collection: str) -> models.CollectionInfo:
        """How the whole is kept that it is a part of; the counts are those of the whole."""
        return self._client.get_collection(self._part(collection).within)

    def create_collection(
        self, collection: str, *, vectors_config: dict[str, models.VectorParams], **others: Any
    ) -> None:
        """Make the part, and the whole where it is the first of its fingerprint."""
        create_once(self._client, CATALOGUE, vectors_config={})
        if (old := self._find(collection)) and old.gone:
            self._finish(old)
        part = Part(collection, uuid.uuid4().hex)
        create_once(
            self._client,
            part.within,
            vectors_config={name: _linked(each) for name, each in vectors_config.items()},
            **others,
        )
        kind = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        self._client.create_payload_index(part.within, TENANT, kind, wait=True)
        point = _point(_PART, collection, {"name": collection, "key": part.key, "gone": False})
        self._client.upsert(
            CATALOGUE, [point], wait=True, update_mode=models.UpdateMode.INSERT_ONLY
        )  # another process may have been first

    def create_payload_index(self, collection: str, key: str, kind: Any, *, wait: bool) -> None:
        """Index a payload field of the whole."""
        self._client.create_payload_index(self._part(collection).within, key, kind, wait=wait)

    def delete_collection(self, collection: str) -> None:
        """Delete the part; what a killed process has left of such work is done with it."""
        for part in self._parts():
            if part.name == collection and not part.gone:
                note = {"name": part.name, "key": part.key, "gone": True}
                self._client.upsert(CATALOGUE, [_point(_PART, part.name, note)], wait=True)
                self._finish(part)
            elif part.gone:
                self._finish(part)
        self._known.pop(collection, None)

    def get_aliases(self) -> models.CollectionsAliasesResponse:
        """Those of the collections that there are."""
        names = {part.key: part.name for part in self._parts() if not part.gone}
        aliases = [
            models.AliasDescription(alias_name=one["name"], collection_name=names[one["key"]])
            for one in self._catalogue(_ALIAS)
            if one["key"] in names
        ]
        return models.CollectionsAliasesResponse(aliases=aliases)

    def update_collection_aliases(self, operations: Sequence[Any]) -> None:
        """Set the alias of each collection that is given one; its old one goes with the write."""
        points = []
        for one in operations:
            if isinstance(one, models.CreateAliasOperation):
                alias = one.create_alias
                part = self._part(alias.collection_name, fresh=True)
                base = alias.collection_name.rpartition("__")[0]
                points.append(_point(_ALIAS, base, {"name": alias.alias_name, "key": part.key}))
        self._client.upsert(CATALOGUE, points, wait=True)

    # --- points ------------------------------------------------------------------------------

    def query_batch_points(
        self, collection: str, asked: Sequence[models.QueryRequest], **how: Any
    ) -> list[models.QueryResponse]:
        """See `QdrantClient`; BM25's idf is that of the part."""
        part = self._part(collection)
        within = [
            one.model_copy(update={"filter": part.filter(one.filter), "params": _params(part, one)})
            for one in asked
        ]
        answers = self._client.query_batch_points(part.within, within, **how)
        for answer in answers:
            answer.points = [_own(part, point) for point in answer.points]
        return answers

    def retrieve(self, collection: str, ids: Sequence[str], **what: Any) -> list[models.Record]:
        """See `QdrantClient`."""
        part = self._part(collection)
        found = self._client.retrieve(part.within, [part.id(one) for one in ids], **what)
        return [_own(part, record) for record in found]

    def scroll(
        self, collection: str, *, scroll_filter: models.Filter, **what: Any
    ) -> tuple[list[models.Record], Any]:
        """See `QdrantClient`."""
        part = self._part(collection)
        found, offset = self._client.scroll(
            part.within, scroll_filter=part.filter(scroll_filter), **what
        )
        return [_own(part, record) for record in found], offset

    def count(self, collection: str, *, count_filter: models.Filter, exact: bool) -> Any:
        """See `QdrantClient`."""
        part = self._part(collection)
        return self._client.count(part.within, count_filter=part.filter(count_filter), exact=exact)

    def upsert(self, collection: str, points: Sequence[models.PointStruct], **how: Any) -> None:
        """See `QdrantClient`."""
        part = self._part(collection, fresh=True)
        shared = [
            point.model_copy(
                update={
                    "id": part.id(point.id),
                    "payload": {**(point.payload or {}), TENANT: part.key},
                }
            )
            for point in points
        ]
        self._client.upsert(part.within, shared, **how)

    def update_vectors(
        self, collection: str, points: Sequence[models.PointVectors], **how: Any
    ) -> None:
        """See `QdrantClient`."""
        part = self._part(collection, fresh=True)
        shared = [point.model_copy(update={"id": part.id(point.id)}) for point in points]
        self._client.update_vectors(part.within, shared, **how)

    def delete(self, collection: str, gone: Any, **how: Any) -> None:
        """See `QdrantClient`: by ids, or by a filter."""
        part = self._part(collection, fresh=True)
        if isinstance(gone, models.FilterSelector):
            shared: Any = models.FilterSelector(filter=part.filter(gone.filter))
        else:
            shared = models.PointIdsList(points=[part.id(point) for point in gone.points])
        self._client.delete(part.within, shared, **how)

    # --- helpers -----------------------------------------------------------------------------

    def _part(self, collection: str, *, fresh: bool = False) -> Part:
        until, part = self._known.get(collection, (0.0, None))
        if part is None or fresh or time.monotonic() >= until:
            self._known.pop(collection, None)
            part = self._find(collection)
            if part is None or part.gone:
                raise IndexGone(f"no part of {CATALOGUE} is called {collection}")
            self._known[collection] = time.monotonic() + self.KNOWN_SECONDS, part
        return part

    def _find(self, collection: str) -> Part | None:
        """The part of that name, also one that is being deleted; the catalogue must exist."""
        found = self._client.retrieve(CATALOGUE, [_catalogued(_PART, collection)])
        return _part_of(found[0].payload) if found else None

    def _parts(self) -> list[Part]:
        return [_part_of(one) for one in self._catalogue(_PART)]

    def _catalogue(self, what: str) -> Iterator[dict[str, Any]]:
        """What is kept of the parts, or of the aliases; nothing before there is any."""
        if not self._client.collection_exists(CATALOGUE):
            return
        where = models.Filter(must=[equals("what", what)])
        found = pages(
            lambda start: self._client.scroll(
                CATALOGUE, scroll_filter=where, limit=_PAGE, offset=start
            )
        )
        yield from (record.payload or {} for page in found for record in page)

    def _finish(self, part: Part) -> None:
        """Delete a part that is marked as gone, its name last."""
        self._client.delete(part.within, models.FilterSelector(filter=part.filter()), wait=True)
        for what in (_ALIAS, _PART):
            entry = models.Filter(must=[equals("what", what), equals("key", part.key)])
            self._client.delete(CATALOGUE, models.FilterSelector(filter=entry), wait=True)


def _linked(vectors: models.VectorParams) -> models.VectorParams:
    """With edges within a part alone: a walk over those of others finds nothing there."""
    graph = vectors.hnsw_config or models.HnswConfigDiff()
    within_parts = graph.model_copy(update={"m": 0, "payload_m": graph.m or _EDGES})
    return vectors.model_copy(update={"hnsw_config": within_parts})


def _params(part: Part, asked: models.QueryRequest) -> models.SearchParams | None:
    params = asked.params
    if params is None or not isinstance(params.idf, models.IdfCorpusParams):
        return params
    idf = params.idf.model_copy(update={"corpus": part.filter(params.idf.corpus)})
    return params.model_copy(update={"idf": idf})


def _own(part: Part, found: Any) -> Any:
    payload = found.payload and {k: v for k, v in found.payload.items() if k != TENANT}
    return found.model_copy(update={"id": part.id(found.id), "payload": payload})


def _part_of(payload: Any) -> Part:
    return Part(payload["name"], payload["key"], payload["gone"])


def _point(what: str, of: str, payload: dict[str, Any]) -> models.PointStruct:
    return models.PointStruct(
        id=_catalogued(what, of), vector={}, payload={"what": what, **payload}
    )


def _catalogued(what: str, of: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{what}/{of}"))


def _fingerprint(collection: str) -> str:
    return collection.rpartition("__")[2].rpartition(".")[2]
