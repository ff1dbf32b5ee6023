"""Open indexes, shared by all requests: none is closed while somebody searches it."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from data.errors import RagAppError
from rag_app.errors import ApplicationError
from retrieval.index.base import PassageStore
from retrieval.index.collections import Collections
from retrieval.index.errors import UnknownCollection
from retrieval.index.fingerprint import IndexSpec

_PAUSE = 0.01
_PATIENCE = 10.0
"""Seconds that searches are waited for, where going on without them does no harm."""

READERS_PATIENCE = 60.0
"""Seconds that searches are waited for by whoever deletes what they read."""

_Key = tuple[str, str]
"""Collection and fingerprint."""


class CollectionBusy(ApplicationError):
    """A collection cannot be changed now, since others are at work on it for long."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(
            f"collection {name!r} is busy",
            cause=cause,
            hint="Nothing was changed; do it again when they have ended",
        )


class OpenStores:
    """Opens every index of every collection once and hands it to whoever asks.

    Whoever asks with a spec gets the index that was built with it, once that is whole; where there
    is none, the one that the collection's name points at, to be listed or refused.

    Searches (`reading`) come from any event loop and never hold a thread while they wait; whoever
    deletes an index or a collection (`closed`) waits in a thread of its own. Writers must keep each
    other off: this class does not.

    Args:
        collections: where the indexes are.
        require_whole: raises DamagedIndex about the only index of a collection, when it is opened.
    """

    def __init__(
        self,
        collections: Collections,
        require_whole: Callable[[str, PassageStore], None] = lambda *_: None,
    ) -> None:
        self._collections, self._require_whole = collections, require_whole
        self._stores: dict[_Key, PassageStore] = {}
        self._whole: set[_Key] = set()
        self._readers: defaultdict[_Key, set[object]] = defaultdict(set)
        self._closing: set[tuple[str, str | None]] = set()
        self._opening = threading.Lock()  # held while an index is loaded
        self._noting = threading.Lock()  # held for a moment

    def open(self, name: str, spec: IndexSpec, fingerprint: str | None = None) -> PassageStore:
        """The index for a spec, or the one of that fingerprint, for a writer.

        Raises:
            UnknownCollection: there is no collection of that name.
            UnknownIndex: it has no index of that fingerprint.
            StoreError: it cannot be opened.
        """
        with self._opening:
            return self._load(name, spec, fingerprint or self._choose(name, spec))

    def create(self, name: str, spec: IndexSpec) -> PassageStore:
        """As `open`; the collection is made if need be. Raises BadCollectionName, StoreError."""
        with self._opening:
            try:
                return self._load(name, spec, self._choose(name, spec))
            except UnknownCollection:
                return self._keep(name, self._collections.create(name, spec))

    def stage(self, name: str, spec: IndexSpec) -> PassageStore:
        """The index of that spec, made if need be, whole or not. Raises as `open`."""
        with self._opening:
            if self._current((name, spec.fingerprint)):
                return self._load(name, spec, spec.fingerprint)
            return self._keep(name, self._collections.stage(name, spec))

    @asynccontextmanager
    async def reading(self, name: str, spec: IndexSpec) -> AsyncIterator[PassageStore]:
        """The index for a spec, open for as long as the context is. Raises as `open`."""
        async with self._reading(name, spec, every=False) as (store,):
            yield store

    @asynccontextmanager
    async def reading_all(self, name: str, spec: IndexSpec) -> AsyncIterator[list[PassageStore]]:
        """All indexes of a collection, the one for the spec first. Raises as `open`."""
        async with self._reading(name, spec, every=True) as stores:
            yield stores

    def await_readers(self, name: str, fingerprint: str) -> None:
        """Return when all who read the index now have ended; not those who come later."""
        key = name, fingerprint
        with self._noting:
            now = set(self._readers[key])
        deadline = time.monotonic() + _PATIENCE
        while now & self._readers[key] and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    @contextmanager
    def closed(
        self, name: str, fingerprint: str | None = None, force: bool = False
    ) -> Iterator[None]:
        """Wait until nobody reads an index, close it, and keep readers waiting meanwhile.

        Without a fingerprint, all indexes of the collection. Readers that stay for long are closed
        out with `force`, at the end of the process.

        Raises:
            CollectionBusy: a reader stayed for long; nothing was closed.
        """
        with self._opening, self._noting:
            self._closing.add((name, fingerprint))
            keys = [key for key in self._stores if key == (name, fingerprint or key[1])]
        try:
            deadline = time.monotonic() + (_PATIENCE if force else READERS_PATIENCE)
            while any(self._readers[key] for key in keys):
                if time.monotonic() > deadline:
                    if force:
                        break
                    raise CollectionBusy(name, "somebody is reading it")
                time.sleep(_PAUSE)
            for key in keys:
                with self._noting:
                    store = self._stores.pop(key)
                    self._whole.discard(key)
                store.close()
            yield
        finally:
            with self._noting:
                self._closing.discard((name, fingerprint))

    def close(self) -> None:
        """Close all of them."""
        for name in {name for name, _ in self._stores}:
            with self.closed(name, force=True):
                pass

    @asynccontextmanager
    async def _reading(
        self, name: str, spec: IndexSpec, every: bool
    ) -> AsyncIterator[list[PassageStore]]:
        me, index = object(), [(name, spec.fingerprint)]
        keys = index if not every and index[0] in self._whole else []
        while not (stores := self._enter(keys, me)):
            keys = await asyncio.to_thread(self._opened, name, spec, every)
            if not keys:
                await asyncio.sleep(_PAUSE)
        try:
            yield stores
        finally:
            with self._noting:
                for key in keys:
                    self._readers[key].discard(me)

    def _opened(self, name: str, spec: IndexSpec, every: bool) -> list[_Key]:
        """Which indexes are meant; they are open now. None of them while one is being closed."""
        with self._opening:
            if any(closing == name for closing, _ in self._closing):
                return []
            first = self._choose(name, spec)
            others = self._collections.versions(name) if every else []
            chosen = [first, *(other for other in others if other != first)]
            for fingerprint in chosen:
                self._load(name, spec, fingerprint)
            return [(name, fingerprint) for fingerprint in chosen]

    def _choose(self, name: str, spec: IndexSpec) -> str:
        return spec.fingerprint if self._has(name, spec) else self._collections.active(name)

    def _has(self, name: str, spec: IndexSpec) -> bool:
        """Whether the collection has a whole index for the spec, which is open then."""
        key = name, spec.fingerprint
        self._current(key)
        if key not in self._whole:
            if spec.fingerprint not in self._collections.versions(name):
                return False
            if self._load(name, spec, spec.fingerprint).collection().building:
                return False
            self._whole.add(key)
        return True

    def _load(self, name: str, spec: IndexSpec, fingerprint: str) -> PassageStore:
        store = self._current((name, fingerprint))
        if store is None:
            store = self._collections.open(name, spec, fingerprint)
            if len(self._collections.versions(name)) == 1:
                self._require(name, store)
            return self._keep(name, store)
        if spec.fingerprint == fingerprint != store.spec.fingerprint:
            store.follow(spec)
        return store

    def _current(self, key: _Key) -> PassageStore | None:
        """The open index; not one that another process has deleted, which is forgotten."""
        with self._noting:
            store = self._stores.get(key)
            if store is None or not store.gone:
                return store
            del self._stores[key]
            self._whole.discard(key)
        store.close()
        return None

    def _require(self, name: str, store: PassageStore) -> None:
        try:
            self._require_whole(name, store)
        except RagAppError:
            store.close()
            raise

    def _keep(self, name: str, store: PassageStore) -> PassageStore:
        key = name, store.stored_fingerprint  # read once, by a thread that may wait
        with self._noting:
            self._stores[key] = store
        return store

    def _enter(self, keys: Sequence[_Key], reader: object) -> list[PassageStore]:
        """Note a reader of all these indexes, or of none where one is not open to readers."""
        with self._noting:
            for key in keys:
                if self._closing & {key, (key[0], None)} or key not in self._stores:
                    return []
                if self._stores[key].gone:
                    return []
            for key in keys:
                self._readers[key].add(reader)
            return [self._stores[key] for key in keys]
