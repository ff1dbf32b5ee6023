"""Replies of servers, read piece by piece and within a limit: who sends them may be lying.

They are asked for as they are, and refused where they come packed: a few bytes unpack to any size
at once.
"""

from collections.abc import AsyncGenerator, Generator, Mapping
from types import MappingProxyType
from typing import Final

import httpx

PLAIN: Final[Mapping[str, str]] = MappingProxyType({"accept-encoding": "identity"})
"""Headers of a request whose reply is read here."""


class ReplyError(ValueError):
    """A reply that nobody should read on."""


def pieces(reply: httpx.Response, most: int) -> Generator[bytes, None, None]:
    """The body of a reply as it comes. Raises ReplyError where it is packed, or above `most` bytes.

    Nothing is held but the piece that is given.
    """
    limit = _Limit(reply, most)
    for piece in reply.iter_raw():
        yield limit.passed(piece)


async def async_pieces(reply: httpx.Response, most: int) -> AsyncGenerator[bytes, None]:
    """As `pieces`."""
    limit = _Limit(reply, most)
    async for piece in reply.aiter_raw():
        yield limit.passed(piece)


async def read(reply: httpx.Response, most: int) -> bytes:
    """The whole body; raises as `pieces`."""
    return b"".join([piece async for piece in async_pieces(reply, most)])


class _Limit:
    def __init__(self, reply: httpx.Response, most: int) -> None:
        packing = reply.headers.get("content-encoding", "identity").strip().lower()
        if packing != "identity":
            raise ReplyError(f"the reply is packed ({packing[:20]}), which was not asked for")
        self._most = self._left = most

    def passed(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise ReplyError(f"the reply is larger than {self._most / 2**20:.3g} MiB")
        return piece
