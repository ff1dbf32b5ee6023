"""HTTP connections that cannot be kept half open, stalled or idle to keep others out."""

import asyncio
import resource
import time
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0
"""For the head of a request, from the connection or the first byte after the last response."""
STALLED_SECONDS: Final = 30.0
"""For each further piece of a body, and for a client to read what is sent to it."""
_PIECE: Final = 64 * 1024
_MOST: Final = 512
"""Connections at once; the oldest that asks for nothing makes room for a new one."""


def raise_open_files() -> int:
    """Allow this process more open files; returns how many connections fit into them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        soft = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(_MOST, soft // 2)


class SteadyProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with an end to every wait for a client.

    uvicorn itself limits only the idle time after a response.
    """

    most = _MOST
    head_seconds, stalled_seconds, look_seconds = HEAD_SECONDS, STALLED_SECONDS, 1.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in, if there is room."""
        self._begun = self._since = time.monotonic()
        self._waits_for: tuple[str, int] = ("head", 0)
        self._received = 0
        super().connection_made(transport)  # type: ignore[arg-type]
        self._timer = self.loop.call_later(self.look_seconds, self._look)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        self._received += len(data)
        super().data_received(data)

    def _make_room(self) -> None:
        connections: set[Any] = self.connections
        waiting = [one for one in connections if one.conn.their_state is h11.IDLE]
        oldest = min(waiting, key=lambda one: one._begun, default=self)
        oldest.transport.abort()
        self.connections.discard(oldest)

    def _look(self) -> None:
        """Abort the connection if it has waited for the same thing of its client for too long."""
        waits_for, now = self._state(), time.monotonic()
        if waits_for != self._waits_for:
            self._waits_for, self._since = waits_for, now
        patience = self.head_seconds if waits_for[0] == "head" else self.stalled_seconds
        if waits_for[0] and now - self._since > patience:
            self.transport.abort()
            return
        self._timer = self.loop.call_later(self.look_seconds, self._look)

    def _state(self) -> tuple[str, int]:
        """What is awaited of the client, and how far it has come; nothing while we work."""
        if self.flow.write_paused:
            return "reading", 0
        if self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            return "head", 0
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return "body", self._received // _PIECE
        return "", 0
