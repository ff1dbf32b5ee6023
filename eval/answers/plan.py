"""What a run over free answers is asked to do."""

from dataclasses import dataclass

from eval.runs.plan import Plan


@dataclass(frozen=True)
class AnswersPlan(Plan):
    """A plan whose `collection` is asked.

    Attributes:
        corpus: file or folder that is ingested into the collection first; empty for none.
    """

    corpus: str = ""
