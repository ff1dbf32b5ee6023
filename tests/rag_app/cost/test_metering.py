import asyncio
import contextvars
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.cost.metering import Call, Meter, here, metered, stage, within


def call(tokens: int | None = 1, model: str = "m", named: str | None = None) -> Call:
    return Call(here().stage if named is None else named, model, tokens, tokens, 1.0)


def test_calls_are_noted_under_the_stage_at_work():
    with metered() as meter:
        with stage("rewrite"):
            here().note(call(3))
            with stage("rerank"):
                here().note(call(5))
            here().note(call(4))
        here().note(call(6))
    used = meter.by_stage()
    assert list(used) == ["rewrite", "rerank", ""]
    assert (used["rewrite"].calls, used["rewrite"].prompt_tokens) == (2, 7)
    assert used["rerank"].completion_tokens == 5


def test_without_a_meter_a_call_is_dropped():
    here().note(call())
    with stage("read"):
        here().note(call())
    assert here().meter is None


def test_the_inner_of_two_meters_has_its_calls_alone():
    with metered() as outer:
        with metered() as inner:
            here().note(call())
        here().note(call(2))
    assert (outer.calls, inner.calls) == ([call(2)], [call()])


def test_a_meter_can_be_taken_up_again():
    with metered() as meter:
        here().note(call(1))
    with metered(meter):
        here().note(call(2))
    assert [noted.prompt_tokens for noted in meter.calls] == [1, 2]


async def test_tasks_and_threads_note_for_whoever_started_them():
    async def work() -> None:
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: here().note(call()))

    with metered() as meter, stage("rerank"):
        await asyncio.gather(work(), asyncio.create_task(work()))
    assert meter.by_stage()["rerank"].calls == 2


async def test_questions_side_by_side_do_not_mix():
    async def question(number: int) -> Meter:
        with metered() as meter:
            for name in ("rewrite", "rerank"):
                with stage(name):
                    await asyncio.sleep(0)
                    await asyncio.gather(
                        *(asyncio.to_thread(lambda: here().note(call(number))) for _ in "abc")
                    )
        return meter

    meters = await asyncio.gather(*(question(number) for number in range(20)))
    for number, meter in enumerate(meters):
        assert [noted.prompt_tokens for noted in meter.calls] == [number] * 6


async def words(number: int, closed: list[int]) -> AsyncGenerator[str, None]:
    try:
        for word in ("one", "two"):
            here().note(call(number))
            yield word
    finally:
        closed.append(number)


async def test_generators_read_in_turns_by_one_task_do_not_mix():
    closed: list[int] = []
    meters = [Meter(), Meter()]
    streams = [within(meter, "read", words(n, closed)) for n, meter in enumerate(meters)]
    for _ in range(2):
        for stream in streams:
            await anext(stream)
            assert here().meter is None, "nothing leaks to who iterates"
    for stream in streams:
        assert await anext(stream, None) is None
    assert closed == [0, 1]
    assert [meter.calls for meter in meters] == [
        [call(0, named="read")] * 2,
        [call(1, named="read")] * 2,
    ]


async def test_a_generator_may_be_closed_from_another_context():
    closed: list[int] = []
    stream = within(Meter(), "read", words(7, closed))
    await anext(stream)
    elsewhere = asyncio.get_running_loop().create_task(
        stream.aclose(), context=contextvars.Context()
    )
    await elsewhere
    assert closed == [7]


async def test_an_error_passes_through_and_closes_the_source():
    closed: list[int] = []

    async def failing() -> AsyncGenerator[str, None]:
        async for word in words(1, closed):
            yield word
            raise ZeroDivisionError

    stream = within(Meter(), "read", failing())
    await anext(stream)
    with pytest.raises(ZeroDivisionError):
        await anext(stream)
    assert here().meter is None


def test_calls_whose_tokens_nobody_told_are_counted_apart():
    meter = Meter([Call("read", "a", 5, 7, 2.0), Call("read", "b", None, None, 3.0)])
    (use,) = meter.by_stage().values()
    assert (use.calls, use.uncounted, use.prompt_tokens, use.completion_tokens) == (2, 1, 5, 7)
    assert (use.milliseconds, use.models) == (5.0, ("a", "b"))


CALLS = st.builds(
    Call,
    st.sampled_from(["rewrite", "rerank", "read", ""]),
    st.sampled_from(["a", "b"]),
    st.none() | st.integers(0, 9),
    st.none() | st.integers(0, 9),
    st.integers(0, 9).map(float),
)


@given(st.lists(CALLS))
def test_stages_add_up_to_all_calls(calls):
    stages = Meter(calls).by_stage().values()
    assert sum(use.calls for use in stages) == len(calls)
    assert sum(use.prompt_tokens for use in stages) == sum(c.prompt_tokens or 0 for c in calls)
    assert sum(use.milliseconds for use in stages) == sum(c.milliseconds for c in calls)
    assert sum(use.uncounted for use in stages) <= len(calls)
