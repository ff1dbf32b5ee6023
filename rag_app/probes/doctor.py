"""Every part of the application tried with a real call: `rag-app doctor`."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from data.secrets import Concealer
from rag_app.probes.base import DEADLINE, Check, Probe, in_thread, judged, shown
from rag_app.settings import Settings

_LEAST = 2.0
"""Seconds that every part gets, however long the imports took."""
_LEAVING = 0.1
"""Seconds that calls get to end which came to nothing."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found."""

    probes: list[Probe]
    unused: list[str]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every part works."""
        return all(probe.ok for probe in self.probes)


async def examine(settings: Settings, deadline: float = DEADLINE) -> Examination:
    """Try every part that these settings use, side by side.

    Threads of calls that hang are left behind, so a process that ends afterwards must not wait for
    them.

    Args:
        deadline: seconds for all of it; what has not answered then has failed. Weights that this
            process loads itself get longer.
    """
    start = time.perf_counter()
    from rag_app.probes.checks import load, unused  # which imports much: that counts, too

    load(settings)
    checks = list(_checks(settings, max(_LEAST, start + deadline - time.perf_counter())))
    asked = time.perf_counter()
    answers = [asyncio.create_task(check.run()) for check in checks]
    probes = await asyncio.gather(
        *(judged(check, answer, asked) for check, answer in zip(checks, answers, strict=True))
    )
    for answer in answers:
        answer.cancel()
    await asyncio.wait(answers, timeout=_LEAVING)
    concealed = Concealer(settings)
    results = [
        replace(probe, detail=concealed(probe.detail), hint=concealed(probe.hint))
        for probe in probes
    ]
    return Examination(results, unused(settings), time.perf_counter() - start)


def _checks(settings: Settings, seconds: float) -> Iterator[Check]:
    from rag_app.probes import checks, machine, stores

    shared = settings.storage.engine == "server"
    owner = None if shared else machine.custodian(settings.storage.path)
    yield checks.storage_check(settings, seconds)
    yield checks.disk_check(settings, seconds)
    yield checks.files_check(seconds)
    yield checks.qdrant_check(settings, seconds, owner)
    where = shown(settings.storage.url) if shared else ""
    yield Check("index", partial(stores.indexes, settings), where, seconds)
    yield checks.encoder_check(settings, seconds)
    yield from checks.model_checks(settings, seconds)
    yield from checks.quoting_check(settings)
    if settings.ingest.engine == "ray":
        joining = partial(machine.ray, settings.ray, seconds)
        yield Check("ray", partial(in_thread, joining), settings.ray.address, seconds)
    listening = partial(machine.port, settings.server, owner, shared=shared)
    yield Check("port", partial(in_thread, listening), seconds=seconds)
