"""BM25 at 100,000 synthetic passages: our sparse vectors in the engine against rank_bm25.

    .venv/bin/python -m benchmarks.bm25_speed [--passages 100000]

Passages of 100 words drawn from a Zipf-like vocabulary of 200,000 words; queries of 8 words; the 50
best hits. Both sides get the same words, ours with its default parameters, pairs of terms included.
Times are per query, in one process, one after the other.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from rank_bm25 import BM25Okapi

from benchmarks.common import arguments, heading, percentile, table
from rag_app.assembly.components import bm25
from rag_app.settings import load_settings
from retrieval.analysis import Analyzer
from retrieval.index.edge_collections import EdgeCollections
from retrieval.index.fingerprint import IndexSpec
from retrieval.passages import passage

VOCABULARY, WORDS, QUERY_WORDS, TOP = 200_000, 100, 8, 50


def sentences(rng: np.random.Generator, count: int, words: int) -> list[str]:
    """Texts of made-up words, frequent ones far more often than rare ones."""
    ranks = rng.zipf(1.07, size=(count, words)) % VOCABULARY
    return [" ".join(map(word, row.tolist())) for row in ranks]


def word(rank: int) -> str:
    """A number as a word of letters, which no analysis takes apart."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(rank)) + "x"


def main() -> None:
    """Print both rates and their ratio."""
    parser = arguments("BM25 speed")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--reference-queries", type=int, default=20)
    chosen = parser.parse_args()
    heading(f"BM25 over {chosen.passages:,} synthetic passages")
    rng = np.random.default_rng(7)
    texts = sentences(rng, chosen.passages, WORDS)
    queries = sentences(rng, chosen.queries, QUERY_WORDS)
    settings = load_settings(overrides={"bm25": {"language": "none"}})
    analyzer = Analyzer("none")

    with tempfile.TemporaryDirectory() as scratch:
        spec = IndexSpec(4, {}, {}, bm25(settings))
        store = EdgeCollections(Path(scratch)).create("synthetic", spec)
        start = time.perf_counter()
        for first in range(0, len(texts), 512):
            nodes = [
                passage(source="s", version="v", index=i, fingerprint=spec.fingerprint, text=text)
                for i, text in enumerate(texts[first : first + 512], start=first)
            ]
            for node in nodes:
                node.embedding = [1.0, 0.0, 0.0, 0.0]
            store.add(nodes)
        built = time.perf_counter() - start
        ours = []
        for query in queries:
            start = time.perf_counter()
            store.sparse(spec.bm25.encode_query(query), TOP)
            ours.append(time.perf_counter() - start)
        store.close()

    start = time.perf_counter()
    reference = BM25Okapi([analyzer(text) for text in texts])
    reference_built = time.perf_counter() - start
    theirs = []
    for query in queries[: chosen.reference_queries]:
        start = time.perf_counter()
        scores = reference.get_scores(analyzer(query))
        np.argpartition(scores, -TOP)[-TOP:]
        theirs.append(time.perf_counter() - start)

    rates = [len(times) / sum(times) for times in (ours, theirs)]
    table(
        ["engine", "build s", "queries/s", "p50 ms", "p99 ms"],
        [
            ["ours (engine)", f"{built:.1f}", f"{rates[0]:.0f}",
             f"{percentile(ours, 0.5) * 1e3:.2f}", f"{percentile(ours, 0.99) * 1e3:.2f}"],
            ["rank_bm25", f"{reference_built:.1f}", f"{rates[1]:.2f}",
             f"{percentile(theirs, 0.5) * 1e3:.1f}", f"{percentile(theirs, 0.99) * 1e3:.1f}"],
        ],
    )  # fmt: skip
    print(f"ratio of queries per second: {rates[0] / rates[1]:.0f} (goal: 200)")


if __name__ == "__main__":
    main()
