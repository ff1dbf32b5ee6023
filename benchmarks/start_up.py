"""Seconds from a command's start to its result: a cold search, and the chat's usable page.

    .venv/bin/python -m benchmarks.start_up [--runs 5]

Every run is a new process. The search is over the shipped samples. The page counts as usable once
the server is ready and the page and its configuration have been served; what a browser then needs
to draw it is measured by the browser test, not here.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.common import REPOSITORY, arguments, heading, percentile, table

COMMAND = [sys.executable, "-c", "from rag_app.cli import main; main()"]
PORT = 17860


def search(storage: Path) -> float:
    """A search with --json from nothing to exit."""
    start = time.monotonic()
    subprocess.run(
        [*COMMAND, "search", "Why did the pump cavitate?", "-c", "samples", "--json"],
        env=_environment(storage),
        check=True,
        capture_output=True,
    )
    return time.monotonic() - start


def page(storage: Path) -> float:
    """`rag-app ui` from nothing to a served page."""
    start = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, "ui", "--port", str(PORT), "--no-open"], env=_environment(storage),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for path in ("", "config"):
            _fetch(f"http://127.0.0.1:{PORT}/{path}")
        return time.monotonic() - start
    finally:
        process.terminate()
        process.wait(10)


def _fetch(url: str) -> None:
    for _ in range(1000):
        try:
            with urlopen(url, timeout=5) as response:  # noqa: S310 - loopback
                response.read()
                return
        except (URLError, ConnectionError):
            time.sleep(0.03)
    raise SystemExit(f"{url} does not answer")


def _environment(storage: Path) -> dict[str, str]:
    return {**os.environ, "RAG_APP_STORAGE__PATH": str(storage)}


def main() -> None:
    """Print medians and extremes."""
    parser = arguments("Start-up times")
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    heading("Start-up, every run a new process")
    with tempfile.TemporaryDirectory() as scratch:
        storage = Path(scratch) / "first"
        first = page(storage)
        documents = REPOSITORY / "data" / "samples" / "documents"
        subprocess.run(
            [*COMMAND, "ingest", str(documents), "-c", "samples"],
            env=_environment(storage),
            check=True,
            capture_output=True,
        )
        searches = [search(storage) for _ in range(chosen.runs)]
        pages = [page(storage) for _ in range(chosen.runs)]
    rows = [
        [name, f"{min(times):.2f}", f"{percentile(times, 0.5):.2f}", f"{max(times):.2f}", goal]
        for name, times, goal in (
            ("search --json", searches, 3),
            ("ui, first start with samples", [first], 8),
            ("ui", pages, 8),
        )
    ]
    table(["what", "min s", "median s", "max s", "goal s"], rows)


if __name__ == "__main__":
    main()
