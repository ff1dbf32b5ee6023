"""Does every hostile file end in time and within its memory, with text or a reason?

    python -m benchmarks.hostile_files [--count 200] [--seed 1]

Writes files from a seed: endless lines, cells, headings and lists, deep nesting, tables of huge
spans, unclosed quotes and fences, cut and flipped containers. Each is parsed and split as by an
ingestion; prints how many gave text, how many a reason, the slowest, and the most memory.
"""

import argparse
import json
import random
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import heading
from benchmarks.common import table as print_table
from data.errors import UnreadableFile
from data.limits import Limits
from data.parsing import Parser
from data.splitting import Splitter

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
    splitter = Splitter(lambda text: len(text.split()), 200, 32)
    draw = random.Random(chosen.seed)
    read = refused = 0
    slowest, slow = 0.0, ""
    limits = Limits(seconds=25, seconds_per_mib=0.01)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(chosen.count):
            path = KINDS[number % len(KINDS)](draw, Path(scratch))
            began = time.monotonic()
            with Parser(limits) as reader:
                try:
                    for _ in splitter.split(reader.parse(path)):
                        pass
                    read += 1
                except UnreadableFile:
                    refused += 1
            took = time.monotonic() - began
            if took > slowest:
                slowest, slow = took, f"{number % len(KINDS)} {path.name}"
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    heading("Hostile files")
    print_table(
        ["files", "read", "refused", "slowest", "most memory of a parser", "of this process"],
        [
            [
                str(chosen.count),
                str(read),
                str(refused),
                f"{slowest:.1f} s ({slow})",
                f"{most} MiB",
                f"{here} MiB",
            ]
        ],
    )


if __name__ == "__main__":
    main()
