"""Runs of other programs as samples of systems that are named by their files."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from eval import trec
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.metrics import Run
from eval.retrieval.scoring import key
from eval.running.samples import Record
from eval.scoring import documents

_ENDING = re.compile(r"(\.(json|trec|txt|run|tsv))?(\.gz)?$")


def named(files: Sequence[Path]) -> dict[str, Path]:
    """System -> file; ``run.bm25.trec`` and ``bm25.json.gz`` are both of ``bm25``.

    Raises:
        EvalError: two files have one name, or one cannot be read.
    """
    names = [_ENDING.sub("", file.name).removeprefix("run.") for file in files]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise EvalError(f"two files are runs of {twice!r}", hint="Rename one of them")
    for file in files:
        trec.read(file)
    return dict(zip(names, (file.absolute() for file in files), strict=True))


def records(runs: Mapping[str, str], dataset: RetrievalDataset, depth: int) -> Iterator[Record]:
    """A sample for every query of the data set that a run has documents for.

    Args:
        runs: system -> file.
        dataset: what they are of; excluded documents are taken out, passages folded into documents.
        depth: documents kept of a ranking.

    Raises:
        EvalError: a file cannot be read.
    """
    for system, file in runs.items():
        run: Run = trec.read(Path(file))
        for query in dataset.queries:
            hits = documents(run.get(query, {}), query, dataset)
            # as trec_eval orders: by score, equal ones by falling id
            best = sorted(hits.items(), key=lambda hit: (hit[1], hit[0]), reverse=True)[:depth]
            if best:
                about = {"key": key(system, query), "system": system, "query": query}
                yield {**about, "state": "ok", "hits": best}
