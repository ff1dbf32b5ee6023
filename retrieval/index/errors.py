"""The errors of stores and collections."""

from collections.abc import Iterable

from retrieval.errors import RetrievalError


class StoreError(RetrievalError):
    """A store cannot do what was asked."""


class UnknownCollection(StoreError):
    """No collection has that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        listed = ", ".join(sorted(known)) or "none yet"
        super().__init__(
            f"collection {name!r} does not exist",
            cause=f"known: {listed}",
            way_out=f"`rag-app ingest PATH --collection {name}` makes it",
        )


class FingerprintMismatch(StoreError):
    """The collection was built with another encoder, chunker or lexical analysis."""

    def __init__(self, name: str, lines: Iterable[str]) -> None:
        super().__init__(
            f"collection {name!r} was built with other settings",
            cause="; ".join(lines),
            way_out=(
                f"`rag-app collections rebuild {name}` builds it anew from the stored originals, "
                "or use another --collection, or the settings it was built with"
            ),
        )


class NotStaged(StoreError):
    """A version that is to replace another one was never built."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"collection {name!r} has no staged version to switch to",
            cause="none was built with these settings",
            way_out=f"`rag-app collections rebuild {name}` builds one and switches to it",
        )


class BadCollectionName(StoreError):
    """A collection's name is also a folder's: letters, digits, '-' and '_' only."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"collection name {name!r} is not allowed",
            way_out="Use 1 to 64 letters, digits, '-' or '_', starting with a letter or digit",
        )
