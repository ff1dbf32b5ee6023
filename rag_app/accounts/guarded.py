"""The service as far as the person may use it who sent the request at hand."""

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import lru_cache, partial, wraps
from typing import Any, Final, TypeVar, cast

from rag_app.accounts.rights import CURRENT, Right, forbidden, right_of
from rag_app.accounts.users import Users
from rag_app.errors import CollectionBusy
from retrieval.index.collections import checked_name
from retrieval.index.errors import UnknownCollection

S = TypeVar("S")
_MAKERS: Final = frozenset({"create_collection", "ingest", "add_document", "add_address"})
"""Methods that make the collection they name, where there is none."""
PATIENCE: Final = 10.0
"""Seconds for which work waits for other work that makes, renames or deletes its collection."""
_PAUSE: Final = 0.05


def guard(service: S, users: Users | None) -> S:
    """The service, each method of which first asks `rag_app.accounts.rights`.

    What a person may not see is not there for them: lists leave it out, and asking for it fails as
    asking for nothing would. A collection that a user makes is private to them.

    Args:
        service: a `rag_app.service.Service`.
        users: know whose collections are; None where there are no users.
    """
    if isinstance(service, _Guarded):
        return service  # one alone knows which collections are being made
    return cast("S", _Guarded(service, users))


class _Guarded:
    def __init__(self, service: Any, users: Users | None) -> None:
        self._service, self._users = service, users
        self._changing: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._service, name)
        if not callable(found):
            return found
        return (self._stream if inspect.isasyncgenfunction(found) else self._call)(name, found)

    async def close(self) -> None:
        """The process ends, whoever asked last."""
        await self._service.close()

    async def collections(self) -> Any:
        """Those that the person may see."""
        person = CURRENT.get()
        owners = await asyncio.to_thread(self._users.owners) if self._users else {}
        return [
            one
            for one in await self._service.collections()
            if person.may("read", one.name, owners.get(one.name, ""))
        ]

    def _call(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def call(*arguments: Any, **keywords: Any) -> Any:
            given = _given(method, arguments, keywords)
            collection, right = _collection(given), right_of(name)
            makes = name in _MAKERS and await self._is_new(collection)
            await self._require("make" if makes else right, collection, new=makes)
            await self._require_all(right, given)
            work = partial(method, *arguments, **keywords)
            try:
                if makes:
                    return await self._make(right, collection, work)
                if name == "rename_collection":
                    return await self._rename(method, *arguments, **keywords)
                if name == "drop_collection":
                    return await self._drop(collection, work)
                return await work()
            except UnknownCollection as error:
                raise await self._unknown(error.name) from None

        return call

    def _stream(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        async def stream(*arguments: Any, **keywords: Any) -> AsyncGenerator[Any, None]:
            given = _given(method, arguments, keywords)
            await self._require(right_of(name), _collection(given))
            await self._require_all(right_of(name), given)
            try:
                async with aclosing(method(*arguments, **keywords)) as events:
                    async for event in events:
                        yield event
            except UnknownCollection as error:
                raise await self._unknown(error.name) from None

        return stream

    async def _require(self, right: Right, collection: str, *, new: bool = False) -> None:
        """Raise Forbidden, or UnknownCollection for what the person may not even see."""
        person = CURRENT.get()
        owner = "" if new or not collection else await self._owner(collection)
        if right != "make" and not person.may("read", collection, owner):
            raise await self._unknown(collection) if collection else forbidden(person, right)
        if not person.may(right, collection, owner):
            raise forbidden(person, right, collection)

    async def _require_all(self, right: Right, given: Mapping[str, Any]) -> None:
        """As `_require`, for the other collections that a question is asked of."""
        for other in getattr(given.get("options"), "also", ()):
            await self._require(right, other)

    async def _is_new(self, collection: str) -> bool:
        """Whether a collection is to be made, as far as that matters: where there are users."""
        if not (self._users and self._users.begun):
            return False
        return not await self._exists(collection)

    async def _make(self, right: Right, collection: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Let a method make a collection, which is a user's own, or else shared.

        While another makes it, the work waits; once it is there, the rights in it are asked for.
        """
        person, patience = CURRENT.get(), _Patience(checked_name(collection))
        while await self._is_new(collection):
            async with self._turn(collection, person.id if person.name else "") as is_ours:
                if is_ours:
                    return await work()
            await patience.pause()
        await self._require(right, collection)
        return await work()

    @asynccontextmanager
    async def _turn(self, collection: str, owner: str) -> AsyncIterator[bool]:
        """Whether a collection is missing, and this work alone makes it now."""
        if collection in self._changing:
            yield False
            return
        with self._marked(collection):
            if not await self._is_new(collection):
                yield False
                return
            async with self._claimed(collection, owner) as claimed:
                yield claimed

    async def _rename(self, method: Callable[..., Awaitable[Any]], name: str, to: str) -> Any:
        """Let a collection be called otherwise; it stays its owner's at every moment."""
        async with self._alone(checked_name(name), checked_name(to)):
            await self._require("manage", name)  # it may be another's by now
            if not (person := CURRENT.get()).reaches(to):
                raise forbidden(person, "make", to)
            if await self._exists(to):
                return await method(name, to)  # which refuses it
            async with self._claimed(to, await self._owner(name)) as claimed:
                if not claimed:
                    raise _busy(to)
                result = await method(name, to)
            await self._set_owner(name, "")
            return result

    async def _drop(self, collection: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Let a method delete a collection, whose name then is anyone's."""
        async with self._alone(collection):
            await self._require("manage", collection)  # it may be another's by now
            result = await work()
            await self._set_owner(collection, "")
            return result

    @asynccontextmanager
    async def _claimed(self, collection: str, owner: str) -> AsyncIterator[bool]:
        """Whether this work alone may make a collection, in whatever process; its owner is known
        before.
        """
        if not self._users or not self._users.begun:
            yield True
            return
        with self._users.makes(collection) as alone:
            if not (alone and await asyncio.to_thread(self._users.claim, collection, owner)):
                yield False
                return
            made = False
            try:
                yield True
                made = True
            finally:
                if not owner or not (made or await self._exists(collection)):
                    await self._set_owner(collection, "")

    @asynccontextmanager
    async def _alone(self, *collections: str) -> AsyncIterator[None]:
        """Collections and their owners change together, after other work that changes them."""
        patience = _Patience(collections[0])
        while not self._changing.isdisjoint(collections):
            await patience.pause()
        with self._marked(*collections):
            yield

    @contextmanager
    def _marked(self, *collections: str) -> Iterator[None]:
        """Other work sees that these are changing."""
        self._changing.update(collections)
        try:
            yield
        finally:
            self._changing.difference_update(collections)

    async def _set_owner(self, collection: str, user_id: str) -> None:
        if self._users:
            await asyncio.to_thread(self._users.set_owner, collection, user_id)

    async def _owner(self, collection: str) -> str:
        return await asyncio.to_thread(self._users.owner, collection) if self._users else ""

    async def _exists(self, collection: str) -> bool:
        return collection in {one.name for one in await self._service.collections()}

    async def _unknown(self, collection: str) -> UnknownCollection:
        return UnknownCollection(collection, [one.name for one in await self.collections()])


def _given(method: Callable[..., Any], arguments: Any, keywords: Any) -> Mapping[str, Any]:
    """What a method is called with, by the names that it has for it."""
    whose = (method.__self__,) if inspect.ismethod(method) else ()
    function = getattr(method, "__func__", method)  # no cache keeps a service alive
    return _signature(function).bind(*whose, *arguments, **keywords).arguments


_signature = lru_cache(256)(inspect.signature)
"""Working one out takes longer than a look at who may do what."""


def _collection(given: Mapping[str, Any]) -> str:
    """The collection that a call is about; empty where it is about none."""
    if getattr(given.get("options"), "retriever", None) == "none":
        return ""  # a model is asked alone
    return str(given.get("collection", given.get("name", "")))


class _Patience:
    """Waits for other work on a collection, a while at a time and not for ever."""

    def __init__(self, collection: str) -> None:
        self._collection, self._end = collection, time.monotonic() + PATIENCE

    async def pause(self) -> None:
        """Wait a while; raises CollectionBusy where that was long enough."""
        if time.monotonic() >= self._end:
            raise _busy(self._collection)
        await asyncio.sleep(_PAUSE)


def _busy(collection: str) -> CollectionBusy:
    return CollectionBusy(
        f"collection {collection!r} is being made or deleted",
        hint="Try again, or take another name; `rag-app users share` frees one that is left over",
    )
