"""Time of a single response of the served application, over a connection that stays open.

    python -m benchmarks.response_latency [--requests 300]

Nagle's algorithm with delayed acknowledgement adds 40 ms to each where the listening socket leaves
it on: what is far above the processor time of a response would be that.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.common import heading, percentile, table
from tests.ui.running import RunningApp, run


def times(ask: Callable[[], httpx.Response], count: int) -> list[str]:
    """Milliseconds at p50 and p90."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        ask().raise_for_status()
        taken.append(time.perf_counter() - start)
    return [f"{1000 * percentile(taken, share):.1f}" for share in (0.5, 0.9)]


def main() -> None:
    """Ask one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300)
    count = parser.parse_args().requests
    heading("One response")
    with tempfile.TemporaryDirectory() as scratch:
        run(Path(scratch), "ingest", "data/samples/documents", "-c", "c").check_returncode()
        app = RunningApp(Path(scratch), ["serve", "--port", "0"])
        body = {"question": "chlorine decay", "options": {"retriever": "bm25", "reader": "quote"}}
        try:
            with app.browser() as client:
                rows = [
                    ["/healthz", *times(lambda: client.get("/healthz"), count)],
                    [
                        "search (bm25, samples)",
                        *times(lambda: client.post("/api/collections/c/search", json=body), count),
                    ],
                ]
        finally:
            app.stop()
    table(["request", "p50 ms", "p90 ms"], rows)


if __name__ == "__main__":
    main()
