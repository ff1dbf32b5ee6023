"""Many streamed questions at once to the served application, over a large collection.

    python -m benchmarks.many_streams [--storage DIR] [--clients 50] [--questions 3]
    python -m benchmarks.many_streams --pause 10 --questions 5 --rounds 11   # ten minutes

The application runs as `rag-app serve` does, in a process of its own, with its defaults: hybrid
search over OpenStax's 24,783 passages and the quoting reader. Each client asks one question after
the other, streamed, and no question comes twice; with a pause as people make who read an answer.
Prints errors, the time to the first words of an answer, processor time a question, how late
`/healthz` answers meanwhile, the server's memory after each round, and what it uses when idle.
"""

import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.common import application, arguments, heading, percentile, table
from retrieval.encoders.base import Encoded
from retrieval.encoders.minilm import MiniLMEmbedding
from tests.ui.running import RunningApp

COLLECTION = "openstax"
_IDLE = 60  # seconds


@dataclass
class Round:
    """What one round showed; times in seconds."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def ask(client: httpx.AsyncClient, question: str, found: Round) -> None:
    """One streamed question."""
    body = {
        "model": f"rag-app/{COLLECTION}",
        "stream": True,
        "messages": [{"role": "user", "content": question}],
    }
    start = time.perf_counter()
    first = 0.0
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                event = line.removeprefix("data: ")
                if not event or event == "[DONE]":
                    continue
                chunk = json.loads(event)
                if "error" in chunk:
                    found.errors.append(chunk["error"]["message"])
                    return
                if not first and any(one["delta"].get("content") for one in chunk["choices"]):
                    first = time.perf_counter() - start
    except (httpx.HTTPError, ValueError) as error:
        found.errors.append(f"{type(error).__name__}: {error}")
        return
    found.first.append(first)
    found.whole.append(time.perf_counter() - start)


def processor_seconds(pid: int) -> float:
    """What the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scheduled_seconds(pid: int) -> float:
    """The same, exactly: short work at each tick of a clock looks like more in the other figure."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def resident_mib(pid: int) -> float:
    """What it holds in memory."""
    return (
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20
    )


def fill(storage: Path, passages: Path, *, random_vectors: bool) -> None:
    """Ingest the passages, unless they are there."""
    draw = np.random.default_rng(7)

    def arbitrary(self: MiniLMEmbedding, texts: Sequence[str]) -> Encoded:
        vectors = draw.standard_normal((len(texts), self.dimension), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Encoded(vectors, [1] * len(texts), 0)

    with pytest.MonkeyPatch.context() as patch:
        if random_vectors:
            patch.setattr(MiniLMEmbedding, "encode_passages", arbitrary)
        with application(storage) as app:
            asyncio.run(app.ingest(COLLECTION, [passages]))


async def watch(client: httpx.AsyncClient, found: Round) -> None:
    """Ask for `/healthz` ten times a second."""
    while True:
        start = time.perf_counter()
        (await client.get("/healthz")).raise_for_status()
        found.health.append(time.perf_counter() - start)
        await asyncio.sleep(0.1)


async def play(address: str, questions: list[list[str]], pause: float = 0) -> Round:
    """All clients at once, each with its own questions; before each up to two `pause` seconds."""
    found = Round()
    draw = random.Random(7)

    async def one(mine: list[str]) -> None:
        for question in mine:
            await asyncio.sleep(draw.uniform(0, 2 * pause))
            await ask(client, question, found)

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=address, timeout=300, trust_env=False, limits=limits
    ) as client:
        watching = asyncio.create_task(watch(client, found))
        await asyncio.gather(*map(one, questions))
        watching.cancel()
    return found


def main() -> None:
    """Ask in rounds, and print each."""
    parser = arguments("Many streams at once")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--questions", type=int, default=3, help="of each client in each round")
    parser.add_argument(
        "--random-vectors", action="store_true", help="encode no passage: dense hits are arbitrary"
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0, help="mean seconds before each question")
    chosen = parser.parse_args()
    lines = (chosen.data / "openstax" / "mcq.jsonl").read_text("utf-8").splitlines()
    asked = [json.loads(line)["question"] for line in lines]
    random.Random(7).shuffle(asked)
    left = iter(asked)

    def questions() -> list[list[str]]:
        return [[next(left) for _ in range(chosen.questions)] for _ in range(chosen.clients)]

    heading(f"{chosen.clients} streams at once")
    with tempfile.TemporaryDirectory() as scratch:
        storage = chosen.storage or Path(scratch)
        passages = chosen.data / "openstax" / "passages.jsonl"
        fill(storage, passages, random_vectors=chosen.random_vectors)
        app = RunningApp(storage, ["serve", "--port", "0"])
        rows = []
        try:
            asyncio.run(play(app.address, [[next(left)]]))
            for number in range(chosen.rounds):
                before = processor_seconds(app.process.pid)
                found = asyncio.run(play(app.address, questions(), chosen.pause))
                busy = processor_seconds(app.process.pid) - before
                total = len(found.first) + len(found.errors)
                health = percentile(found.health, 0.95), max(found.health)
                rows.append([
                    number + 1, total, len(found.errors),
                    *(f"{percentile(found.first, share):.2f}" for share in (0.5, 0.95)),
                    f"{percentile(found.whole, 0.95):.2f}",
                    *(f"{1000 * seconds:.0f}" for seconds in (busy / total, *health)),
                    f"{resident_mib(app.process.pid):.0f}",
                ])  # fmt: skip
                for error in found.errors[:3]:
                    print(error)
            before = scheduled_seconds(app.process.pid)
            time.sleep(_IDLE)
            idle = (scheduled_seconds(app.process.pid) - before) / _IDLE
        finally:
            app.stop()
    columns = ["round", "questions", "errors", "first words p50 s", "p95 s", "whole p95 s"]
    table([*columns, "processor ms each", "healthz p95 ms", "worst ms", "server MiB"], rows)
    print(f"idle: {100 * idle:.2f} % of a core over {_IDLE} s")


if __name__ == "__main__":
    main()
