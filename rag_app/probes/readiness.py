"""Whether the application can answer, for `/readyz`: doctor's probes, made seldom and shared."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from data.secrets import Concealer
from rag_app.probes.base import DEADLINE, Check, Probe, in_thread, judged
from rag_app.results import CollectionInfo
from rag_app.settings import Settings

NEEDED: Final = frozenset({"storage", "qdrant", "encoder", "index", "reader"})
"""Without these no question is answered; the other stages are passed over when they fail."""
_FRESH: Final = 5.0
"""Seconds for which a probe counts."""
_COSTLY: Final = 30.0
"""The same of a call of a model's server that succeeded: it may have its price."""


@dataclass(frozen=True, slots=True)
class Report:
    """How it stands."""

    probes: list[Probe]

    @property
    def failed(self) -> list[str]:
        """Roles without which nothing is answered."""
        return [probe.role for probe in self.probes if not probe.ok and probe.role in NEEDED]

    @property
    def degraded(self) -> list[str]:
        """Roles that fail, and without which answers are worse."""
        return [probe.role for probe in self.probes if not probe.ok and probe.role not in NEEDED]

    @property
    def ready(self) -> bool:
        """Whether questions are answered."""
        return not self.failed


class Readiness:
    """Makes each probe at most once at a time, and not again while the last one counts.

    So any number of callers costs the servers no more than one. Belongs to one event loop.

    Args:
        conceal: takes out what nobody may see.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        conceal: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watches = [_Watch(check, clock) for check in checks]
        self._conceal = conceal

    async def report(self) -> Report:
        """How it stands now."""
        probes = await asyncio.gather(*(watch.probe() for watch in self._watches))
        hidden = self._conceal
        return Report([replace(p, detail=hidden(p.detail), hint=hidden(p.hint)) for p in probes])


def readiness(
    settings: Settings,
    verify: Callable[[], str],
    collections: Callable[[], Awaitable[Sequence[CollectionInfo]]],
    seconds: float = DEADLINE,
) -> Readiness:
    """Of the application in this process.

    Args:
        verify: tries the encoder of this process (`Application.verify`), so that none is loaded
            twice; one that is served is asked over a connection of its own.
        collections: lists them (`Service.collections`): the damaged ones are counted.
    """
    from rag_app.probes.checks import load

    load(settings)

    async def whole() -> str:
        from rag_app.probes import stores

        return stores.whole(await collections())

    damage = Check("collections", whole, seconds=seconds)
    return Readiness([*_checks(settings, verify, seconds), damage], Concealer(settings))


def _checks(settings: Settings, verify: Callable[[], str], seconds: float) -> Iterable[Check]:
    from rag_app.probes import checks

    yield checks.storage_check(settings, seconds)
    yield checks.disk_check(settings, seconds)
    yield checks.qdrant_check(settings, seconds)
    served = checks.encoder_check(settings, seconds)
    if served.address:
        yield served
    else:
        yield Check("encoder", partial(in_thread, verify), seconds=seconds)
    yield from checks.model_checks(settings, seconds)


class _Watch:
    """One part: its newest probe, and the one under way."""

    def __init__(self, check: Check, clock: Callable[[], float]) -> None:
        self._check, self._clock = check, clock
        self._probing: asyncio.Task[Probe] | None = None
        self._answer: asyncio.Task[str] | None = None
        self._newest: Probe | None = None
        self._until = 0.0

    async def probe(self) -> Probe:
        late = self._answer is not None and self._answer.done()  # the deadline came before it
        if self._newest and self._clock() < self._until and not late:
            return self._newest
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._renew())
        return await asyncio.shield(self._probing)

    async def _renew(self) -> Probe:
        """A call that has hung beyond its deadline is waited for again, and not repeated."""
        if self._answer is None:
            self._answer = asyncio.create_task(self._check.run())
        probe = await judged(self._check, self._answer, time.perf_counter())
        if self._answer.done():
            self._answer = None
        lasting = _COSTLY if probe.ok and self._check.address else _FRESH
        self._newest, self._until = probe, self._clock() + lasting
        return probe
