"""A proxy that hands each new connection to the next of several servers, as a balancer does."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit


class RoundRobin:
    """Copies bytes between clients and servers, in a thread, until `stop`.

    A server that refuses the connection is passed over.

    Attributes:
        url: where clients connect.
        begun: connections that each server has been given.
        open: those of them that have not ended.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._places = [
            (urlsplit(one).hostname or "", urlsplit(one).port or 0) for one in addresses
        ]
        self._next = 0
        self.begun, self.open = [0] * len(addresses), [0] * len(addresses)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._listener)
        await self._ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self._places:
            at = self._next = (self._next + 1) % len(self._places)
            try:
                from_server, to_server = await asyncio.open_connection(*self._places[at])
            except OSError:
                continue
            self.begun[at] += 1
            self.open[at] += 1
            try:
                await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))
            finally:
                self.open[at] -= 1
            return
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes, then the end; a broken connection ends the other side too."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
