"""Named collections: which exist, opening one, and putting a new version in an old one's place."""

import re
from typing import Protocol

from retrieval.index.base import PassageStore
from retrieval.index.errors import BadCollectionName, FingerprintMismatch
from retrieval.index.fingerprint import IndexSpec, differences

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Collections(Protocol):
    """Where collections live. A name is an alias: it points at one version, built with one spec."""

    def names(self) -> list[str]:
        """The collections that exist, sorted."""
        ...

    def open(self, name: str, spec: IndexSpec) -> PassageStore:
        """The version that the name points at, whatever it was built with.

        Raises:
            UnknownCollection: there is none of that name.
            StoreError: it cannot be opened.
        """
        ...

    def create(self, name: str, spec: IndexSpec) -> PassageStore:
        """An empty first version, or the existing one. Raises BadCollectionName."""
        ...

    def stage(self, name: str, spec: IndexSpec) -> PassageStore:
        """A version beside the one that the name points at; resumed where a crash left one."""
        ...

    def promote(self, name: str, spec: IndexSpec) -> None:
        """Point the name at the staged version and delete the old one; both must be closed.

        Raises NotStaged. Where a crash left the old version behind, calling it again deletes it.
        """
        ...

    def drop(self, name: str) -> None:
        """Delete a collection with all its versions; it must be closed."""
        ...


def checked_name(name: str) -> str:
    """The name, if it is allowed; raises BadCollectionName."""
    if not _NAME.fullmatch(name):
        raise BadCollectionName(name)
    return name


def require_match(name: str, store: PassageStore, spec: IndexSpec) -> None:
    """Refuse a store that holds vectors of another kind.

    Raises:
        FingerprintMismatch: naming every part that differs and the command that rebuilds.
    """
    if store.stored_fingerprint != spec.fingerprint:
        stored = store.collection().identity
        raise FingerprintMismatch(name, differences(stored, spec.identity))
