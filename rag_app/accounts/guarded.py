"""The service as far as the person may use it who sent the request at hand."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import lru_cache, partial, wraps
from typing import Any, Final, TypeVar, cast

from rag_app.accounts.rights import CURRENT, Forbidden, Right, forbidden, right_of
from rag_app.accounts.users import Users
from retrieval.index.collections import checked_name
from retrieval.index.errors import UnknownCollection

S = TypeVar("S")
_MAKERS: Final = frozenset({"create_collection", "ingest", "add_document", "add_address"})
"""Methods that make the collection they name, where there is none."""


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
            collection = _collection(given)
            makes = name in _MAKERS and await self._is_new(collection)
            await self._require("make" if makes else right_of(name), collection, new=makes)
            await self._require_all(right_of(name), given)
            try:
                if makes:
                    return await self._make(collection, partial(method, *arguments, **keywords))
                if name == "rename_collection":
                    return await self._rename(method, *arguments, **keywords)
                if name == "drop_collection":
                    return await self._drop(collection, partial(method, *arguments, **keywords))
                return await method(*arguments, **keywords)
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

    async def _make(self, collection: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Let a method make a collection, which is a user's own, or else shared."""
        person = CURRENT.get()
        with self._alone(checked_name(collection)):
            if not await self._is_new(collection):
                raise _busy(collection)
            async with self._claimed(collection, person.id if person.name else ""):
                return await work()

    async def _rename(self, method: Callable[..., Awaitable[Any]], name: str, to: str) -> Any:
        """Let a collection be called otherwise; it stays its owner's at every moment."""
        owner = await self._owner(name)
        with self._alone(checked_name(name)), self._alone(checked_name(to)):
            if await self._exists(to):
                return await method(name, to)  # which refuses it
            async with self._claimed(to, owner):
                result = await method(name, to)
            await self._set_owner(name, "")
            return result

    async def _drop(self, collection: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Let a method delete a collection, whose name then is anyone's."""
        with self._alone(collection):
            result = await work()
            await self._set_owner(collection, "")
            return result

    @asynccontextmanager
    async def _claimed(self, collection: str, owner: str) -> AsyncIterator[None]:
        """A collection is made by one alone, in whatever process; its owner is known before."""
        if not self._users or not self._users.begun:
            yield
            return
        if not await asyncio.to_thread(self._users.claim, collection, owner):
            raise _busy(collection)
        made = False
        try:
            yield
            made = True
        finally:
            if not owner or not (made or await self._exists(collection)):
                await self._set_owner(collection, "")

    @contextmanager
    def _alone(self, collection: str) -> Iterator[None]:
        """A collection and its owner change together."""
        if collection in self._changing:
            raise _busy(collection)
        self._changing.add(collection)
        try:
            yield
        finally:
            self._changing.discard(collection)

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


def _busy(collection: str) -> Forbidden:
    return Forbidden(
        f"collection {collection!r} is being made or deleted",
        hint="Try again, or take another name; `rag-app users share` frees one that is left over",
    )
