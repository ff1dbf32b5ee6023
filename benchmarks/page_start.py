"""Seconds from the start of `rag-app ui` to a usable page in a browser that is open already.

    python benchmarks/page_start.py [runs]

A first start, which takes the samples in, and later ones; each is a new process with a new storage
folder or the same, and warm file caches. Prints the median of each number.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.ui.browser import Browser
from tests.ui.running import RunningApp

COLUMNS = ("server ready", "page usable", "examples shown", "first answer", "stopped")


def start_once(browser: Browser, storage: Path) -> tuple[float, ...]:
    """One process, in seconds: the columns above; the last one is counted from the signal."""
    begin = time.monotonic()
    app = RunningApp(storage, ["ui", "--port", "0", "--no-open"])
    browser.open(app.page)
    page = time.monotonic() - begin
    browser.until(lambda: browser.all(".offer"), "no examples were shown", 60)
    examples = time.monotonic() - begin
    browser.all(".offer")[0].click()
    browser.wait_for_answers(1)
    answer = time.monotonic() - begin
    return app.seconds, page, examples, answer, app.stop()


def main() -> None:
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder) / "profile")
        storages = [Path(folder) / str(i) for i in range(runs)]
        first = [start_once(browser, storage) for storage in storages]
        later = [start_once(browser, storage) for storage in storages]
        browser.close()
    print(f"{'seconds, median of ' + str(runs):<24}", *(f"{name:>15}" for name in COLUMNS))
    for label, rows in (("first start", first), ("later start", later)):
        medians = [statistics.median(column) for column in zip(*rows, strict=True)]
        print(f"{label:<24}", *(f"{value:15.2f}" for value in medians))


if __name__ == "__main__":
    main()
