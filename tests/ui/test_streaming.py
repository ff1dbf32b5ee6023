import asyncio
from collections.abc import AsyncGenerator

import pytest

from ui.streaming import coalesced


async def counted(
    count: int, pause: float = 0.0, closed: list[bool] | None = None
) -> AsyncGenerator[int, None]:
    try:
        for i in range(count):
            await asyncio.sleep(pause)
            yield i
    finally:
        if closed is not None:
            closed.append(True)


async def test_every_event_arrives_once_and_in_order() -> None:
    batches = [batch async for batch in coalesced(counted(500), lambda: False)]
    assert [i for batch in batches for i in batch] == list(range(500))
    assert len(batches) < 50


async def test_slow_events_arrive_as_they_come() -> None:
    batches = [batch async for batch in coalesced(counted(3, 0.08), lambda: False)]
    assert batches == [[0], [1], [2]]


async def test_an_error_comes_after_the_events_before_it() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        async for batch in coalesced(failing(), lambda: False):
            seen += batch
    assert seen == [1]


async def test_a_wish_to_stop_is_seen_while_nothing_comes() -> None:
    stopping, closed = [False], []
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, stopping.__setitem__, 0, True)
    start = loop.time()
    async for _ in coalesced(counted(1, 60, closed), lambda: stopping[0]):
        pass
    assert loop.time() - start < 1
    assert closed == [True]


async def test_dropping_the_stream_closes_its_source() -> None:
    closed: list[bool] = []
    stream = coalesced(counted(100, 0.01, closed), lambda: False)
    async for _ in stream:
        break
    await stream.aclose()
    assert closed == [True]
