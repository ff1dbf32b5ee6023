"""nDCG@10 of every retriever on data sets at hand, with paired tests, by the evaluation itself.

    .venv/bin/python -m benchmarks.retrieval_quality [--precision fp32] [--sets beir:scifact ...]

Published values stand beside ours in the reports that the runs leave (--runs): SciFact BM25 0.679
(Anserini, flat) and 0.687 (bm25s), MiniLM 0.6451 and bge-base-en-v1.5 0.7435 (MTEB).
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import arguments, heading, table
from data.telemetry import silence
from eval.retrieval.beginning import begin
from eval.retrieval.plan import RetrievalPlan
from eval.retrieval.task import RetrievalTask
from eval.runs.lifecycle import run
from rag_app.settings import Settings, load_settings
from rag_app.systems.grammar import product

SETS = ["beir:scifact", "beir:entailmentbank", "beir:cranfield", "beir:xquad_en", "openstax"]
SYSTEMS = ["bm25", "rank_bm25", "dense", "hybrid"]
TESTED = "hybrid"
ALPHA = 0.05


def evaluate(name: str, data: Path, settings: Settings, folder: Path) -> Mapping[str, Any]:
    """The metrics of all systems on one data set."""
    plan = RetrievalPlan(name, tuple(product(SYSTEMS)), data_dir=str(data.absolute()))
    directory = begin(folder, plan, settings)
    return asyncio.run(run(directory, RetrievalTask(directory))).metrics


def quality(metrics: Mapping[str, Any]) -> list[str]:
    """nDCG@10 by system: the best in bold, those that cannot be told from it with a tilde."""
    values = {name: metrics["systems"][name]["ndcg@10"] for name in SYSTEMS}
    best = max(values, key=lambda name: values[name])
    cells = []
    for name, value in values.items():
        level = name != best and _compared(metrics, best, name)["p_holm"] >= ALPHA
        cells.append(f"**{value:.4f}**" if name == best else f"{value:.4f}{' ~' * level}")
    return cells


def tests(metrics: Mapping[str, Any]) -> list[str]:
    """What the hybrid gains over each of the others, and how likely that is by chance."""
    cells = []
    for name in SYSTEMS:
        if name != TESTED:
            found = _compared(metrics, TESTED, name)
            sign = 1 if found["a"] == TESTED else -1
            cells.append(f"{sign * found['delta']:+.4f} (p {found['p_holm']:.2g})")
    return cells


def _compared(metrics: Mapping[str, Any], one: str, other: str) -> Mapping[str, Any]:
    return next(c for c in metrics["comparisons"] if {c["a"], c["b"]} == {one, other})


def main() -> None:
    """Print the tables."""
    parser = arguments("nDCG@10 of every retriever")
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--runs", type=Path, help="keep the runs with their reports here")
    chosen = parser.parse_args()
    silence()
    heading(f"Retrieval quality, nDCG@10, MiniLM {chosen.precision}")
    with tempfile.TemporaryDirectory() as scratch:
        storage, runs = chosen.storage or Path(scratch), chosen.runs or Path(scratch) / "runs"
        tree = {"storage": {"path": storage}, "encoder": {"precision": chosen.precision}}
        settings = load_settings(overrides=tree)
        found = {
            name: evaluate(name, chosen.data, settings, runs / name.replace(":", "-"))
            for name in chosen.sets
        }
    table(
        ["set", "queries", *SYSTEMS],
        [[name, one["queries"], *quality(one)] for name, one in found.items()],
    )
    print(f"Bold: best. ~: not told from it by Fisher's randomisation test (p < {ALPHA}, paired by "
          "query, Holm's correction over all pairs of a set).\n")  # fmt: skip
    table(
        [f"{TESTED} over ...", *(name for name in SYSTEMS if name != TESTED)],
        [[name, *tests(one)] for name, one in found.items()],
    )


if __name__ == "__main__":
    main()
