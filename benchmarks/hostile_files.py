"""Does every hostile file end in time and within its memory, with text or a reason?

    python -m benchmarks.hostile_files [--count 200] [--seed 1]

Writes files from a seed: endless lines, cells, headings and lists, deep nesting, tables of huge
spans, unclosed quotes and fences, cut and flipped containers. Each is ingested by the served
application; prints how many gave text, how many a reason, the most that one took of processor and
wall time and of memory in a process, and how late `/healthz` answered meanwhile. Each
file's line is printed when it ends.
"""

import argparse
import contextlib
import json
import os
import random
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.common import heading, percentile
from benchmarks.common import table as print_table
from tests.ui.running import RunningApp

Make = Callable[[random.Random, Path], Path]


def _text(suffix: str, source: Callable[[random.Random, int], str]) -> Make:
    def make(draw: random.Random, folder: Path) -> Path:
        path = folder / f"a{suffix}"
        path.write_text(source(draw, draw.choice((1_000, 30_000, 300_000))))
        return path

    return make


def _broken(source: str) -> Make:
    """A real document that is cut, or whose bytes are flipped."""

    def make(draw: random.Random, folder: Path) -> Path:
        raw = bytearray(Path("data/samples/documents", source).read_bytes())
        for _ in range(draw.randint(1, 40)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        path = folder / source
        path.write_bytes(raw[: draw.randint(len(raw) // 2, len(raw))])
        return path

    return make


def _bomb(draw: random.Random, folder: Path) -> Path:
    path = folder / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "wordprocessingml." + " " * draw.randint(10, 10**8))
    return path


KINDS: tuple[Make, ...] = (
    _text(".md", lambda _, n: "# " + "word " * n),
    _text(".md", lambda _, n: "|a" * n + "\n" + "|-" * n + "\n" + "|b" * n),
    _text(".md", lambda _, n: "- " * n + "\n```\n" + "x\n" * n),
    _text(".md", lambda _, n: "---\n" * n),
    _text(".txt", lambda draw, n: "".join(draw.choice("a \n.|-") for _ in range(n))),
    _text(".txt", lambda _, n: "A" * n + "==="),
    _text(".csv", lambda _, n: '"' + "a,b\n" * n),
    _text(".csv", lambda _, n: "a;" * n + "\n1;2\n" * 9),
    _text(".json", lambda _, n: "[" * n),
    _text(".json", lambda _, n: json.dumps({"k" * n: ["v"] * n})),
    _text(".jsonl", lambda _, n: '{"a": 1}\n' * n),
    _text(".xml", lambda _, n: "<a>" * n + "</a>" * n),
    _text(".html", lambda _, n: "<table><tr>" + "<td colspan=1000 rowspan=65534>x" * (n // 10)),
    _text(".html", lambda _, n: "<ul><li>" * n),
    _text(".html", lambda _, n: "<sup>" + "<b>" * n),
    _text(".rtf", lambda _, n: "{\\rtf1" + "{\\b " * n),
    _text(".py", lambda _, n: "def f():\n" + "\n" * n + "x"),
    _text(".log", lambda _, n: "12:00 a\n" * n),
    _text(".eml", lambda _, n: "Subject: " + "x" * n + "\n\n" + "> " * n),
    _bomb,
    *map(
        _broken,
        sorted(
            path.name
            for path in Path("data/samples/documents").iterdir()
            if path.suffix in {".docx", ".xlsx", ".pptx", ".odt", ".pdf"}
        ),
    ),
)


def main() -> None:
    """Write, read and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    draw, made = random.Random(chosen.seed), Outcome()
    heading(f"{chosen.count} hostile files, ingested by the served application")
    with tempfile.TemporaryDirectory() as scratch:
        app = RunningApp(Path(scratch, "storage"), ["serve", "--port", "0"])
        stop = threading.Event()
        watching = threading.Thread(target=watch, args=(app.address, made, stop))
        watching.start()
        try:
            with app.browser() as client:
                client.timeout = httpx.Timeout(600)
                for number in range(chosen.count):
                    folder = Path(scratch, str(number))
                    folder.mkdir()
                    path = KINDS[number % len(KINDS)](draw, folder)
                    ingest(client, app.process.pid, path, made, number % len(KINDS))
        finally:
            stop.set()
            watching.join()
            app.stop()
    slowest = sorted(made.files, reverse=True)
    late = f"{1000 * percentile(made.health, 0.99):.0f} (worst {1000 * max(made.health):.0f})"
    walls = max(wall for _, wall, _ in made.files)
    most = f"{slowest[0][0]:.1f}", f"{walls:.1f}", made.most_mib
    print_table(
        ["files", "text", "reason", "most processor s", "wall s", "MiB", "healthz p99 ms"],
        [[len(made.files), made.read, made.refused, *most, late]],
    )
    print_table(
        ["the slowest", "processor s", "wall s"],
        [[name, f"{busy:.1f}", f"{wall:.1f}"] for busy, wall, name in slowest[:8]],
    )


@dataclass
class Outcome:
    """Of all files: processor and wall seconds and a name of each; of the server meanwhile."""

    files: list[tuple[float, float, str]] = field(default_factory=list)
    read: int = 0
    refused: int = 0
    most_mib: int = 0
    health: list[float] = field(default_factory=list)


def ingest(client: httpx.Client, pid: int, path: Path, made: Outcome, kind: int) -> None:
    """One file, to its end."""
    before, began = processor_seconds(pid), time.monotonic()
    answer = client.post("/api/collections/hostile/ingest", json={"paths": [str(path)]})
    report = json.loads(answer.text.splitlines()[-1])["data"]
    wall = time.monotonic() - began
    busy, name = processor_seconds(pid) - before, f"{kind} {path.name}"
    made.files.append((busy, wall, name))
    print(f"{name}: {busy:.1f} s of processor time, {wall:.1f} s", flush=True)
    made.read += report["added"] + report["updated"]
    made.refused += len(report["failures"])


def watch(address: str, made: Outcome, stop: threading.Event) -> None:
    """Ask for `/healthz` ten times a second."""
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        while not stop.wait(0.1):
            began = time.monotonic()
            client.get("/healthz").raise_for_status()
            made.health.append(time.monotonic() - began)
            made.most_mib = max(made.most_mib, *(memory_mib(one) for one in family(os.getpid())))


def family(pid: int) -> list[int]:
    """The processes below one."""
    below = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                below += [child, *family(child)]
    return below


def memory_mib(pid: int) -> int:
    """What a process holds."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") >> 20
    return 0


def processor_seconds(pid: int) -> float:
    """What a process, those below it and those that have ended have used."""
    ticks = 0
    for one in (pid, *family(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
