"""What one browser tab has asked so far; lives in that tab's session and nowhere else."""

from dataclasses import dataclass, field

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from rag_app.chats.conversation import Turn
from rag_app.chats.exporting import markdown

__all__ = ["HISTORY_TURNS", "Session", "Turn"]

HISTORY_TURNS = 8
"""Earlier turns that a follow-up question is understood by."""


@dataclass(slots=True)
class Session:
    """A conversation, and what its tab is doing.

    Attributes:
        turns: questions with their answers, oldest first.
        stopping: whether the running answer is not wanted any longer.
        collection: the one that is open.
        waiting: id and name of the uploads that wait for a collection to be chosen.
    """

    turns: list[Turn] = field(default_factory=list)
    stopping: bool = False
    collection: str = ""
    waiting: tuple[tuple[str, str], ...] = ()

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
        return markdown("Conversation", self.turns)
