"""The embedded store at growing sizes: ingestion of ready vectors, memory, disk, search, recall.

    nice .venv/bin/python -m benchmarks.scale [--passages 10000 100000] [--queries 300]
    nice .venv/bin/python -m benchmarks.scale --passages 1000000 --storage DIR    (10 GB, an hour)

Texts are generated: words by Zipf's law, 80 a passage, 20 passages a document. So are vectors, of
MiniLM's 384 dimensions: points of a space of 32 dimensions, bent into 384 and with noise, as
embeddings of texts fill few of their dimensions; uniformly random ones would be harder for a graph
than any text is. Writing, and opening and searching, each have a process of their own. Before the
store is opened its files are taken out of the page cache. Recall is against exact search by numpy
over the vectors before they were stored. Above `--graph-above` passages the search graph is built,
as `rag-app ingest` does.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import arguments, heading, percentile, table

DIMENSION, INNER, BLOCK = 384, 32, 1000
WORDS, LENGTH, DOCUMENT = 50_000, 80, 20
TOP, CANDIDATES = 10, 100


def vectors(block: int, count: int = BLOCK) -> NDArray[np.float32]:
    """[count, DIMENSION], of unit length; the same whenever they are asked for."""
    map_, noise = np.random.default_rng(1), np.random.default_rng([2, block])
    into = map_.normal(size=(INNER, DIMENSION)) / np.sqrt(INNER)
    bent = np.tanh(noise.normal(size=(count, INNER)) @ into)
    made = bent + 0.1 * noise.normal(size=(count, DIMENSION))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def texts(block: int, count: int = BLOCK, length: int = LENGTH) -> list[str]:
    """As `vectors`; the n-th most frequent word is ``w`` and n in letters."""
    draw = np.random.default_rng([3, block])
    ranks = draw.zipf(1.1, size=(count, length)) % WORDS
    return [" ".join(map(_word, row)) for row in ranks]


def ingest(folder: Path, passages: int, graph: bool) -> dict[str, float]:
    """Write a collection; seconds of writing and of building the graph."""
    from llama_index.core.schema import TextNode  # the parent needs neither of them

    from retrieval.index.edge_collections import EdgeCollections
    from retrieval.index.records import DocumentRecord
    from retrieval.passages import passage, version_id

    store = EdgeCollections(folder).create("scale", _spec())
    writing = 0.0
    for block in range(passages // BLOCK):
        made: list[TextNode] = []
        for n, (text, vector) in enumerate(zip(texts(block), vectors(block), strict=True)):
            source = f"{block}-{n // DOCUMENT}.txt"
            node = passage(
                source=source, version=version_id(source, "1"), index=n % DOCUMENT,
                fingerprint=store.spec.fingerprint, text=text,
            )  # fmt: skip
            node.id_ = _id(block * BLOCK + n)
            node.embedding = vector.tolist()
            made.append(node)
        sources = sorted({node.metadata["source"] for node in made})
        start = time.perf_counter()
        store.add(made)
        store.put_records([DocumentRecord(one, live="1", passages=DOCUMENT) for one in sources])
        writing += time.perf_counter() - start
    start = time.perf_counter()
    store.flush()
    writing += time.perf_counter() - start
    start = time.perf_counter()
    if graph:
        store.optimize()
    building = time.perf_counter() - start
    store.close()
    return {"per_second": passages / writing, "graph_seconds": building if graph else 0.0}


def search(folder: Path, passages: int, queries: int) -> dict[str, float]:
    """Open it, and search; recall of the dense side."""
    from retrieval.index.edge_collections import EdgeCollections

    size = _forget(folder)
    before = _memory()
    start = time.perf_counter()
    store = EdgeCollections(folder).open("scale", _spec())
    opening = time.perf_counter() - start
    asked = vectors(passages, queries)
    terms = [store.spec.bm25.encode_query(text) for text in texts(passages, queries, 8)]
    for vector, term in zip(asked[:20], terms[:20], strict=True):
        store.search(vector, term, CANDIDATES)
    found: list[list[str]] = []
    spent: dict[str, list[float]] = {"dense": [], "bm25": [], "hybrid": []}
    for vector, term in zip(asked, terms, strict=True):
        begun = time.perf_counter()
        ranking = store.dense(vector, CANDIDATES)
        middle = time.perf_counter()
        sparse = store.sparse(term, CANDIDATES)
        end = time.perf_counter()
        store.fetch([key for key, _ in (ranking + sparse)[:TOP]])
        spent["dense"].append(middle - begun)
        spent["bm25"].append(end - middle)
        spent["hybrid"].append(time.perf_counter() - begun)
        found.append([key for key, _ in ranking[:TOP]])
    memory = _memory()
    store.close()
    right = exact(asked, passages)
    hits = sum(len({*ours} & {*best}) for ours, best in zip(found, right, strict=True))
    milliseconds = {
        f"{kind}_p{share * 100:.0f}": 1000 * percentile(times, share)
        for kind, times in spent.items()
        for share in (0.5, 0.99)
    }
    return {
        "disk_mb": size / 1e6,
        "open_seconds": opening,
        "recall": hits / (TOP * queries),
        "anonymous_mb": (memory["RssAnon"] - before["RssAnon"]) / 1000,
        "mapped_mb": (memory["RssFile"] - before["RssFile"]) / 1000,
        **milliseconds,
    }


def exact(asked: NDArray[np.float32], passages: int) -> list[list[str]]:
    """The TOP nearest of each query, by all products."""
    scores = np.full((len(asked), 0), 0, np.float32)
    keys = np.empty((len(asked), 0), np.int64)
    for block in range(passages // BLOCK):
        scores = np.hstack([scores, asked @ vectors(block).T])
        these = np.arange(block * BLOCK, (block + 1) * BLOCK)
        keys = np.hstack([keys, np.broadcast_to(these, (len(asked), BLOCK))])
        best = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
        scores, keys = (np.take_along_axis(each, best, axis=1) for each in (scores, keys))
    return [[_id(key) for key in row] for row in keys]


def _spec() -> Any:
    from retrieval.analysis import Analyzer
    from retrieval.bm25 import BM25
    from retrieval.index.fingerprint import IndexSpec

    return IndexSpec(DIMENSION, {"model_id": "generated"}, {}, BM25(Analyzer("english")))


def _id(number: int) -> str:
    return str(uuid.UUID(int=int(number) + (1 << 100)))


def _word(rank: int) -> str:
    return "w" + "".join(chr(97 + int(digit)) for digit in str(rank))


def _forget(folder: Path) -> int:
    """Take the files out of the page cache; returns the bytes that they have on the disk."""
    size = 0
    for path in folder.rglob("*"):
        if path.is_file():
            size += path.stat().st_blocks * 512
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    return size


def _memory() -> dict[str, int]:
    """Kilobytes of this process."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[0].startswith("Rss")}


