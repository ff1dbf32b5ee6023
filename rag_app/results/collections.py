"""What is kept: documents, collections, their indexes, and backups of them."""

from dataclasses import dataclass, field

from data.blocks import Block, LoadWarning


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document as lists show it.

    Attributes:
        state: ``ready``, ``interrupted`` (run the ingestion again) or ``failed``.
        failure: why the newest content could not be read; an older one may still be searched.
    """

    source: str
    state: str
    passages: int
    size: int
    updated: str
    failure: str = ""


@dataclass(frozen=True, slots=True)
class DocumentContent:
    """A document as it was read.

    Attributes:
        source: its name.
        blocks: in reading order, running heads included; those of one page where one was asked for.
        warnings: what could not be read, or was guessed.
    """

    source: str
    blocks: list[Block]
    warnings: list[LoadWarning]


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as lists show it.

    Attributes:
        usable: whether it has an index for the present settings; if not, it has to be rebuilt.
        damage: why it cannot be opened, with the hint; empty where it can.
    """

    name: str
    documents: int
    passages: int
    encoder: str
    usable: bool
    damage: str = ""


@dataclass(frozen=True, slots=True)
class CopiedCollection:
    """A collection in a backup.

    Attributes:
        documents: those of the index that its name points at.
    """

    name: str
    indexes: int
    documents: int
    passages: int
    originals: int


@dataclass(slots=True)
class BackupReport:
    """What was backed up, or restored.

    Attributes:
        missing: documents, as COLLECTION/SOURCE, whose original file was gone or damaged when they
            were backed up; they can be searched, but not be indexed anew.
        conversations: of a restore, those that were not there; likewise users and keys.
        left_out: what a restore did not add, as there are users or keys already.
    """

    collections: list[CopiedCollection] = field(default_factory=list)
    bytes: int = 0
    seconds: float = 0.0
    missing: list[str] = field(default_factory=list)
    conversations: int = 0
    users: int = 0
    keys: int = 0
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One of a collection's indexes as lists show it.

    Attributes:
        fingerprint: of all that it was built with; its name.
        active: whether the collection's name points at it.
        usable: whether it is whole, and the present settings make the vectors that it holds.
        behind: documents of the collection that it lacks, or has in an older version.
    """

    fingerprint: str
    encoder: str
    model: str
    documents: int
    passages: int
    active: bool
    usable: bool
    behind: int
