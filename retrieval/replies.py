"""Replies of servers, read piece by piece and within a limit: who sends them may be lying.

They are asked for as they are. What a proxy packs into gzip all the same is unpacked within the
limit, since a few bytes unpack to any size; other packings are refused.
"""

import zlib
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import httpx

PLAIN: Final[Mapping[str, str]] = MappingProxyType({"accept-encoding": "identity"})
"""Headers of a request whose reply is read here."""

_STEP: Final = 64 << 10
"""Bytes that are unpacked at once."""


class ReplyError(ValueError):
    """A reply that nobody should read on."""


def pieces(reply: httpx.Response, most: int) -> Generator[bytes, None, None]:
    """The body of a reply as it comes, unpacked where it comes as gzip all the same.

    Nothing is held but the piece that is given.

    Raises:
        ReplyError: it is packed otherwise, or holds more than `most` bytes.
    """
    limit = _Limit(reply, most)
    for piece in reply.iter_raw():
        yield from limit.passed(piece)


async def async_pieces(reply: httpx.Response, most: int) -> AsyncGenerator[bytes, None]:
    """As `pieces`."""
    limit = _Limit(reply, most)
    async for piece in reply.aiter_raw():
        for part in limit.passed(piece):
            yield part


async def read(reply: httpx.Response, most: int) -> bytes:
    """The whole body; raises as `pieces`."""
    return b"".join([piece async for piece in async_pieces(reply, most)])


class _Limit:
    """Unpacks a body a little at a time, so that the limit holds for what it unpacks to."""

    def __init__(self, reply: httpx.Response, most: int) -> None:
        packing = reply.headers.get("content-encoding", "identity").strip().lower()
        if packing not in {"identity", "gzip", "x-gzip"}:
            raise ReplyError(f"the reply is packed ({packing[:20]}), which was not asked for")
        self._gzip = None if packing == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._most = self._left = most

    def passed(self, piece: bytes) -> Iterator[bytes]:
        if self._gzip is None:
            yield self._counted(piece)
            return
        unpacked = b"?" * _STEP
        while len(unpacked) == _STEP:
            try:
                unpacked = self._gzip.decompress(piece, _STEP)
            except zlib.error as error:
                raise ReplyError(f"the reply is no gzip, as it says ({error})") from error
            piece = self._gzip.unconsumed_tail
            yield self._counted(unpacked)

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise ReplyError(f"the reply is larger than {self._most / 2**20:.3g} MiB")
        return piece
