"""What is made of a run's samples: metrics, run files, a table by query, the report."""

import csv
import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from data.files import write_text
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.retrieval import trec
from eval.retrieval.plan import RetrievalPlan, limited
from eval.retrieval.sample import RetrievalSample
from eval.retrieval.summary import per_query, summarise
from eval.runs.directory import RunDirectory
from eval.runs.samples import Record
from eval.statistics.rounding import rounded
from rag_app.assembly import recipes

_MOST_WITHOUT_HITS = 0.5
_SEARCHED_ONLY = ("p50_ms", "p95_ms", "flops_per_query", "query_tokens")


def sample(record: Record) -> RetrievalSample:
    """A sample as it was logged."""
    fields = {name: value for name, value in record.items() if name != "key"}
    hits = ((sys.intern(document), score) for document, score in fields.pop("hits", ()))
    return RetrievalSample(hits=tuple(hits), **fields)


def finish(
    directory: RunDirectory, plan: RetrievalPlan, dataset: RetrievalDataset, recipe: str
) -> dict[str, Any]:
    """Write `metrics.json`, `run.SYSTEM.trec` and `per_query.csv`.

    Args:
        dataset: the whole data set; the plan's limit is heeded here.

    Returns: metrics.json.

    Raises:
        EvalError: a system found nothing for any query, or for more than half of them.
    """
    asked = limited(dataset, plan.limit)
    samples: dict[str, list[RetrievalSample]] = {name: [] for name in plan.names}
    for record in directory.log.read():
        if record["system"] in samples and record["query"] in asked.queries:
            samples[record["system"]].append(sample(record))
    require_found(
        {system.name: samples[system.name] for system in plan.systems}, len(asked.queries)
    )
    metrics = summarise((one for each in samples.values() for one in each), asked)
    if plan.runs is not None:
        for system in metrics["systems"].values():
            system.update(dict.fromkeys(_SEARCHED_ONLY))
    metrics |= {"queries_in_set": len(dataset.queries), "notes": list(plan.notes)}
    metrics["published"] = expected(recipe, plan)
    directory.write_json("metrics.json", metrics)
    for name, found in samples.items():
        run = {
            _unbroken(one.query): [(_unbroken(document), score) for document, score in one.hits]
            for one in sorted(found, key=lambda one: one.query)
        }
        trec.write(directory.path / f"run.{_file_name(name)}.trec", run, _unbroken(name))
    write_text(directory.path / "per_query.csv", _table(samples, asked))
    return metrics


def require_found(samples: Mapping[str, Sequence[RetrievalSample]], queries: int) -> None:
    """Raise EvalError where a system found nothing for most queries: something is wrong with it."""
    for name, asked in samples.items():
        found = sum(bool(one.hits) for one in asked)
        errors = sum(one.state == "error" for one in asked)
        if not found or queries - found - errors > _MOST_WITHOUT_HITS * queries:
            raise EvalError(
                f"{name} found nothing for {queries - found} of {queries} queries",
                cause=f"{errors} of these searches failed" if errors else "no search failed",
                hint="Check that its collection holds the documents of this data set",
            )


def expected(recipe: str, plan: RetrievalPlan) -> list[dict[str, Any]]:
    """What was published for the recipe in force on this data set, if one is."""
    numbers = recipes.load(recipe).expected_for(plan.asked) if recipe else []
    return [
        {
            "system": plan.systems[0].name,
            "metric": one.metric,
            "value": one.value,
            "source": one.source,
            "note": one.note,
        }
        for one in numbers
    ]


def _table(samples: Mapping[str, Iterable[RetrievalSample]], dataset: RetrievalDataset) -> str:
    """A line a system and query, with all metrics of the query."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    columns: list[str] = []
    for name, found in samples.items():
        by_query = {one.query: one for one in found}
        metrics = per_query(by_query.values(), dataset.qrels)
        if not columns:
            columns = [*metrics]
            lines.writerow(["system", "query", *columns, "hits", "state", "query_tokens", "ms"])
        for query in metrics[columns[0]]:
            one = by_query.get(query) or RetrievalSample(name, query, ())
            values = rounded([metrics[column][query] for column in columns])
            cost = [len(one.hits), one.state, one.query_tokens, one.milliseconds]
            lines.writerow([name, query, *values, *cost])
    return text.getvalue()


def _unbroken(name: str) -> str:
    """A name as TREC's files can hold it: white space as in URLs."""
    return re.sub(r"\s", lambda space: quote(space[0]), name)


def _file_name(system: str) -> str:
    return re.sub(r"[^\w@+=.-]", "-", system)
