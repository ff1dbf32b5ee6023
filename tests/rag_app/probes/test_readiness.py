import asyncio
from dataclasses import dataclass, field

import pytest

from rag_app.probes.base import Check, Problem
from rag_app.probes.readiness import Readiness, readiness
from rag_app.results import CollectionInfo
from rag_app.settings import override
from retrieval.encoders.errors import EncoderError
from tests.openai_server import OpenAIServer, Reply
from tests.rag_app.probes.servers import closed_port

HURT = {"a": "", "b": "its file is cut", "c": "it is empty"}


@dataclass
class Part:
    """Counts its calls; waits while there is a gate, and fails where it is told to."""

    role: str = "reader"
    address: str = ""
    broken: bool = False
    gate: asyncio.Event | None = None
    calls: int = 0
    check: Check = field(init=False)

    def __post_init__(self) -> None:
        self.check = Check(self.role, self.run, self.address, seconds=0.05)

    async def run(self) -> str:
        self.calls += 1
        if self.gate:
            await self.gate.wait()
        if self.broken:
            raise Problem("broken: the-secret", hint="Mend it")
        return "fine"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_any_number_of_callers_cost_one_call(clock):
    part = Part()
    ready = Readiness([part.check], clock=clock)
    reports = await asyncio.gather(*(ready.report() for _ in range(50)))
    assert all(report.ready for report in reports)
    assert part.calls == 1
    clock.now = 4.9
    await ready.report()
    assert part.calls == 1
    clock.now = 5.1
    await ready.report()
    assert part.calls == 2


async def test_a_server_that_answered_is_left_alone_longer_than_one_that_failed(clock):
    sound, broken = Part("reader", "http://a"), Part("rewriter", "http://b", broken=True)
    ready = Readiness([sound.check, broken.check], clock=clock)
    for clock.now in (0, 6, 12, 31):
        await ready.report()
    assert (sound.calls, broken.calls) == (2, 4)


async def test_a_call_that_hangs_is_not_repeated_and_counts_when_it_ends(clock):
    part = Part(gate=asyncio.Event())
    ready = Readiness([part.check], clock=clock)
    for clock.now in (0, 10, 20):
        report = await ready.report()
        assert report.failed == ["reader"]
        assert "did not answer within" in report.probes[0].detail
    assert part.calls == 1
    part.gate.set()
    await asyncio.sleep(0)  # the call ends
    assert (await ready.report()).ready, "at once, though its lateness was told just now"
    assert part.calls == 1


async def test_a_caller_who_leaves_does_not_break_the_probe_of_the_others(clock):
    part = Part(gate=asyncio.Event())
    ready = Readiness([part.check], clock=clock)
    first = asyncio.create_task(ready.report())
    await asyncio.sleep(0)
    second = asyncio.create_task(ready.report())
    await asyncio.sleep(0)
    first.cancel()
    part.gate.set()
    assert (await second).ready


@pytest.mark.parametrize("role", ["storage", "qdrant", "encoder", "reader", "index"])
async def test_without_what_every_answer_needs_it_is_not_ready(role):
    report = await Readiness([Part(role, broken=True).check]).report()
    assert not report.ready
    assert (report.failed, report.degraded) == ([role], [])


@pytest.mark.parametrize("role", ["condenser", "rewriter", "reranker"])
async def test_without_a_stage_that_can_be_passed_over_it_is_degraded(role):
    report = await Readiness([Part(role, broken=True).check]).report()
    assert report.ready
    assert (report.failed, report.degraded) == ([], [role])


async def test_secrets_are_concealed():
    conceal = lambda text: text.replace("the-secret", "(hidden)")  # noqa: E731
    (probe,) = (await Readiness([Part(broken=True).check], conceal).report()).probes
    assert probe.detail == "broken: (hidden)"


async def no_collections() -> list[CollectionInfo]:
    return []


async def test_damaged_collections_are_counted_and_the_others_are_ready(settings):
    async def collections() -> list[CollectionInfo]:
        return [CollectionInfo(name, 1, 1, "m", True, damage) for name, damage in HURT.items()]

    report = await readiness(settings, lambda: "fine", collections).report()
    assert (report.failed, report.degraded) == ([], ["collections"])
    assert "2 of 3 collections are damaged (b, c)" in report.probes[-1].detail
    assert "rag-app collections repair b" in report.probes[-1].hint


async def test_an_application_is_tried_with_its_own_encoder(settings, application, encoder):
    report = await readiness(settings, application.verify, application.collections).report()
    assert report.ready
    assert [probe.role for probe in report.probes] == [
        "storage", "disk", "qdrant", "encoder", "collections"
    ]  # fmt: skip
    assert not encoder.closed


async def test_an_encoder_that_fails_makes_it_unready(settings):
    def verify() -> str:
        raise EncoderError("the encoder went away", hint="Start it again")

    assert (await readiness(settings, verify, no_collections).report()).failed == ["encoder"]


async def test_models_that_fail_are_told_apart(settings, openai_server: OpenAIServer):
    chosen = override(
        settings,
        {
            "llm": {"api_base": openai_server.url, "model": openai_server.model},
            "reader": {"kind": "llm"},
            "rewrite": {
                "kind": "llm", "llm": {"api_base": f"http://127.0.0.1:{closed_port()}/v1"}
            },
        },
    )  # fmt: skip
    report = await readiness(chosen, lambda: "fine", no_collections).report()
    assert (report.failed, report.degraded) == ([], ["rewriter"])
    openai_server.replies = [Reply(status=401)]
    report = await readiness(chosen, lambda: "fine", no_collections).report()
    assert (report.failed, report.degraded) == (["reader"], ["rewriter"])
