"""Measuring: data sets, metrics, statistics, reports."""

from typing import TYPE_CHECKING

try:
    from data.exports import lazy
except ImportError as error:
    import data

    raise ImportError(
        f"the package `data` of rag-app is hidden by {data!r}; docs/llamaindex.md tells what to do"
    ) from error

if TYPE_CHECKING:
    from eval.datasets.choice import ChoiceDataset, Question
    from eval.datasets.retrieval import RetrievalDataset
    from eval.errors import DatasetError, EvalError
    from eval.retrieval.metrics import mean, mrr, ndcg, recall
    from eval.retrieval.mteb_model import MtebModel
    from eval.statistics.bootstrap import bootstrap_mean, paired_difference
    from eval.statistics.intervals import Interval, wilson
    from eval.statistics.mcnemar import exact_mcnemar
    from eval.statistics.power import minimum_detectable_effect

__all__ = [
    "ChoiceDataset",
    "DatasetError",
    "EvalError",
    "Interval",
    "MtebModel",
    "Question",
    "RetrievalDataset",
    "bootstrap_mean",
    "exact_mcnemar",
    "mean",
    "minimum_detectable_effect",
    "mrr",
    "ndcg",
    "paired_difference",
    "recall",
    "wilson",
]

__getattr__ = lazy(
    "eval",
    {
        "datasets.choice": ("ChoiceDataset", "Question"),
        "datasets.retrieval": ("RetrievalDataset",),
        "errors": ("DatasetError", "EvalError"),
        "retrieval.metrics": ("mean", "mrr", "ndcg", "recall"),
        "retrieval.mteb_model": ("MtebModel",),
        "statistics.bootstrap": ("bootstrap_mean", "paired_difference"),
        "statistics.intervals": ("Interval", "wilson"),
        "statistics.mcnemar": ("exact_mcnemar",),
        "statistics.power": ("minimum_detectable_effect",),
    },
    below=("rag_app",),
)
