"""One question answered in one arm: the unit that is stored, resumed and counted."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "unparsed", "truncated", "error"]
"""``truncated`` is an answer that broke off without a letter; an ``error`` is no answer at all."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage that was offered, best first; its text is empty for private data sets."""

    passage_id: str
    source: str
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class ChoiceSample:
    """What came of a question in an arm.

    Attributes:
        repeat: which permutation of the choices, from 0.
        order: shown position -> index in the data set.
        answer: index of the right choice in the data set.
        chosen: index of the chosen one in the data set; None without one.
        detail: how the letter was found (`generation.multiple_choice.State`), or the error.
        overlap: whether a passage offered shares 13 words in a row with the question.
        milliseconds: wall time; stored, and never a part of metrics.json.
    """

    arm: str
    id: str
    repeat: int
    subject: str
    order: tuple[int, ...]
    answer: int
    chosen: int | None
    state: State
    detail: str = ""
    text: str = ""
    passages: tuple[Shown, ...] = ()
    passages_used: int = 0
    overlap: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    flops: float = 0.0
    milliseconds: float = 0.0

    @property
    def correct(self) -> bool:
        """Whether the right choice was chosen; whatever is not ``ok`` is wrong."""
        return self.state == "ok" and self.chosen == self.answer
