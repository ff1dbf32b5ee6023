"""Runs of other programs as samples of systems that are named by their files."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.retrieval import trec
from eval.retrieval.metrics import Run
from eval.retrieval.sample import key
from eval.runs.samples import Record

_ENDING = re.compile(r"(\.(json|trec|txt|run|tsv))?(\.gz)?$")


def name_files(files: Sequence[Path]) -> dict[str, Path]:
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
        dataset: what they are of; excluded documents are taken out, passages folded into documents.

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


def documents(hits: Mapping[str, float], query: str, dataset: RetrievalDataset) -> dict[str, float]:
    """A ranking as it is judged: excluded documents left out, passages folded into documents.

    A document has the score of its best passage (as BEIR's and Anserini's MaxP). Ids that the data
    set does not know as passages are documents themselves. The order is that of the first mention.
    """
    excluded = dataset.excluded.get(query, frozenset())
    folded: dict[str, float] = {}
    for passage, value in hits.items():
        document = dataset.parents.get(passage, passage)
        if passage not in excluded and document not in excluded:
            folded[document] = max(value, folded.get(document, value))
    return folded
