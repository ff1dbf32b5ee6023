"""Clients that stall, against a real server on loopback: every wait for one ends."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from rag_app.settings import Server
from rag_app.web.protocol import SteadyProtocol, raise_open_files
from tests.rag_app.served import listening
from ui.serving import bind

T = TypeVar("T")

HEAD = b"POST /length HTTP/1.1\r\nHost: 127.0.0.1\r\n"


class Quick(SteadyProtocol):
    head_seconds = stalled_seconds = 0.2
    look_seconds = 0.02


class Few(SteadyProtocol):
    most = 4


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def slow(_: Request) -> PlainTextResponse:
    await asyncio.sleep(4 * Quick.stalled_seconds)
    return PlainTextResponse("done")


async def much(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            for _ in range(1000):
                yield bytes(1 << 16)
        finally:
            request.app.state.ended.set()

    return StreamingResponse(pieces())


@asynccontextmanager
async def running(protocol: type[SteadyProtocol]) -> AsyncIterator[tuple[int, Starlette]]:
    """A server with that protocol; its port, and the application behind it."""
    routes = [
        Route("/length", length, methods=["POST"]),
        Route("/slow", slow, methods=["GET"]),
        Route("/much", much, methods=["GET"]),
    ]
    app, listener = Starlette(routes=routes), listening()
    app.state.ended = asyncio.Event()
    config = uvicorn.Config(
        app, http=protocol, log_level="critical", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield listener.getsockname()[1], app
    finally:
        server.should_exit = True
        await soon(task)
        listener.close()


async def soon(awaited: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaited, 20)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    reader, writer = await soon(asyncio.open_connection("127.0.0.1", port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ended(reader: StreamReader) -> bytes:
    """All that comes until the server ends the connection."""
    received = b""
    try:
        while piece := await soon(reader.read(1 << 16)):
            received += piece
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /length HT",
        HEAD,
        HEAD + b"Content-Length: 100\r\n\r\nsome",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
    ],
)
async def test_what_never_comes_to_its_end_is_cut_off(sent):
    async with running(Quick) as (port, _), connected(port) as (reader, writer):
        writer.write(sent)
        assert b"200 OK" not in await ended(reader)


@pytest.mark.parametrize("head", [b"", HEAD + b"Content-Length: 9999\r\n\r\n"])
async def test_a_byte_now_and_then_keeps_nothing_open(head):
    async def drip(writer: StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(b"P")
            await asyncio.sleep(0.05)

    async with running(Quick) as (port, _), connected(port) as (reader, writer):
        dripping = asyncio.create_task(drip(writer))
        try:
            assert b"200 OK" not in await ended(reader)
        finally:
            dripping.cancel()


async def test_a_large_body_may_take_longer_than_each_piece_of_it():
    size, pieces = 1 << 17, 10
    async with running(Quick) as (port, _), connected(port) as (reader, writer):
        writer.write(HEAD + f"Content-Length: {size * pieces}\r\n\r\n".encode())
        for _ in range(pieces):
            writer.write(bytes(size))
            await soon(writer.drain())
            await asyncio.sleep(Quick.stalled_seconds / 4)
        answer = await soon(reader.readuntil(str(size * pieces).encode()))
        assert answer.startswith(b"HTTP/1.1 200 OK")


async def test_work_may_take_longer_than_any_client():
    async with running(Quick) as (port, _), connected(port) as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await ended(reader)).endswith(b"done")


async def test_an_answer_that_is_not_read_is_given_up():
    async with running(Quick) as (port, app):
        with socket.socket() as client:
            client.settimeout(20)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /much HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await soon(app.state.ended.wait())


async def test_half_open_connections_make_room_for_others():
    async with running(Few) as (port, _):
        halves = []
        for _ in range(3 * Few.most):
            reader, writer = await soon(asyncio.open_connection("127.0.0.1", port))
            writer.write(b"POST /len")
            halves.append((reader, writer))
        async with connected(port) as (reader, writer):
            writer.write(HEAD + b"Content-Length: 4\r\nConnection: close\r\n\r\nsome")
            assert (await ended(reader)).endswith(b"4")
        for reader, _ in halves[: 2 * Few.most]:
            assert await ended(reader) == b""
        for _, writer in halves:
            writer.transport.abort()


async def test_connections_at_work_are_not_given_up_for_others():
    async with running(Few) as (port, _), connected(port) as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        await soon(writer.drain())
        await asyncio.sleep(0.05)  # the server has read it
        others = [await soon(asyncio.open_connection("127.0.0.1", port)) for _ in range(9)]
        assert (await ended(reader)).endswith(b"done")
        for _, other in others:
            other.transport.abort()


def test_as_many_connections_as_files_may_be_open():
    assert 0 < raise_open_files() <= SteadyProtocol.most


async def test_answers_are_not_held_back_for_the_client_to_acknowledge_the_last():
    with bind(Server(port=0)) as listener:
        accepted = asyncio.get_running_loop().create_future()

        class Look(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.set_result(transport.get_extra_info("socket"))

        server = await asyncio.get_running_loop().create_server(Look, sock=listener)
        async with server, connected(listener.getsockname()[1]):
            taken = await soon(accepted)
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            server.close()
