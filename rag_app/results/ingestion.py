"""What an ingestion has done, and where it stands."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be ingested, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class DocumentWarning:
    """What of a document was not read, or guessed; `page` counts from 1."""

    source: str
    page: int | None
    reason: str


@dataclass(slots=True)
class IngestReport:
    """What one run did.

    Attributes:
        removed: names of documents whose files are gone, removed by `sync`.
        truncated: those of them that were longer than the encoder reads.
        ignored: what in the given folders is not read: links, files of other types ...
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    passages: int = 0
    truncated: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    warnings: list[DocumentWarning] = field(default_factory=list)
    ignored: list[Failure] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """Documents dealt with, one way or another."""
        return self.added + self.updated + self.unchanged + len(self.failures)

    def add(self, other: "IngestReport") -> None:
        """Count what another run did with it."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def as_dict(self, collection: str) -> dict[str, Any]:
        """The command line's JSON document."""
        return {
            "collection": collection,
            "documents": {
                "added": self.added,
                "updated": self.updated,
                "unchanged": self.unchanged,
                "removed": len(self.removed),
                "failed": len(self.failures),
            },
            "passages": self.passages,
            "truncated": self.truncated,
            "seconds": round(self.seconds, 3),
            "failures": list(map(asdict, self.failures)),
            "warnings": list(map(asdict, self.warnings)),
            "removed": self.removed,
            "ignored": list(map(asdict, self.ignored)),
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; bytes measure it, since nobody knows the passages beforehand.

    Attributes:
        done: share of all bytes that is finished, from 0 to 1.
        source: the document at hand, with the page that is being read where it takes long.
    """

    documents: int
    total_documents: int
    passages: int
    done: float
    seconds: float
    source: str

    @property
    def rate(self) -> float:
        """Passages a second."""
        return self.passages / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds to go, or None while nothing tells."""
        return self.seconds * (1 - self.done) / self.done if self.done > 0 else None


OnProgress = Callable[[Progress], None]
