"""Scoring a run, ours or anyone's, against a data set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from eval.metrics import Qrels, Run, judged, mean, mrr, ndcg, recall

METRICS: Mapping[str, Callable[[Run, Qrels], dict[str, float]]] = {
    "ndcg@10": lambda run, qrels: ndcg(run, qrels, 10),
    "recall@100": lambda run, qrels: recall(run, qrels, 100),
    "mrr@10": lambda run, qrels: mrr(run, qrels, 10),
    "judged@10": lambda run, qrels: judged(run, qrels, 10),
}
"""What is computed of every run, by the names that reports use."""


@dataclass(frozen=True)
class Scores:
    """What a run is worth.

    Attributes:
        per_query: metric -> query id -> value, over all queries of the data set.
        absent: queries of the data set that the run lacks or has no documents for; they count as 0.
        foreign: queries of the run that the data set does not have; they are left out.
    """

    per_query: Mapping[str, Mapping[str, float]]
    absent: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def means(self) -> dict[str, float]:
        """Metric -> mean over all queries of the data set."""
        return {metric: mean(values) for metric, values in self.per_query.items()}


def score(run: Run, dataset: RetrievalDataset) -> Scores:
    """Score a run: query id -> document (or passage) id -> score.

    Documents that the data set excludes are taken out first, and passages count as the documents
    they are parts of, each with its best passage's score.

    Raises:
        EvalError: the run has no documents for any query of the data set.
    """
    judged_run = {query: documents(run.get(query, {}), query, dataset) for query in dataset.qrels}
    absent = tuple(query for query, hits in judged_run.items() if not hits)
    if len(absent) == len(dataset.qrels):
        raise EvalError(
            f"The run has nothing for any query of {dataset.name}",
            cause=f"it has queries such as {next(iter(run), None)!r}, the data set such as"
            f" {next(iter(dataset.qrels), None)!r}",
            hint="Score it against the data set that it was made for",
        )
    return Scores(
        {name: metric(judged_run, dataset.qrels) for name, metric in METRICS.items()},
        absent,
        tuple(query for query in run if query not in dataset.qrels),
    )


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
