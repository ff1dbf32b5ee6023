"""Named collections: which exist, what versions of each, and which of these the name points at."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

from retrieval.index.base import PassageStore
from retrieval.index.errors import BadCollectionName
from retrieval.index.fingerprint import IndexSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VERSION = re.compile(r"(?:([0-9a-f]{8})\.)?([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Version:
    """What a version is called where it lies: its fingerprint, or EDITION.FINGERPRINT.

    The versions of a collection that searches can reach are of one edition. Another edition can be
    written beside it, fingerprints of the first included, and take its place in one step.

    Attributes:
        fingerprint: 16 hexadecimal digits.
        edition: 8 of them, or empty, as it is until a whole collection is replaced.
    """

    fingerprint: str
    edition: str = ""

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """The version that is called so, if any is."""
        match = _VERSION.fullmatch(text)
        return cls(match[2], match[1] or "") if match else None

    def __str__(self) -> str:
        return f"{self.edition}.{self.fingerprint}" if self.edition else self.fingerprint


class Collections(ABC):
    """Where collections live.

    A collection has any number of versions, each an index of the same documents built with one
    spec and known by its fingerprint. The name is an alias that points at one of them.

    Calls about a collection raise BadCollectionName, UnknownCollection where there is none of that
    name, and UnknownIndex where it has no version of that fingerprint.

    Attributes:
        shared: whether other processes may be at work on them.
    """

    shared: bool

    @abstractmethod
    def names(self) -> list[str]:
        """The collections that exist, sorted."""

    @abstractmethod
    def versions(self, name: str) -> list[str]:
        """Fingerprints of the versions that exist, sorted."""

    def active(self, name: str) -> str:
        """Fingerprint of the version that the name points at."""
        return self._active(name).fingerprint

    @abstractmethod
    def open(self, name: str, spec: IndexSpec, fingerprint: str | None = None) -> PassageStore:
        """The version of that fingerprint, or the active one, whatever it was built with.

        Raises:
            StoreError: it cannot be opened.
        """

    def create(self, name: str, spec: IndexSpec) -> PassageStore:
        """An empty first version, or the active one of a collection that exists."""
        if self._exists(name):
            return self.open(name, spec)
        version = Version(spec.fingerprint)
        store = self._make(name, spec, version)
        self._point(name, version)
        store.put_collection(store.collection().built())
        return store

    def stage(self, name: str, spec: IndexSpec) -> PassageStore:
        """The version of that spec; made where there is none, and then marked as being built."""
        return self._make(name, spec, Version(spec.fingerprint, self._active(name).edition))

    @abstractmethod
    def point(self, name: str, fingerprint: str) -> None:
        """Point the name at a version, in one step: nobody finds it pointing nowhere."""

    @abstractmethod
    def discard(self, name: str, fingerprint: str) -> None:
        """Delete a version, which must be closed. Raises IndexInUse for the active one."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Delete a collection with all its versions, which must be closed."""

    @abstractmethod
    def rename(self, name: str, to: str) -> None:
        """Call a collection, all of whose versions must be closed, by a name that is free.

        It is known by the one name or by the other at every moment.

        Raises:
            StoreError: the name is taken.
        """

    def draft(self, name: str, spec: IndexSpec, edition: str) -> PassageStore:
        """An empty version of another edition, for a collection that may not exist yet.

        Nobody sees it before `adopt`. `edition` is 8 hexadecimal digits, such as
        ``secrets.token_hex(4)``.
        """
        return self._make(checked_name(name), spec, Version(spec.fingerprint, edition))

    @abstractmethod
    def adopt(self, name: str, edition: str, fingerprint: str) -> None:
        """Let an edition take the place of all versions that there are, in one step.

        The name points at its version `fingerprint`. The others, which must be closed, are deleted
        then.
        """

    @abstractmethod
    def abandon(self, name: str, edition: str) -> None:
        """Delete the drafts of an edition, which must be closed; not one that was adopted."""

    @abstractmethod
    def sweep(self) -> None:
        """Delete what killed processes have left, where no other process can be at work on it."""

    @abstractmethod
    def _exists(self, name: str) -> bool: ...

    @abstractmethod
    def _active(self, name: str) -> Version: ...

    @abstractmethod
    def _make(self, name: str, spec: IndexSpec, version: Version) -> PassageStore:
        """A version, which is empty unless it is there; each step does nothing where it is done."""

    @abstractmethod
    def _point(self, name: str, version: Version) -> None: ...


def is_name(name: str) -> bool:
    """Whether a collection may be called so."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """The name, if it is allowed; raises BadCollectionName."""
    if not is_name(name):
        raise BadCollectionName(name)
    return name
