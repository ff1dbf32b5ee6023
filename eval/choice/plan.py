"""What a multiple-choice run is asked to do, and which questions that means."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.choice.permutation import digest
from eval.datasets.choice import Question
from eval.errors import EvalError


@dataclass(frozen=True, slots=True)
class ChoicePlan:
    """What was asked for; all of it is kept in `run.json`.

    Attributes:
        dataset: name of the data set.
        arms: with commas between them.
        subjects: only these; all where none is given.
        limit: that many questions; None means all.
        seed: of permutations, of the limit's choice and of random passages.
        repeats: how often each question is asked, its choices shifted by one each time.
        passages: searched with each query; None means as many as the settings' reader takes.
        collection: where passages are found; empty for the data set's own or the settings' one.
        corpus: file or folder that is taken into the collection first; empty for none.
        data_dir: folder of local data; empty for none.
        concurrency: samples under way at once.
        max_errors: share of errors from which the run stops.
        cache: whether answers are kept for later runs, and taken from earlier ones.
    """

    dataset: str
    arms: str
    subjects: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0
    repeats: int = 1
    passages: int | None = None
    collection: str = ""
    corpus: str = ""
    data_dir: str = ""
    concurrency: int = 1
    max_errors: float = 0.02
    cache: bool = True

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, with how the questions are chosen said in words."""
        chosen = f"the first {self.limit} by sha256 of seed and id" if self.limit else "all"
        return {**asdict(self), "subjects": list(self.subjects), "questions": chosen}

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> "ChoicePlan":
        """From what `as_dict` gave.

        Raises:
            EvalError: it is not that.
        """
        values = {key: value for key, value in plan.items() if key != "questions"}
        try:
            return cls(**{**values, "subjects": tuple(values["subjects"])})
        except (KeyError, TypeError) as error:
            raise EvalError("the run's plan is damaged", cause=str(error)) from None


def select(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """The questions in the order in which they are asked, which mixes subjects.

    Sorted by the sha256 of seed and id, so that a limit is a random sample, every smaller limit
    asks a part of what a larger one asks, and accuracy means something while a run is under way.

    Raises:
        EvalError: there is none.
    """
    if not questions:
        raise EvalError("no question is left to ask", hint="Name other --subjects")
    return sorted(questions, key=lambda q: (digest(f"{seed}:order:{q.id}"), q.id))[:limit]
