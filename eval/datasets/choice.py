"""What a multiple-choice data set is, whatever form it came in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its choices, in the order of the data set.

    Attributes:
        choices: 2 to 26 of them.
        answer: index of the right one, from 0.
    """

    id: str
    question: str
    choices: tuple[str, ...]
    answer: int
    subject: str = ""


@dataclass(frozen=True)
class ChoiceDataset:
    """Multiple-choice questions.

    Attributes:
        name: as it is asked for, such as ``mmlu`` or ``jsonl:questions.jsonl``.
        questions: in the order of the data set.
        revision: digest of all that was read, to know whether two runs are of the same data.
        private: whether its text must never be published, not even in logs (GPQA asks for that).
        corpus: passages that go with it and lie at hand; None for none.
    """

    name: str
    questions: Sequence[Question]
    revision: str
    private: bool = False
    corpus: Path | None = None
