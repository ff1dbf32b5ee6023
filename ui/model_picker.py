"""The language model of a conversation: one of those that the connected server lists."""

from typing import Any

import gradio as gr

from data.errors import RagAppError
from rag_app.probes.connecting import ModelConnection
from rag_app.service import Service
from ui import rendering
from ui.chats import ChatsPanel
from ui.panels import AT_ONCE, Updates
from ui.session import Session, Thread


class ModelPicker:
    """The components; made inside the page's `gr.Blocks`, and hidden where there is no choice.

    Args:
        service: keeps the choice with the conversation.
        connection: which models there are, and which one reads where none was chosen.
    """

    def __init__(self, service: Service, connection: ModelConnection) -> None:
        self._service, self._connection = service, connection
        self._list = gr.Dropdown(
            [], label="Model of this conversation", container=False, visible=False,
            filterable=False, elem_id="model",
        )  # fmt: skip
        self._note = gr.HTML(elem_id="model-note")

    @property
    def outputs(self) -> list[Any]:
        """The components that `show` has values for."""
        return [self._list, self._note]

    def chosen(self, thread: Thread) -> str | None:
        """The model that was chosen for a conversation, unless its server lists it no longer."""
        offered = self._connection.offered
        there = self._connection.reads and (not offered or thread.model in offered)
        return thread.model if thread.model and there else None

    def wire(self, session: gr.State, chats: ChatsPanel) -> None:
        """Connect them; `chats` knows whose a conversation is."""
        self._chats = chats
        self._list.input(self._choose, [self._list, session], self.outputs, **AT_ONCE)

    def refresh_after(self, session: gr.State, *events: Any) -> None:
        """Ask which models there are after events that may have changed that."""
        for event in events:
            event.then(self._refresh, [session], self.outputs, **AT_ONCE)

    async def refresh(self) -> None:
        """See `ModelConnection.refresh`."""
        await self._connection.refresh()

    def show(self, thread: Thread) -> Updates:
        """The model of a conversation; where that is gone, what answers instead."""
        usual, chosen, note = self._connection.reads, self.chosen(thread), ""
        if thread.model and not chosen:
            instead = f"{usual} answers" if usual else "answers are quoted"
            note = rendering.hint(f"{thread.model} is not there any more: {instead}.")
        names = list(dict.fromkeys((usual, *self._connection.offered, chosen or usual)))
        picker = gr.update(
            choices=names, value=chosen or usual, visible=bool(usual) and len(names) > 1
        )
        return {self._list: picker, self._note: note}

    async def _refresh(self, session: Session) -> Updates:
        await self.refresh()
        return self.show(session.thread)

    async def _choose(self, name: str, session: Session, request: gr.Request) -> Updates:
        thread = session.thread
        if name not in (self._connection.reads, *self._connection.offered):
            return self.show(thread)
        thread.model = "" if name == self._connection.reads else name
        try:
            if thread.id:
                owner = self._chats.owner(request)
                await self._service.chats.choose_model(owner, thread.id, thread.model)
        except RagAppError as error:
            return self.show(thread) | {self._note: rendering.problem(error)}
        return self.show(thread)
