"""What one browser tab has asked so far; lives in that tab's session and nowhere else."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from generation.citations import Citation
from rag_app.results import Hit, Trace

HISTORY_TURNS = 8
"""Earlier turns that a follow-up question is understood by."""

_BRACKET: Final = re.compile(r"\[(?!\d+\](?![(\[:]))")
"""Each but that of a citation, which is no link by itself."""

State = Literal["running", "done", "stopped", "failed"]


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
        thinking: what the model thought aloud, as far as it has come.
        abstained: whether the finished answer says that the passages hold none.
        error: why it failed, for the person.
        answerability: the probability that the passages hold an answer; None where unknown.
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

    @property
    def cited(self) -> set[int]:
        """Numbers that are citations in the text; while it grows, any passage may become one."""
        if self.state == "done":
            return {citation.n for citation in self.citations}
        return set(range(1, len(self.hits) + 1))

    def passage_id(self, n: int) -> str | None:
        """The passage that citation (or hit) `n` stands for."""
        for citation in self.citations:
            if citation.n == n:
                return citation.passage_id
        return self.hits[n - 1].passage_id if 1 <= n <= len(self.hits) else None


@dataclass(slots=True)
class Session:
    """A conversation, and what its tab is doing.

    Attributes:
        turns: questions with their answers, oldest first.
        stopping: whether the running answer is not wanted any longer.
        collection: the one that is open.
        naming: whether a new one is to be named, which nothing may be put into before.
    """

    turns: list[Turn] = field(default_factory=list)
    stopping: bool = False
    collection: str = ""
    naming: bool = False

    @property
    def running(self) -> bool:
        """Whether an answer is being written."""
        return bool(self.turns) and self.turns[-1].state == "running"

    def begin(self, question: str, collection: str) -> Turn:
        """Add a turn. Raises ValueError while another one is running."""
        if self.running:
            raise ValueError("the last answer is still being written")
        self.stopping = False
        self.turns.append(Turn(len(self.turns) + 1, question, collection))
        return self.turns[-1]

    def turn(self, number: int) -> Turn | None:
        """The turn of that number; None where there is none."""
        return self.turns[number - 1] if 1 <= number <= len(self.turns) else None

    def history(self) -> list[ChatMessage]:
        """The last answered turns, oldest first, as a follow-up question needs them."""
        answered = [turn for turn in self.turns if turn.text and turn.state in {"done", "stopped"}]
        return [
            message
            for turn in answered[-HISTORY_TURNS:]
            for message in (
                ChatMessage(role=MessageRole.USER, content=turn.question),
                ChatMessage(role=MessageRole.ASSISTANT, content=turn.text),
            )
        ]

    def markdown(self) -> str:
        """The conversation as a Markdown document, each answer with the passages it cites."""
        return "\n".join(["# Conversation", *(_turn_markdown(turn) for turn in self.turns)])


def place(source: str, page: int | None) -> str:
    """Where a passage is from, for a person."""
    return f"{source}, page {page}" if page else source


def _turn_markdown(turn: Turn) -> str:
    said = _inert(turn.text) if turn.text else f"*{_inert_line(turn.error)}*"
    lines = [f"\n## {_inert_line(turn.question)}", "", said]
    if turn.state == "stopped":
        lines += ["", "*Stopped before the end.*"]
    for citation in turn.citations:
        source = _inert_line(place(citation.source, citation.page))
        lines += ["", f"> [{citation.n}] **{source}**: {_inert_line(citation.text)}"]
    return "\n".join(lines)


def _inert(text: str) -> str:
    """Markdown without HTML, images and links, which whoever opens the file would load or follow.

    Written as entities, brackets are mere characters, whatever stands around them.
    """
    return _BRACKET.sub("&#91;", text.replace("<", "&lt;"))


def _inert_line(text: str) -> str:
    return _inert(" ".join(text.split()))
