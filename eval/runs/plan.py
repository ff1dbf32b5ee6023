"""What every run is asked to do; each kind of evaluation adds fields of its own."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from eval.errors import EvalError


@dataclass(frozen=True)
class Plan:
    """What was asked for; all of it is kept in `run.json`.

    Attributes:
        collection: where passages are found; empty until the run begins, or where nothing is
            searched.
        limit: that many questions, those with the lowest hashes; None means all.
        max_errors: share of errors from which the run stops.
    """

    dataset: str
    collection: str = field(default="", kw_only=True)
    limit: int | None = field(default=None, kw_only=True)
    data_dir: str = field(default="", kw_only=True)
    concurrency: int = field(default=1, kw_only=True)
    max_errors: float = field(default=0.02, kw_only=True)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Self:
        """From what `as_dict` gave. Raises EvalError: it is not that."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in plan.items()
        }
        try:
            return cls(**values)
        except TypeError as error:
            raise EvalError("the run's plan is damaged", cause=str(error)) from None
