"""Conversations: questions with their answers, the evidence, and what a person thought of them."""

from dataclasses import dataclass, field
from typing import Final, Literal

from generation.citations import Citation
from rag_app.results import Hit, Trace

TITLE: Final = 80
"""Characters of a title."""

State = Literal["running", "done", "stopped", "failed"]
Rating = Literal["up", "down", ""]


@dataclass(slots=True)
class Turn:
    """A question and what came of it.

    Attributes:
        number: its place in the conversation, from 1.
        question: as it was asked.
        collection: where it was asked.
        text: the answer so far; `[n]` in it cites the n-th passage.
        state: running until it is done, stopped by the person, or failed.
        hits: the passages found, best first.
        citations: the passages the finished answer rests on.
        trace: how the answer came about; None until passages are found.
        error: why it failed, for the person.
        thinking: what the model thought aloud, as far as it has come.
        abstained: whether the finished answer says that the passages hold none.
        answerability: the probability that the passages hold an answer; None where unknown.
        asked: when, as ISO 8601 in UTC; empty until it is kept.
        milliseconds: from the question to the end of the answer, or to where it was stopped.
        rating: what the person thinks of the answer; empty where they have not said.
        comment: the person's words about it.
        also: other collections that were asked with it.
    """

    number: int
    question: str
    collection: str
    text: str = ""
    state: State = "running"
    hits: list[Hit] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    trace: Trace | None = None
    error: str = ""
    thinking: str = ""
    abstained: bool = False
    answerability: float | None = None
    asked: str = ""
    milliseconds: float = 0.0
    rating: Rating = ""
    comment: str = ""
    also: tuple[str, ...] = ()

    @property
    def cited(self) -> set[int]:
        """Numbers that are citations in the text; while it grows, any passage may become one."""
        if self.state == "done":
            return {citation.n for citation in self.citations}
        return set(range(1, len(self.hits) + 1))

    @property
    def stand_alone(self) -> str:
        """The question as it was searched for: a follow-up with what it refers to put in."""
        stages = self.trace.stages if self.trace else []
        return next((str(one["question"]) for one in stages if one.get("question")), self.question)

    def passage_id(self, n: int) -> str | None:
        """The passage that citation (or hit) `n` stands for."""
        for citation in self.citations:
            if citation.n == n:
                return citation.passage_id
        return self.hits[n - 1].passage_id if 1 <= n <= len(self.hits) else None

    def collection_of(self, n: int) -> str:
        """The collection that holds the passage of citation (or hit) `n`."""
        cited = [citation.collection for citation in self.citations if citation.n == n]
        found = [hit.collection for hit in self.hits[n - 1 : n] if n > 0]
        return next(iter(cited or found), "") or self.collection


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation as lists show it.

    Attributes:
        id: its name, which cannot be guessed.
        title: at first the beginning of its first question.
        collection: where it was begun.
        created: ISO 8601 in UTC.
        updated: of the last question, ISO 8601 in UTC.
        turns: how many questions it holds.
    """

    id: str
    title: str
    collection: str
    created: str
    updated: str
    turns: int


@dataclass(slots=True)
class Conversation:
    """A whole conversation, its turns oldest first; the rest is as in `ConversationInfo`.

    `model` is the language model that was chosen for it; empty for that of the settings.
    """

    id: str
    title: str
    collection: str
    created: str
    updated: str
    turns: list[Turn]
    model: str = ""