def _apart(*words: object) -> dict[str, float]:
    """What this script prints as another process."""
    command = [sys.executable, "-m", "benchmarks.scale", *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def _measured(chosen: argparse.Namespace) -> Iterator[tuple[int, dict[str, float]]]:
    for passages in chosen.passages:
        with tempfile.TemporaryDirectory(dir=chosen.storage) as scratch:
            given = (scratch, "--passages", passages, "--queries", chosen.queries)
            limit = ("--graph-above", chosen.graph_above)
            wrote = _apart("--step", "ingest", "--storage", *given, *limit)
            yield passages, wrote | _apart("--step", "search", "--storage", *given)


ROWS: Sequence[tuple[str, str]] = (
    ("written a second", "{per_second:,.0f}"), ("building the graph, s", "{graph_seconds:.0f}"),
    ("disk, MB", "{disk_mb:,.0f}"), ("opened cold, s", "{open_seconds:.2f}"),
    ("memory of its own, MB", "{anonymous_mb:,.0f}"), ("files in memory, MB", "{mapped_mb:,.0f}"),
    ("dense p50 / p99, ms", "{dense_p50:.2f} / {dense_p99:.2f}"),
    ("BM25 p50 / p99, ms", "{bm25_p50:.2f} / {bm25_p99:.2f}"),
    ("both and texts p50 / p99, ms", "{hybrid_p50:.2f} / {hybrid_p99:.2f}"),
    ("recall@10", "{recall:.4f}"),
)  # fmt: skip


def main() -> None:
    """Measure each size, and print one table."""
    parser = arguments("The embedded store at growing sizes")
    parser.add_argument("--passages", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--graph-above", type=int, default=100_000)
    parser.add_argument("--step", choices=["ingest", "search"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if any(number % BLOCK for number in chosen.passages):
        parser.error(f"passages come by {BLOCK}")
    if chosen.step:
        (passages,) = chosen.passages
        if chosen.step == "ingest":
            print(json.dumps(ingest(chosen.storage, passages, passages > chosen.graph_above)))
        else:
            print(json.dumps(search(chosen.storage, passages, chosen.queries)))
        return
    heading("The embedded store, 384 dimensions, one process")
    found = dict(_measured(chosen))
    table(
        ["passages", *(f"{passages:,}" for passages in found)],
        [[name, *(form.format(**one) for one in found.values())] for name, form in ROWS],
    )


if __name__ == "__main__":
    main()
