"""What is kept beside the passages: a record per document and one per collection.

Both are points without vectors in the same Qdrant collection as the passages, so that no second
database can disagree with the first.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from retrieval.passages import NAMESPACE, version_id

_PASSAGES = "chunks"
"""Stored key of `DocumentRecord.passages`; indexes that exist hold it."""


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One document of a collection, and which version of it searches may see.

    Writing goes: `pending` names the new content, its passages are written (hidden from searches),
    then one write of this record makes it `live` and the old content `retired`, whose passages are
    deleted last. Whatever instant a crash picks, the old version or the new one is whole.

    Attributes:
        source: the document's name within its collection, its identity.
        live: content hash (SHA-256, hexadecimal) of the version that searches see.
        pending: content hash being written.
        retired: content hash whose passages are being deleted.
        passages: number of passages of the live version.
        terms: BM25 terms of the live version, over all passages.
        size: bytes of the original file.
        suffix: ending of the original's name, with the dot.
        failure: why the newest content could not be read; empty when it could.
        updated: when the record last changed, ISO 8601 in UTC.
        origin: the place that its file came from, which makes it this document and no other of its
            name; empty for documents that were stored before places were.
        since: when the live content became it, to the microsecond; of two indexes of a collection,
            the one with the later `since` has the document's newer content.
    """

    source: str
    live: str | None = None
    pending: str | None = None
    retired: str | None = None
    passages: int = 0
    terms: int = 0
    size: int = 0
    suffix: str = ""
    failure: str = ""
    updated: str = ""
    since: str = ""
    origin: str = ""

    @property
    def point(self) -> str:
        """Id of the point that holds this record."""
        return record_point(self.source)

    @property
    def hidden(self) -> frozenset[str]:
        """Versions whose passages may be stored but must not be found."""
        hashes = {self.pending, self.retired} - {None, self.live}
        return frozenset(version_id(self.source, str(content)) for content in hashes)

    @property
    def settled(self) -> bool:
        """Whether no write to this document was interrupted."""
        return self.pending is None and self.retired is None

    @property
    def version(self) -> str | None:
        """Version id of the live content."""
        return version_id(self.source, self.live) if self.live else None

    def payload(self) -> dict[str, Any]:
        """As Qdrant keeps it."""
        fields = asdict(self)
        fields[_PASSAGES] = fields.pop("passages")
        return {"kind": "document", **fields}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "DocumentRecord":
        """From Qdrant."""
        fields = {key: payload[key] for key in cls.__slots__ if key in payload}
        return cls(**fields, passages=payload.get(_PASSAGES, 0))


def record_point(source: str) -> str:
    """Id of the point that holds the record of a document."""
    return str(uuid.uuid5(NAMESPACE, f"document\0{source}"))


COLLECTION_POINT = str(uuid.uuid5(NAMESPACE, "collection"))
"""Id of the point that holds the collection's own record."""


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """What a collection was built with.

    Attributes:
        fingerprint: of `identity`.
        identity: as `IndexSpec.identity` gives it.
        average_length: mean passage length, in terms, that the stored BM25 weights assume;
            0 before the first passage.
        refresh_to: set while the weights are being recomputed for another average length.
        building: whether documents of the collection are still missing that a first build brings;
            searches use another version until then.
        replaces: fingerprints of the versions that are deleted because this one is whole.
    """

    fingerprint: str
    identity: Mapping[str, Any]
    average_length: float = 0.0
    refresh_to: float | None = None
    building: bool = False
    replaces: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """As Qdrant keeps it."""
        return {"kind": "collection", **asdict(self), "replaces": list(self.replaces)}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "CollectionRecord":
        """From Qdrant."""
        record = cls(**{key: payload[key] for key in cls.__slots__ if key in payload})
        return replace(record, replaces=tuple(record.replaces))

    def refreshing(self, average_length: float) -> "CollectionRecord":
        """Before the stored weights change."""
        return replace(self, refresh_to=average_length)

    def refreshed(self, average_length: float) -> "CollectionRecord":
        """After they have."""
        return replace(self, average_length=average_length, refresh_to=None)

    def built(self, replaces: Iterable[str] = ()) -> "CollectionRecord":
        """Once no document is missing any more; the versions that it replaces are yet to go."""
        return replace(self, building=False, replaces=tuple(replaces))
