"""The errors of stores and collections."""

from collections.abc import Iterable
from pathlib import Path

from retrieval.errors import RetrievalError


class StoreError(RetrievalError):
    """A store cannot do what was asked."""


class DamagedIndex(StoreError):
    """The files of an index cannot be read; the other indexes are not affected."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(
            f"the index in {path} cannot be read",
            cause=cause,
            hint=f"`rag-app collections repair {path.parent.name}` builds it anew from the "
            "originals, or restore it from a backup",
        )


class DiskFull(StoreError):
    """A write was refused because too little of the disk is free; reading goes on."""

    def __init__(self, folder: Path, free: int, reserve: int, needed: int = 0) -> None:
        wanted = f"{needed / 1e6:.0f} MB are needed and " if needed else ""
        super().__init__(
            f"the disk of {folder} is full",
            cause=f"{free / 1e6:.0f} MB are free, {wanted}{reserve / 1e6:.0f} MB must stay free",
            hint="Free some disk space, delete collections, or lower storage.min_free_mb; "
            "what is stored can still be searched",
        )


class IndexGone(StoreError):
    """Another process has deleted or replaced an index that this one has open."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            "the index is not there any longer",
            cause=cause,
            hint="Another process has deleted or replaced it: ask again",
        )


class UnknownCollection(StoreError):
    """No collection has that `name`."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        listed = ", ".join(sorted(known)) or "none yet"
        super().__init__(
            f"collection {name!r} does not exist",
            cause=f"known: {listed}",
            hint=f"`rag-app ingest PATH --collection {name}` makes it",
        )


class NameTaken(StoreError):
    """Another collection, or one that is being restored, has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a collection {name!r} already", hint="Choose another name")


class FingerprintMismatch(StoreError):
    """The collection was built with another chunker, lexical analysis or state of the encoder."""

    def __init__(self, name: str, lines: Iterable[str], encoder: str | None = None) -> None:
        command = f"indexes build --encoder {encoder} -c" if encoder else "collections rebuild"
        super().__init__(
            f"collection {name!r} was built with other settings",
            cause="; ".join(lines),
            hint=(
                f"`rag-app {command} {name}` builds it anew from the stored originals, "
                "or use another --collection, or the settings it was built with"
            ),
        )


class UnknownIndex(StoreError):
    """A collection has no index of that fingerprint or encoder."""

    def __init__(self, name: str, wanted: str, known: Iterable[str]) -> None:
        super().__init__(
            f"collection {name!r} has no index {wanted}",
            cause=f"it has {', '.join(known)}",
            hint=f"`rag-app indexes list -c {name}` shows them",
        )


class NoIndexOfEncoder(StoreError):
    """The documents have not been encoded with the encoder that is asked for, or not all."""

    def __init__(self, name: str, encoder: str, known: Iterable[str], begun: bool = False) -> None:
        what = "no whole index" if begun else "no index"
        super().__init__(
            f"collection {name!r} has {what} of encoder {encoder}",
            cause=f"it has those of {', '.join(sorted(known))}",
            hint=f"`rag-app indexes build --encoder {encoder} -c {name}` builds it from the "
            "stored originals",
        )


class IndexInUse(StoreError):
    """The index that a collection's name points at is never deleted alone."""

    def __init__(self, name: str, fingerprint: str) -> None:
        super().__init__(
            f"index {fingerprint} of collection {name!r} cannot be dropped",
            cause="it is the one that the collection's name points at",
            hint="`rag-app indexes use` points it at another one, "
            f"`rag-app collections delete {name}` deletes all of them",
        )


class BadCollectionName(StoreError):
    """A collection's name is also a folder's: letters, digits, '-' and '_' only."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"collection name {name!r} is not allowed",
            hint="Use 1 to 64 letters, digits, '-' or '_', starting with a letter or digit",
        )
