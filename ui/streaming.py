"""Streams for eyes: many small events become few updates, and a person can stop them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Final, TypeVar

T = TypeVar("T")

PAUSE: Final = 0.03
"""Seconds between updates: faster is not seen, but costs the browser as much again."""
_LOOK: Final = 0.1
"""Seconds between looks at whether to stop, while nothing comes."""


class _End:
    """Comes after the last event."""


async def coalesced(
    events: AsyncGenerator[T, None], stopped: Callable[[], bool], pause: float = PAUSE
) -> AsyncGenerator[list[T], None]:
    """Yield the events in batches, each of what came within `pause` seconds.

    Ends early, and closes `events`, soon after `stopped` says so, even while nothing comes.
    Raises what `events` raises, after the events before it.
    """
    news: asyncio.Queue[T | _End] = asyncio.Queue()
    pump = asyncio.create_task(_pump(events, news))
    try:
        ended = False
        while not ended and not stopped():
            batch, ended = await _batch(news, pause)
            if batch:
                yield batch
        if ended:
            await pump
    finally:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({pump})


async def _pump(events: AsyncGenerator[T, None], news: "asyncio.Queue[T | _End]") -> None:
    try:
        async with aclosing(events):
            async for event in events:
                news.put_nowait(event)
    finally:
        news.put_nowait(_End())


async def _batch(news: "asyncio.Queue[T | _End]", pause: float) -> tuple[list[T], bool]:
    """What comes within `pause` of the first event, and whether that was the end."""
    try:
        item = await asyncio.wait_for(news.get(), _LOOK)
    except TimeoutError:
        return [], False
    if isinstance(item, _End):
        return [], True
    batch = [item]
    await asyncio.sleep(pause)
    while not news.empty():
        item = news.get_nowait()
        if isinstance(item, _End):
            return batch, True
        batch.append(item)
    return batch, False
