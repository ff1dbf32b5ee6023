"""What a multiple-choice run is asked to do, and which questions that means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from eval.choice.permutation import digest
from eval.datasets.choice import Question
from eval.errors import EvalError
from eval.runs.plan import Plan


@dataclass(frozen=True)
class ChoicePlan(Plan):
    """A plan whose `collection`, where it is empty, is the data set's or that of the settings.

    Attributes:
        seed: of permutations, of the limit's choice and of random passages.
        repeats: how often each question is asked, its choices shifted by one each time.
        passages: searched with each query; None means as many as the settings' reader takes.
        corpus: file or folder that is ingested into the collection first; empty for none.
    """

    arms: str
    subjects: tuple[str, ...] = ()
    seed: int = 0
    repeats: int = 1
    passages: int | None = None
    corpus: str = ""
    cache: bool = True

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, with how the questions are chosen said in words."""
        chosen = f"the first {self.limit} by sha256 of seed and id" if self.limit else "all"
        return {**super().as_dict(), "questions": chosen}

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Self:
        """From what `as_dict` gave. Raises EvalError: it is not that."""
        return super().of({name: value for name, value in plan.items() if name != "questions"})


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
