"""nDCG@10 of every retriever on BEIR-form data sets, through the application itself.

    .venv/bin/python -m benchmarks.retrieval_quality [--precision fp32] [--sets scifact ...]

Published values stand beside ours: SciFact BM25 0.679 (Anserini, flat) and 0.687 (bm25s), MiniLM
0.6451 and bge-base-en-v1.5 0.7435 (MTEB).
"""

import asyncio

from benchmarks.common import application, arguments, heading, table
from eval.datasets.beir import load
from eval.datasets.retrieval import RetrievalDataset
from eval.metrics import mean, ndcg
from rag_app.application import Application
from rag_app.service import QueryOptions

DEPTH = 100
SYSTEMS = {
    "bm25": QueryOptions(retriever="bm25", top_k=DEPTH),
    "dense": QueryOptions(retriever="dense", top_k=DEPTH),
    "rrf": QueryOptions(retriever="hybrid", fusion="rrf", top_k=DEPTH),
    "minmax": QueryOptions(retriever="hybrid", fusion="minmax", top_k=DEPTH),
    "default": QueryOptions(top_k=DEPTH),
}


async def evaluate(app: Application, name: str, dataset: RetrievalDataset) -> list[str]:
    """One row of the table: nDCG@10 by system."""
    if dataset.corpus:
        await app.ingest(name, [dataset.corpus])
    row = [name]
    for options in SYSTEMS.values():
        run: dict[str, dict[str, float]] = {}
        for query, text in dataset.queries.items():
            found = await app.search(name, text, options)
            run[query] = {str(hit.passage_id): hit.score for hit in found.hits}
        row.append(f"{mean(ndcg(run, dataset.qrels)):.4f}")
    return row


def main() -> None:
    """Print the table."""
    parser = arguments("nDCG@10 of every retriever")
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8")
    parser.add_argument(
        "--sets", nargs="+", default=["scifact", "entailmentbank", "cranfield", "xquad_en"]
    )
    chosen = parser.parse_args()
    heading(f"Retrieval quality, nDCG@10, MiniLM {chosen.precision}")
    with application(chosen.storage, encoder={"precision": chosen.precision}) as app:
        rows = [
            asyncio.run(evaluate(app, name, load(chosen.data / "beir" / name)))
            for name in chosen.sets
        ]
    table(["set", *SYSTEMS], rows)


if __name__ == "__main__":
    main()
