"""What one browser tab has open; conversations themselves are kept by `rag_app.accounts.chats`."""

from dataclasses import dataclass, field

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from rag_app.accounts.chats.conversation import Conversation, Turn
from rag_app.accounts.chats.exporting import markdown

__all__ = ["HISTORY_TURNS", "Session", "Thread", "Turn"]

HISTORY_TURNS = 8
"""Earlier turns that a follow-up question is understood by."""


@dataclass(slots=True)
class Thread:
    """A conversation as its tab shows it. An answer holds on to its own, whatever is opened then.

    Attributes:
        id: of the conversation that is kept; empty before its first question, and where none is.
        title: for exports.
        turns: questions with their answers, oldest first.
        stopping: whether the running answer is not wanted any longer.
        unkept: why the conversation could not be kept; empty where it was.
        replaced: numbers of the turns whose place the newest one takes once it is answered.
        model: the language model that was chosen for it; empty for the one that is connected.
    """

    id: str = ""
    title: str = "Conversation"
    turns: list[Turn] = field(default_factory=list)
    stopping: bool = False
    unkept: str = ""
    replaced: list[int] = field(default_factory=list)
    model: str = ""

    @classmethod
    def of(cls, conversation: Conversation) -> "Thread":
        """One that was kept."""
        return cls(
            conversation.id, conversation.title, conversation.turns, model=conversation.model
        )

    @property
    def running(self) -> bool:
        """Whether an answer is being written."""
        return bool(self.turns) and self.turns[-1].state == "running"

    def begin(self, question: str, collection: str, *, again: bool = False) -> Turn:
        """Add a turn, which stands for the last one where that is asked `again`.

        Raises ValueError while another one is running.
        """
        if self.running:
            raise ValueError("the last answer is still being written")
        self.stopping = False
        last = [turn.number for turn in self.turns[-1:]]
        self.replaced = [*self.replaced, *last] if again else []
        number = self.turns[-1].number + 1 if self.turns else 1
        self.turns.append(Turn(number, question, collection))
        return self.turns[-1]

    def turn(self, number: int) -> Turn | None:
        """The turn of that number; None where there is none."""
        return next((turn for turn in self.turns if turn.number == number), None)

    def shown(self) -> list[Turn]:
        """The turns that have ended, but for those that are being asked again."""
        hidden = self.replaced if self.running else ()
        return [
            turn for turn in self.turns if turn.state != "running" and turn.number not in hidden
        ]

    def history(self) -> list[ChatMessage]:
        """The last answered turns, oldest first, as a follow-up question needs them."""
        answered = [
            turn for turn in self.shown() if turn.text and turn.state in {"done", "stopped"}
        ]
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
        return markdown(self.title, self.turns)


@dataclass(slots=True)
class Session:
    """What a tab has open.

    Attributes:
        thread: the conversation; another one is another object.
        wanted: what the list of conversations is searched for.
        collection: the one that is open.
        seen: the changes of collections that the page shows.
        only: the open collection, and which of its documents are checked; none means all.
        waiting: id and name of the uploads that wait for a collection to be chosen.
        also: other collections that the next question asks as well.
        seen_ingestions: numbers of the ingestions whose end this tab has shown.
        clicks: on citations, so far.
    """

    thread: Thread = field(default_factory=Thread)
    wanted: str = ""
    collection: str = ""
    seen: int = 0
    only: tuple[str, tuple[str, ...]] = ("", ())
    waiting: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()
    seen_ingestions: set[int] = field(default_factory=set)
    clicks: int = 0

    @property
    def turns(self) -> list[Turn]:
        """Those of the open conversation."""
        return self.thread.turns

    def turn(self, number: int) -> Turn | None:
        """One of them; None where there is none."""
        return self.thread.turn(number)

    def rename_collection(self, name: str, to: str) -> None:
        """A collection is called otherwise now."""
        if self.collection == name:
            self.collection = to
        for turn in self.turns:
            if turn.collection == name:
                turn.collection = to

    def show(self, thread: Thread) -> None:
        """Open a conversation; an answer to the one before that is being written ends."""
        self.thread.stopping = True
        self.thread = thread
