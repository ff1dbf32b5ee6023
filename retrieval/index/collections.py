"""Named collections: which exist, what versions of each, and which of these the name points at."""

import re
from typing import Protocol

from retrieval.index.base import PassageStore
from retrieval.index.errors import BadCollectionName
from retrieval.index.fingerprint import IndexSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Collections(Protocol):
    """Where collections live.

    A collection has any number of versions, each an index of the same documents built with one
    spec and known by its fingerprint. The name is an alias that points at one of them.

    Calls about a collection raise BadCollectionName, UnknownCollection where there is none of that
    name, and UnknownIndex where it has no version of that fingerprint.
    """

    def names(self) -> list[str]:
        """The collections that exist, sorted."""
        ...

    def versions(self, name: str) -> list[str]:
        """Fingerprints of the versions that exist, sorted."""
        ...

    def active(self, name: str) -> str:
        """Fingerprint of the version that the name points at."""
        ...

    def open(self, name: str, spec: IndexSpec, fingerprint: str | None = None) -> PassageStore:
        """The version of that fingerprint, or the active one, whatever it was built with.

        Raises:
            StoreError: it cannot be opened.
        """
        ...

    def create(self, name: str, spec: IndexSpec) -> PassageStore:
        """An empty first version, or the active one of a collection that exists."""
        ...

    def stage(self, name: str, spec: IndexSpec) -> PassageStore:
        """The version of that spec; made where there is none, and then marked as being built."""
        ...

    def point(self, name: str, fingerprint: str) -> None:
        """Point the name at a version, in one step: nobody finds it pointing nowhere."""
        ...

    def discard(self, name: str, fingerprint: str) -> None:
        """Delete a version, which must be closed. Raises IndexInUse for the active one."""
        ...

    def drop(self, name: str) -> None:
        """Delete a collection with all its versions, which must be closed."""
        ...


def checked_name(name: str) -> str:
    """The name, if it is allowed; raises BadCollectionName."""
    if not _NAME.fullmatch(name):
        raise BadCollectionName(name)
    return name
