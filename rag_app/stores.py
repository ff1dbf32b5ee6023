"""Open collections, shared by all requests: none is closed while somebody searches it."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from retrieval.index.base import PassageStore
from retrieval.index.collections import Collections
from retrieval.index.fingerprint import IndexSpec

_PAUSE = 0.01
_PATIENCE = 10.0
"""Seconds that searches are waited for, where going on without them does no harm."""


class OpenStores:
    """Opens every collection once and hands it to whoever asks.

    Searches (`reading`) come from any event loop and never hold a thread while they wait; whoever
    replaces or deletes a collection (`closed`) waits in a thread of its own. Writers must keep
    each other off: this class does not.

    Args:
        collections: where the indexes are.
        spec: what new ones are built with.
    """

    def __init__(self, collections: Collections, spec: IndexSpec) -> None:
        self._collections, self._spec = collections, spec
        self._stores: dict[str, PassageStore] = {}
        self._readers: defaultdict[str, set[object]] = defaultdict(set)
        self._closing: set[str] = set()
        self._opening = threading.Lock()  # held while an index is loaded
        self._noting = threading.Lock()  # held for a moment

    def open(self, name: str) -> PassageStore:
        """The collection, for a writer.

        Raises:
            UnknownCollection: there is none of that name.
            StoreError: it cannot be opened.
        """
        with self._opening:
            if name not in self._stores:
                self._keep(name, self._collections.open(name, self._spec))
            return self._stores[name]

    def create(self, name: str) -> PassageStore:
        """The collection, made if need be. Raises BadCollectionName, StoreError."""
        with self._opening:
            if name not in self._stores:
                self._keep(name, self._collections.create(name, self._spec))
            return self._stores[name]

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[PassageStore]:
        """The collection, open for as long as the context is. Raises as `open`."""
        me = object()
        while (store := self._enter(name, me)) is None:
            if not await asyncio.to_thread(self._opened, name):
                await asyncio.sleep(_PAUSE)
        try:
            yield store
        finally:
            with self._noting:
                self._readers[name].discard(me)

    def await_readers(self, name: str) -> None:
        """Return when all who read the collection now have ended; not those who come later."""
        with self._noting:
            now = set(self._readers[name])
        deadline = time.monotonic() + _PATIENCE
        while now & self._readers[name] and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    @contextmanager
    def closed(self, name: str, patience: float = float("inf")) -> Iterator[None]:
        """Wait until nobody reads the collection, close it, and keep readers waiting meanwhile."""
        with self._opening, self._noting:
            self._closing.add(name)
        try:
            deadline = time.monotonic() + patience
            while self._readers[name] and time.monotonic() < deadline:
                time.sleep(_PAUSE)
            with self._noting:
                store = self._stores.pop(name, None)
            if store is not None:
                store.close()
            yield
        finally:
            with self._noting:
                self._closing.discard(name)

    def close(self) -> None:
        """Close all of them."""
        for name in list(self._stores):
            with self.closed(name, _PATIENCE):
                pass

    def _opened(self, name: str) -> bool:
        """Whether the collection is open now; False while it is being closed."""
        with self._opening:
            if name in self._closing:
                return False
            if name not in self._stores:
                self._keep(name, self._collections.open(name, self._spec))
            return True

    def _keep(self, name: str, store: PassageStore) -> None:
        _ = store.stored_fingerprint  # read once, by a thread that may wait
        with self._noting:
            self._stores[name] = store

    def _enter(self, name: str, reader: object) -> PassageStore | None:
        with self._noting:
            if name in self._closing or name not in self._stores:
                return None
            self._readers[name].add(reader)
            return self._stores[name]
