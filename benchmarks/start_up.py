"""Seconds from a command's start to its result: a cold search, and the chat's usable page.

    .venv/bin/python -m benchmarks.start_up [--runs 5] [--browser]

Every run is a new process. The search is over the shipped samples. The page counts as served once
the server is ready and gave the page and its configuration; --browser measures what a Chromium that
is open already needs until a person can use it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.common import REPOSITORY, arguments, heading, percentile, table

if TYPE_CHECKING:
    from tests.ui.browser import Browser

COMMAND = [sys.executable, "-c", "from rag_app.cli import main; main()"]
PORT = 17860
SEEN = ("server ready", "page usable", "examples shown", "first answer", "stopped")


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


def in_browser(browser: "Browser", storage: Path) -> tuple[float, ...]:
    """One `rag-app ui`: seconds to each of `SEEN`; the last is counted from the signal."""
    from tests.ui.running import RunningApp

    start = time.monotonic()
    app = RunningApp(storage, ["ui", "--port", "0", "--no-open"], fresh=True)
    seen = [time.monotonic() - start]
    try:
        browser.open(app.page)
        seen.append(time.monotonic() - start)
        browser.until(lambda: browser.all(".offer"), "no examples were shown", 60)
        seen.append(time.monotonic() - start)
        browser.all(".offer")[0].click()
        browser.wait_for_answers(1)
        seen.append(time.monotonic() - start)
    finally:
        stopped = app.stop()
    return *seen, stopped


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
    parser.add_argument("--browser", action="store_true", help="look at the page in Chromium")
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
    if chosen.browser:
        in_browsers(chosen.runs)


def in_browsers(runs: int) -> None:
    """Print the medians of first starts, which ingest the samples, and of later ones."""
    from tests.ui.browser import Browser

    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder) / "profile")
        storages = [Path(folder) / str(number) for number in range(runs)]
        kinds = {
            kind: [in_browser(browser, one) for one in storages] for kind in ("first", "later")
        }
        browser.close()
    medians = [
        [f"{kind} start", *(f"{percentile(column, 0.5):.2f}" for column in zip(*rows, strict=True))]
        for kind, rows in kinds.items()
    ]
    table(["seconds, median", *SEEN], medians)


if __name__ == "__main__":
    main()
