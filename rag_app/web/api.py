"""The application's HTTP API: one route an operation, streams as lines of JSON."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from data.errors import RagAppError
from rag_app.accounts.rights import NOBODY, Person, Right, forbidden, right_of
from rag_app.remote import wire
from rag_app.remote.operations import CHAT_OPERATIONS, OPERATIONS, Operation
from rag_app.results import IngestReport, Progress
from rag_app.service import Service
from rag_app.web.access import Access
from rag_app.web.gate import UNKNOWN
from rag_app.web.streams import ClosingStream

_STREAM: Final = Annotated[bool, Query(description="Whether lines come as they are made.")]


def api(service: Service, access: Access) -> APIRouter:
    """All routes. `rag_app.web.gate` asks for the right to read; a guarded service
    (`rag_app.accounts.guarded`) for each right that a call needs.
    """

    class Changing(APIRoute):
        """Asks for the right before it reads a body; where, the service asks then."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                person, right = access.person(request), right_of(str(self.operation_id))
                if not person.could(right):
                    raise _refused(person, right)
                return await handler(request)

            return handle

    def owner(request: Request) -> str:
        if name := access.person(request).id:
            return name
        raise _refused(NOBODY, "read")

    router, changing = APIRouter(), APIRouter(route_class=Changing)
    for operation in (*OPERATIONS, *CHAT_OPERATIONS):
        call = getattr(service if operation.of is Service else service.chats, operation.name)
        (router if right_of(operation.name) == "read" else changing).add_api_route(
            operation.path,
            _endpoint(operation, call, owner),
            methods=[operation.method],
            **_description(operation),
        )
    router.include_router(changing)
    return router


def _refused(person: Person, right: Right) -> HTTPException:
    if person.name:
        return HTTPException(403, str(forbidden(person, right)))
    return HTTPException(401, UNKNOWN, headers={"WWW-Authenticate": "Basic"})


def _endpoint(
    operation: Operation, call: Callable[..., Any], owner: Callable[[Request], str]
) -> Callable[..., Any]:
    """What answers a request, with the signature that FastAPI reads its parameters from."""

    async def endpoint(request: Request, **given: Any) -> Any:
        alone = not given.pop("stream", True)
        if "owner" in operation.signature.parameters:
            given["owner"] = owner(request)
        work = partial(call, **_arguments(given))
        if operation.upload:
            pieces = request.stream()
            result = await _uploaded(pieces, partial(work, **{operation.upload: pieces}))
            return _json(operation.signature.return_annotation, result)
        if operation.streams or operation.reports_progress:
            events = _progressing(work) if operation.reports_progress else work()
            return await _last(operation, events) if alone else _streamed(events)
        result = await work()
        if operation.done:
            return {operation.done: True if result is None else result}
        return _json(operation.signature.return_annotation, result)

    keyword, parts = inspect.Parameter.KEYWORD_ONLY, operation.parts
    wanted = [inspect.Parameter("request", keyword, annotation=Request)]
    wanted += [each.replace(kind=keyword) for each in parts["path"]]
    wanted += [
        each.replace(kind=keyword, annotation=Annotated[each.annotation, Query()])
        for each in parts["query"]
    ]
    if operation.whole:
        wanted.append(inspect.Parameter("stream", keyword, default=True, annotation=_STREAM))
    if operation.body:
        wanted.append(inspect.Parameter("body", keyword, annotation=operation.body))
    endpoint.__name__, endpoint.__doc__ = operation.name, operation.help
    vars(endpoint)["__signature__"] = inspect.Signature(wanted)
    return endpoint


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """What a method is called with: the fields of the body each by its name."""
    if (body := given.pop("body", None)) is not None:
        given |= {name: getattr(body, name) for name in type(body).model_fields}
    if "history" in given:
        given["history"] = [turn.message() for turn in given["history"]]
    return given


async def _uploaded(pieces: AsyncGenerator[bytes, None], work: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await work()
    except ClientDisconnect:  # nobody reads this
        raise HTTPException(400, "the upload did not come to its end") from None
    finally:
        async for _ in pieces:  # else whoever still sends would not read why it failed
            pass


def _description(operation: Operation) -> dict[str, Any]:
    """What the API's page says of an operation's answers."""
    returned = operation.signature.return_annotation
    model, content = dict[str, bool] if operation.done else returned, {}
    if operation.streams or operation.reports_progress:
        model = operation.whole
        union = get_args(returned)[0] if operation.streams else Progress | IngestReport
        types = ", ".join(wire.kinds(union))
        text = f"Lines of JSON, each with `type` ({types}) and `data`, or `error` as the last one."
        content[wire.MEDIA_TYPE] = {"schema": {"type": "string", "description": text}}
    described: dict[str, Any] = {
        "summary": operation.help.split("\n")[0],
        "operation_id": operation.name,
        "response_model": model,
        "responses": {200: {"content": content}},
    }
    if content and not model:
        described["response_class"] = StreamingResponse  # or a body of JSON would be shown beside
    if operation.upload:
        raw = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        described["openapi_extra"] = {"requestBody": {"required": True, "content": raw}}
    return described


async def _last(operation: Operation, events: AsyncGenerator[Any, None]) -> Response:
    """What the stream ends with."""
    last = None
    async with aclosing(events):
        async for event in events:
            last = event
    return _json(operation.whole, last)


def _json(kind: Any, result: Any) -> Response:
    """A result of that type; FastAPI's own JSON fails over half a surrogate pair in a text."""
    return Response(wire.dumped(wire.plain(kind, result)), media_type="application/json")


def _streamed(events: AsyncGenerator[Any, None]) -> ClosingStream:
    async def lines() -> AsyncGenerator[bytes, None]:
        try:
            async for event in events:
                yield wire.framed(event)
        except RagAppError as error:
            yield wire.line(error)

    return ClosingStream(lines(), events, wire.MEDIA_TYPE)


async def _progressing(
    work: Callable[..., Awaitable[IngestReport]],
) -> AsyncGenerator[Progress | IngestReport, None]:
    """Run work that reports from another thread, and yield what it reports as it comes."""
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[Progress | None] = asyncio.Queue()

    def on_progress(progress: Progress) -> None:
        loop.call_soon_threadsafe(news.put_nowait, progress)

    task = asyncio.ensure_future(work(on_progress=on_progress))
    task.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (progress := await news.get()) is not None:
            yield progress
        yield await task
    finally:
        task.cancel()  # nobody listens any more: the work stops, and can be taken up again
