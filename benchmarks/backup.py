"""Backing up and restoring the OpenStax passages: seconds, bytes, and whether anything changed.

    .venv/bin/python -m benchmarks.backup [--storage DIR]

A seeded sample of the questions is asked of the collection and of its copy, in the retrievers
`dense`, `bm25` and `hybrid`; the hits are compared one by one.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from benchmarks.common import application, arguments, heading, table
from benchmarks.search_latency import questions
from rag_app.application import Application
from rag_app.results import BackupReport, Hit
from rag_app.service import QueryOptions

COLLECTION = "openstax"
RETRIEVERS = ("dense", "bm25", "hybrid")
PIECE = 1 << 20
ROUNDING = 1e-6
"""Relative difference of scores that comes of the order in which an engine adds up terms."""

Found = dict[str, list[list[Hit]]]


async def backed_up(app: Application, path: Path) -> BackupReport:
    """Write the collection into a file on the disk."""
    report = None
    with path.open("wb") as file:
        async for piece in app.backup([COLLECTION]):
            if isinstance(piece, BackupReport):
                report = piece
            else:
                file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    assert report
    return report


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """The file's bytes."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


async def asked(app: Application, queries: Sequence[str]) -> Found:
    """What each retriever finds for each question."""
    return {
        retriever: [
            (await app.search(COLLECTION, query, QueryOptions(retriever=retriever))).hits
            for query in queries
        ]
        for retriever in RETRIEVERS
    }


def compared(before: Found, after: Found, retriever: str) -> list[object]:
    """Questions with the same passages in the same order; in any order; the largest difference."""
    pairs = list(zip(before[retriever], after[retriever], strict=True))
    ids = [([hit.passage_id for hit in a], [hit.passage_id for hit in b]) for a, b in pairs]
    scores = [
        abs(x.score - y.score) / abs(x.score)
        for a, b in pairs
        for x, y in zip(a, b, strict=True)
        if x.score
    ]
    same = sum(a == b for a, b in ids)
    as_sets = sum(set(a) == set(b) for a, b in ids)
    return [retriever, len(pairs), same, as_sets, f"{max(scores):.1e}", max(scores) <= ROUNDING]


def main() -> None:
    """Print both tables."""
    parser = arguments("Backup and restore")
    parser.add_argument("--queries", type=int, default=100)
    chosen = parser.parse_args()
    heading("Backup and restore of the OpenStax passages, embedded store, MiniLM")
    queries = questions(chosen.data / "openstax" / "mcq.jsonl", chosen.queries)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "backup.tar"
        with application(chosen.storage) as app:
            asyncio.run(app.ingest(COLLECTION, [chosen.data / "openstax" / "passages.jsonl"]))
            before = asyncio.run(asked(app, queries))
            start = time.perf_counter()
            written = asyncio.run(backed_up(app, path))
            backup_s = time.perf_counter() - start
        with application(Path(scratch) / "copy") as app:
            start = time.perf_counter()
            restored = asyncio.run(app.restore(pieces(path)))
            restore_s = time.perf_counter() - start
            after = asyncio.run(asked(app, queries))
    assert written.collections == restored.collections, "nothing may be lost"
    (copied,) = restored.collections
    table(
        ["passages", "MB", "backup s", "restore s"],
        [[copied.passages, f"{written.bytes / 1e6:.1f}", f"{backup_s:.1f}", f"{restore_s:.1f}"]],
    )
    table(
        ["retriever", "questions", "same hits in order", "same hits", "largest difference",
         "equal but for rounding"],
        [compared(before, after, retriever) for retriever in RETRIEVERS],
    )  # fmt: skip


if __name__ == "__main__":
    main()
