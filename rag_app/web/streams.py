"""Responses that are sent while they are made."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class ClosingStream(StreamingResponse):
    """Ends the work behind a response as soon as the response ends.

    A client that leaves during a send would otherwise leave the generators suspended, and their
    work under way, until they are collected as garbage.

    Args:
        events: what the pieces are made of; closed even if no piece was asked for.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        events: AsyncGenerator[Any, None],
        media_type: str,
    ) -> None:
        super().__init__(pieces, media_type=media_type)
        self._pieces, self._events = pieces, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces."""
        async with aclosing(self._events), aclosing(self._pieces):
            await super().__call__(scope, receive, send)
