"""Latency of a hybrid search over the OpenStax passages, encoder included, beside LlamaIndex's.

    .venv/bin/python -m benchmarks.search_latency [--storage DIR] [--peer PYTHON]

Queries are the 2,805 OpenStax end-of-section questions (a seeded sample). The peer is LlamaIndex's
stock hybrid (`benchmarks/peers/stock_search.py`), run by a Python that has what it names; it is
measured in turn with ours, block by block, so that both see the same machine.
"""

import asyncio
import json
import random
import subprocess
import time
from pathlib import Path

from benchmarks.common import application, arguments, heading, percentile, table
from rag_app.application import Application

PEER = Path(__file__).parent / "peers" / "stock_search.py"


def questions(path: Path, count: int) -> list[str]:
    """A seeded sample of the questions."""
    lines = [json.loads(line)["question"] for line in path.read_text("utf-8").splitlines()]
    return random.Random(7).sample(lines, count)


async def ours(app: Application, queries: list[str]) -> list[float]:
    """Seconds per query."""
    times = []
    for query in queries:
        start = time.perf_counter()
        await app.search("openstax", query)
        times.append(time.perf_counter() - start)
    return times


class Peer:
    """The other program: a line with a query in, a line with its seconds out."""

    def __init__(self, python: str, passages: Path) -> None:
        command = [python, str(PEER), str(passages)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._line()  # says "ready" once its index is built

    def ask(self, queries: list[str]) -> list[float]:
        """Seconds per query."""
        assert self._process.stdin
        times = []
        for query in queries:
            self._process.stdin.write(json.dumps(query) + "\n")
            self._process.stdin.flush()
            times.append(float(self._line()))
        return times

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the peer ended; see its message above")
        return line


def main() -> None:
    """Print percentiles and the ratio."""
    parser = arguments("Latency of hybrid search")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--peer", help="a Python with llama-index's stock parts and torch")
    chosen = parser.parse_args()
    heading("Hybrid search over OpenStax, encoder included, warm process")
    passages = chosen.data / "openstax" / "passages.jsonl"
    queries = questions(chosen.data / "openstax" / "mcq.jsonl", chosen.queries)
    measured: dict[str, list[float]] = {"ours": []}
    with application(chosen.storage) as app:
        asyncio.run(app.ingest("openstax", [passages]))
        asyncio.run(ours(app, queries[:50]))
        peer = Peer(chosen.peer, passages) if chosen.peer else None
        for first in range(0, len(queries), 100):
            block = queries[first : first + 100]
            measured["ours"] += asyncio.run(ours(app, block))
            if peer:
                measured.setdefault("stock", []).extend(peer.ask(block[:30]))
        if peer:
            peer.close()
    rows = [
        [name, len(times), *(f"{percentile(times, p) * 1e3:.1f}" for p in (0.5, 0.9, 0.99))]
        for name, times in measured.items()
    ]
    table(["system", "queries", "p50 ms", "p90 ms", "p99 ms"], rows)
    if "stock" in measured:
        ratios = [
            percentile(measured["stock"], p) / percentile(measured["ours"], p) for p in (0.5, 0.99)
        ]
        print(f"stock / ours: {ratios[0]:.1f} at p50, {ratios[1]:.1f} at p99 (goal: 10)")


if __name__ == "__main__":
    main()
