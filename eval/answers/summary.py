"""The numbers of a run over free answers, from its samples: what metrics.json holds.

Shares of sentences, citations and quotations are means over the answers that have any, so that long
answers weigh no more than short ones; intervals are bootstrapped over questions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from eval.datasets.answers_jsonl import OpenQuestion
from eval.runs.samples import Record
from eval.statistics.bootstrap import bootstrap_mean
from eval.statistics.rounding import rounded

SHARES: Mapping[str, tuple[str, str]] = {
    "citation_recall": ("borne_out", "claims"),
    "citation_precision": ("right_citations", "citations"),
    "faithfulness": ("true_quotes", "quotes"),
    "unquoted": ("unquoted", "claims"),
}
"""Metric -> counts of `eval.answers.scoring.Evidence`, the part and the whole."""


def summarise(
    samples: Iterable[Record],
    asked: Mapping[str, OpenQuestion],
    *,
    dataset: str,
    revision: str,
    bootstrap: int = 10_000,
) -> dict[str, Any]:
    """All that metrics.json says, floats at six significant digits.

    Args:
        samples: of all questions; errors are counted, and left out of all else.
        asked: the questions by id; samples of others are passed over.
    """
    systems: dict[str, list[Record]] = {}
    for sample in samples:
        if sample["query"] in asked:
            systems.setdefault(sample["system"], []).append(sample)
    result: dict[str, Any] = rounded(
        {
            "dataset": dataset,
            "revision": revision,
            "questions": len(asked),
            "systems": {name: _system(of, asked, bootstrap) for name, of in systems.items()},
        }
    )
    return result


def _system(
    samples: Sequence[Record], asked: Mapping[str, OpenQuestion], bootstrap: int
) -> dict[str, Any]:
    answers = sorted(
        (one for one in samples if one["state"] != "error"), key=lambda one: str(one["query"])
    )
    written = [one for one in answers if not one["abstained"]]
    numbers: dict[str, list[float]] = {
        name: [one[part] / one[whole] for one in written if one[whole]]
        for name, (part, whole) in SHARES.items()
    }

    def of(kept: Callable[[OpenQuestion], bool]) -> list[Record]:
        return [one for one in answers if kept(asked[one["query"]])]

    numbers["answered"] = [float(not one["abstained"]) for one in of(lambda q: q.answerable)]
    numbers["abstained"] = [float(one["abstained"]) for one in of(lambda q: not q.answerable)]
    numbers["document_cited"] = [
        float(asked[one["query"]].document in one["sources"])
        for one in of(lambda q: bool(q.document))
    ]
    return {
        "n": len(answers),
        "errors": len(samples) - len(answers),
        "truncated": sum(bool(one["truncated"]) for one in answers),
        **{name: _estimate(values, bootstrap) for name, values in numbers.items()},
    }


def _estimate(values: Sequence[float], bootstrap: int) -> dict[str, Any] | None:
    """Mean, interval and number of answers; None where there are none."""
    if not values:
        return None
    interval = bootstrap_mean(values, resamples=bootstrap, seed=0)
    return {"value": fmean(values), "ci95": interval.pair(), "n": len(values)}
