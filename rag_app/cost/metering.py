"""What language-model calls cost, noted for the question that they are made for.

The meter and the stage at work lie in a `ContextVar`, so tasks (`asyncio.create_task`, `gather`)
and threads (`asyncio.to_thread`) started inside inherit them, and questions side by side keep to
their own.

An asynchronous generator runs in the context of whoever iterates it, so a `with metered()` around
a `yield` would leak to the caller. `within` iterates one without that.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a language model that has ended, also one that failed or was cancelled.

    Attributes:
        prompt_tokens: tokens read; None where the server told none.
        milliseconds: from its sending to its end, with retries and the waits between them.
    """

    stage: str
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Use:
    """What the calls of a stage come to.

    Attributes:
        uncounted: those of them whose tokens are not known.
        milliseconds: of all calls added up; more than wall time where they ran side by side.
    """

    calls: int
    uncounted: int
    prompt_tokens: int
    completion_tokens: int
    milliseconds: float
    models: tuple[str, ...]


@dataclass(slots=True)
class Meter:
    """Collects the calls made for one question, in the order in which they ended."""

    calls: list[Call] = field(default_factory=list)

    def by_stage(self) -> Mapping[str, Use]:
        """What was used, by stage, in the order of their first calls."""
        stages: dict[str, list[Call]] = {}
        for call in self.calls:
            stages.setdefault(call.stage, []).append(call)
        return {name: _use(calls) for name, calls in stages.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where calls are noted: a meter, or none, and the stage at work."""

    meter: Meter | None = None
    stage: str = ""

    def note(self, call: Call) -> None:
        """Add a call to the meter, if there is one."""
        if self.meter is not None:
            self.meter.calls.append(call)


_PLACE: Final[ContextVar[Place]] = ContextVar("place", default=Place())  # noqa: B039 - frozen


def here() -> Place:
    """The meter and stage in force; one who keeps it can note a call that ends elsewhere."""
    return _PLACE.get()


@contextmanager
def metered(meter: Meter | None = None) -> Iterator[Meter]:
    """Note all calls made inside in a meter, a fresh one if none is given.

    Inside another `metered`, the inner meter has them alone.
    """
    meter = Meter() if meter is None else meter
    with _placed(Place(meter)):
        yield meter


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Note calls made inside under this stage."""
    with _placed(Place(here().meter, name)):
        yield


async def within(
    meter: Meter, name: str, source: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    """Iterate `source` with its calls noted in `meter` under stage `name`; closes it at the end.

    Between two items nothing is in force, so iterating it changes nothing for the caller.
    """
    async with aclosing(source):
        while True:
            with _placed(Place(meter, name)):
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    return
            yield item


@contextmanager
def _placed(place: Place) -> Iterator[None]:
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)


def _use(calls: list[Call]) -> Use:
    return Use(
        calls=len(calls),
        uncounted=sum(None in (call.prompt_tokens, call.completion_tokens) for call in calls),
        prompt_tokens=sum(call.prompt_tokens or 0 for call in calls),
        completion_tokens=sum(call.completion_tokens or 0 for call in calls),
        milliseconds=sum(call.milliseconds for call in calls),
        models=tuple(dict.fromkeys(call.model for call in calls)),
    )
