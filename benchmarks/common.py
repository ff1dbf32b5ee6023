"""What the benchmark scripts share: arguments, a scratch application, honest summaries."""

import argparse
import asyncio
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag_app.application import Application

REPOSITORY = Path(__file__).resolve().parent.parent


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with the options that every script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        default=REPOSITORY.parent / "shared" / "data",
        help="folder of data sets (beir/, openstax/, documents/)",
    )
    parser.add_argument("--storage", type=Path, help="keep the indexes here and reuse them")
    return parser


@contextmanager
def application(storage: Path | None, **overrides: object) -> Iterator["Application"]:
    """The application with the default profile, on its own storage folder."""
    # A machine that measures a model alone needs no engine.
    from data.telemetry import silence
    from rag_app.assembly.application import open_application
    from rag_app.settings import load_settings

    silence()
    with tempfile.TemporaryDirectory() as scratch:
        path = storage or Path(scratch)
        app, _ = open_application(load_settings(overrides={"storage": {"path": path}, **overrides}))
        try:
            yield app
        finally:
            asyncio.run(app.close())


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def heading(title: str) -> None:
    """What was run, when, and on what."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    print(f"{title}\n{now}; {cores} cores, {_processor()}, Python {platform.python_version()}, "
          f"load {load:.1f} before the start\n")  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
