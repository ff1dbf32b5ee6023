"""The application behind another process's address: what commands use while the app is running."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from functools import cached_property, partial
from inspect import Parameter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import httpx
from llama_index.core.base.llms.types import ChatMessage

from rag_app.accounts.chats.chats import Chats
from rag_app.errors import ApplicationError
from rag_app.remote import wire
from rag_app.remote.operations import CHAT_OPERATIONS, OPERATIONS, Operation
from rag_app.results import IngestReport, OnProgress
from rag_app.service import QueryOptions
from retrieval.index.collections import checked_name

_PATIENCE = httpx.Timeout(30.0, read=600.0, write=600.0)


class RemoteService:
    """`rag_app.service.Service` over HTTP: it has a method for each row of the operations.

    Args:
        token: what it left in its storage folder for local callers, or its password.
        transport: stands in for the network where given.
    """

    def __init__(
        self, address: str, token: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.address = address
        self._client = httpx.AsyncClient(
            base_url=f"{address}/api/",
            headers={b"Authorization": f"Bearer {token}".encode()} if token else {},
            timeout=_PATIENCE,
            transport=transport,
            trust_env=False,
        )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method of the service, by its row of the table."""
        for operation in OPERATIONS:
            if operation.name == name:
                return self.method(operation)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @cached_property
    def chats(self) -> Chats:
        """See `Service.chats`: what is offered of it; the token reaches everyone's."""
        calls = {each.name: self.method(each) for each in CHAT_OPERATIONS}
        return cast("Chats", SimpleNamespace(**calls))

    def method(self, operation: Operation) -> Callable[..., Any]:
        """What calls an operation with the arguments of its signature."""
        return partial(self._follow if operation.streams else self._ask, operation)

    async def close(self) -> None:
        """See `Service.close`."""
        await self._client.aclose()

    async def _ask(self, operation: Operation, *arguments: Any, **keywords: Any) -> Any:
        """The result of an operation; its progress is reported meanwhile."""
        request, given = _request(operation, arguments, keywords)
        if operation.reports_progress:
            return await self._report(request, given.get("on_progress"))
        response = await self._send(request)
        returned = operation.signature.return_annotation
        with self._understood():
            if operation.done:
                return response.json()[operation.done] if returned is bool else None
            return wire.adapter(returned).validate_json(response.content)

    async def _follow(
        self, operation: Operation, *arguments: Any, **keywords: Any
    ) -> AsyncGenerator[Any, None]:
        """What an operation gives, as it comes."""
        last = None
        request, _ = _request(operation, arguments, keywords)
        async with aclosing(self._stream(request)) as events:
            async for event in events:
                last = event
                yield event
        if operation.last and not isinstance(last, operation.last):
            raise self._lost(f"the connection ended before the {operation.name} was whole")

    async def _report(self, request: dict[str, Any], on_progress: OnProgress | None) -> Any:
        async with aclosing(self._stream(request)) as events:
            async for event in events:
                if isinstance(event, IngestReport):
                    return event
                if on_progress:
                    on_progress(event)
        raise self._lost("the connection ended before the report came")

    async def _stream(self, request: dict[str, Any]) -> AsyncGenerator[Any, None]:
        try:
            async with self._client.stream(**request) as response:
                if response.is_error:
                    await response.aread()
                    raise self._refused(response)
                async with aclosing(wire.unframed(response.aiter_bytes())) as events:
                    with self._understood():
                        async for event in events:
                            yield event
        except httpx.TransportError as error:
            raise self._lost(str(error)) from error

    async def _send(self, request: dict[str, Any]) -> httpx.Response:
        try:
            response = await self._client.request(**request)
        except httpx.TransportError as error:
            raise self._lost(str(error)) from error
        if response.is_error:
            raise self._refused(response)
        return response

    def _refused(self, response: httpx.Response) -> ApplicationError:
        try:
            return wire.refusal(response.json()["error"])
        except (ValueError, KeyError, TypeError, AttributeError):  # no application of ours
            return wire.RemoteError(f"{response.request.url} answered {response.status_code}")

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Raise RemoteError for what is not of the API's form."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise wire.RemoteError(
                f"what is at {self.address} answers in a way that is not known here",
                hint="Check the address, and that both are the same version of rag-app",
            ) from error

    def _lost(self, cause: str) -> ApplicationError:
        return ApplicationError(
            f"the running application at {self.address} does not answer",
            cause=cause,
            hint="Stop it or start it again; then repeat the command",
        )


def _sendable(path: Path) -> str:
    try:
        return str(path).encode("utf-8").decode("utf-8")
    except UnicodeEncodeError:
        raise ApplicationError(
            f"{str(path)!r} cannot be named to the running application",
            cause="its name is not UTF-8",
            hint="Rename it, name the folder it lies in, or stop the application first",
        ) from None


def _request(
    operation: Operation, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What httpx sends for a call, and the arguments of the call."""
    bound = operation.signature.bind(*arguments, **keywords)
    bound.apply_defaults()
    given = bound.arguments
    path = operation.path.lstrip("/")
    for each in operation.parts["path"]:
        value = given[each.name]
        if each.name in {"collection", "name"}:
            checked_name(value)
        path = path.replace(f"{{{each.name}}}", quote(str(value), safe="", errors="replace"))
    request: dict[str, Any] = {"method": operation.method, "url": path}
    sent = {name: _plain(given, operation.parts[name]) for name in ("query", "body")}
    if sent["query"]:
        request["params"] = {key: one for key, one in sent["query"].items() if one is not None}
    if operation.upload:
        request["content"] = given[operation.upload]
    elif operation.method in ("POST", "PUT"):
        request["json"] = sent["body"]
    return request, given


def _plain(given: Mapping[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
    return {each.name: _as_json(given[each.name]) for each in parameters}


def _as_json(value: Any) -> Any:
    if isinstance(value, QueryOptions):
        return value.model_dump(mode="json")
    if isinstance(value, ChatMessage):
        return {"role": value.role.value, "content": value.content or ""}
    if isinstance(value, Path):  # the other process reads it, so it must be able to find it
        return _sendable(value.resolve())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_json(one) for one in value]
    return value
