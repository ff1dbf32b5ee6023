"""A loopback server that breaks HTTP's promises, or says what no server of its kind says."""

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

Lie = Callable[["Sender"], Awaitable[None]]
"""Answers one request; the connection ends with it."""


class Sender:
    """The server's end of a connection, after the request has been read.

    Args:
        writer: where the answer goes.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: str = "200 OK", **fields: str) -> None:
        """Begin an answer whose length is not told, unless a field does."""
        lines = [f"HTTP/1.1 {status}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def whole(self, body: object, **fields: str) -> None:
        """A whole answer; bytes as they are, all else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.head(Content_Type="application/json", Content_Length=str(len(raw)), **fields)
        await self.raw(raw)

    async def forever(self, piece: bytes, pause: float = 0.0) -> None:
        """Send a piece again and again, until the client leaves."""
        while True:
            await self.raw(piece)
            await asyncio.sleep(pause)


@contextmanager
def lying_server(lie: Lie) -> Iterator[str]:
    """Serve one lie to every request, whatever it is; gives the address, which ends in /v1."""
    loop = asyncio.new_event_loop()
    answering = set[asyncio.Task[None] | None]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())  # else nobody holds one that waits for nothing
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, found, rest = head.partition(b"content-length:")
            await reader.readexactly(int(rest.split(b"\r\n")[0]) if found else 0)
            await lie(Sender(writer))
            writer.write_eof()
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.transport.abort()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(answer, "127.0.0.1", 0)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    for _ in range(10):  # a connection on its way becomes a task some turns later
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)


_BLANKS = b" " * 65_536


async def _endless(sender: Sender) -> None:
    await sender.head(Content_Type="application/json")
    await sender.raw(b'{"data": [')
    await sender.forever(_BLANKS)


async def _false_length(sender: Sender) -> None:
    await sender.head(Content_Type="application/json", Content_Length=str(1 << 40))
    await sender.forever(_BLANKS)


async def _endless_error(sender: Sender) -> None:
    await sender.head("400 Bad Request", Content_Type="text/plain")
    await sender.forever(_BLANKS)


async def _packed(sender: Sender) -> None:
    """A gigabyte in a megabyte."""
    pack = gzip.compress(bytes(1 << 20)) * 1024
    await sender.head(Content_Type="application/json", Content_Encoding="gzip")
    await sender.raw(pack)


async def _packed_by_brotli(sender: Sender) -> None:
    """Zeros, as brotli writes them: each metablock of a few bytes is 16 MiB."""
    await sender.head(Content_Type="application/json", Content_Encoding="br")
    await sender.forever(bytes.fromhex("1b00001000c0ff") * 8192)


async def _redirect(sender: Sender) -> None:
    where = "http://127.0.0.1:9/stolen?key="
    await sender.head("307 Temporary Redirect", Location=where, Content_Length="0")


async def _cut(sender: Sender) -> None:
    await sender.head(Content_Type="application/json", Content_Length="1000")
    await sender.raw(b'{"data": [{"ind')


async def _no_http(sender: Sender) -> None:
    await sender.raw(b"SSH-2.0-OpenSSH_9.9\r\n" * 3)


async def _endless_head(sender: Sender) -> None:
    await sender.raw(b"HTTP/1.1 200 OK\r\n")
    await sender.forever(b"X-More: " + b"x" * 1000 + b"\r\n")


async def _drip(sender: Sender) -> None:
    await sender.head(Content_Type="application/json")
    await sender.forever(b" ", pause=0.01)


async def _silence(sender: Sender) -> None:
    await asyncio.Event().wait()


def says(body: object) -> Lie:
    """A lie that is a whole answer."""

    async def lie(sender: Sender) -> None:
        await sender.whole(body)

    return lie


def streams(piece: bytes, pause: float = 0.0, first: bytes = b"") -> Lie:
    """A lie that is a stream of server-sent events without an end."""

    async def lie(sender: Sender) -> None:
        await sender.head(Content_Type="text/event-stream")
        await sender.raw(first)
        await sender.forever(piece, pause)

    return lie


OF_ANY_SERVER: dict[str, Lie] = {
    "an answer without end": _endless,
    "a length of a terabyte": _false_length,
    "an error without end": _endless_error,
    "a gigabyte in gzip": _packed,
    "gigabytes in brotli": _packed_by_brotli,
    "another address": _redirect,
    "half an answer": _cut,
    "no HTTP": _no_http,
    "a head without end": _endless_head,
    "a drop at a time": _drip,
    "silence": _silence,
    "no JSON": says(b"<html>It works!</html>"),
    "other JSON": says([1, 2, 3]),
    "nothing": says(b""),
    "no UTF-8": says(b'{"data": "\xff\xfe"}'),
    "a deep nest": says(b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a nest as deep as parsers go": says(b'{"choices":[' + b"[" * 900 + b"]" * 900 + b"]}"),
}
