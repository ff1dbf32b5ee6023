"""Whether a new run is worse than a baseline, by the paired intervals of what both measured."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.errors import EvalError
from eval.report.comparing import Comparison, Row, compare
from eval.runs.directory import RunDirectory

GATED = {"choice": "accuracy", "retrieval": "ndcg@10"}
"""What decides, by kind of run; the other metrics of a comparison are shown beside it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate found.

    Attributes:
        tolerance: how much may be lost, in points of 100.
        worse: rows whose whole interval lies below what is tolerated.
    """

    comparison: Comparison
    tolerance: float
    worse: Sequence[Row]

    @property
    def passed(self) -> bool:
        """Whether nothing got worse."""
        return not self.worse

    def as_dict(self) -> dict[str, Any]:
        """The command line's JSON document."""
        return {
            "passed": self.passed,
            "tolerance": self.tolerance,
            "worse": [row.name for row in self.worse],
            "rows": [asdict(row) for row in _gated(self.comparison)],
            "warnings": [*self.comparison.warnings],
        }

    def lines(self) -> list[str]:
        """A line a row, then the verdict."""
        scale = 1 if self.comparison.kind == "choice" else 100
        rows = [
            f"{'worse' if row in self.worse else 'kept '}  {row.name}, {row.metric}: "
            f"{scale * row.delta:+.1f} points ({scale * row.ci95[0]:+.1f} to "
            f"{scale * row.ci95[1]:+.1f}) over {row.n} questions"
            for row in _gated(self.comparison)
        ]
        verdict = "passed: nothing is worse" if self.passed else "failed: the new run is worse"
        return [*rows, *self.comparison.warnings, verdict]


def gate(baseline: RunDirectory, new: RunDirectory, tolerance: float = 0.0) -> Gate:
    """Compare a new run with a baseline, question by question.

    An arm or system is worse where the 95 % bootstrap interval of its paired difference lies below
    the tolerated loss: what may be chance passes. One that the baseline has must be there.

    Args:
        tolerance: points of 100 that may be lost.

    Raises:
        EvalError: the runs cannot be compared, the new one lacks an arm or system, or has failed
            samples.
    """
    group = "arms" if baseline.kind == "choice" else "systems"
    names, others = (run.read_json("metrics.json").get(group, {}) for run in (baseline, new))
    missing = [name for name in names if "#" not in name and name not in others]
    if missing:
        raise EvalError(
            f"{new.path} cannot be held to {baseline.path}",
            cause=f"it has no {', '.join(missing)}",
            hint="Run it with the same arms or systems as the baseline",
        )
    failed = sum(one["errors"] for one in others.values())
    if failed:
        raise EvalError(
            f"{new.path} cannot be held to {baseline.path}",
            cause=f"{failed} of its samples failed, and what they would have said is not known",
            hint=f"Finish it: `rag-app eval resume {new.path}`",
        )
    found = compare(baseline, new)
    lost = tolerance if found.kind == "choice" else tolerance / 100
    return Gate(found, tolerance, [row for row in _gated(found) if row.ci95[1] < -lost])


def _gated(comparison: Comparison) -> list[Row]:
    """The rows that decide: names that both runs have, by the metric of the kind."""
    metric = GATED.get(comparison.kind, "")
    return [row for row in comparison.rows if row.metric == metric and "→" not in row.name]
