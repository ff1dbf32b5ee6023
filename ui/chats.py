"""The conversations panel: a person's own, to open, search, rename and delete."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import gradio as gr

from data.errors import RagAppError
from rag_app.service import Service
from rag_app.web.access import Access
from ui import rendering
from ui.chats_rendering import conversations
from ui.panels import AT_ONCE, EACH, NEWEST, Updates, connection, shipped, text_of
from ui.session import Session, Thread

_REMEMBERED: Final = "(_, ...rest) => [sessionStorage.getItem('conversation') || '', ...rest]"
"""What a tab had open before it was reloaded."""


class ChatsPanel:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        service: keeps the conversations.
        access: knows whose they are.
    """

    def __init__(self, service: Service, access: Access) -> None:
        self._service, self._access = service, access
        with gr.Row(elem_id="chats-head"):
            gr.HTML("<h2>Conversations</h2>")
            self.fresh = gr.Button("New conversation", size="sm", elem_id="fresh")
        self.search = gr.Textbox(
            show_label=False, container=False, placeholder="Search conversations", max_length=200,
            elem_id="chats-search",
        )  # fmt: skip
        self.list = gr.HTML(conversations((), ""), js_on_load=shipped("chats.js"), elem_id="chats")
        self.remembered = gr.Textbox(visible=False)

    def wire(
        self,
        session: gr.State,
        shown: Sequence[Any],
        show: Callable[[Session], Updates],
        show_none: Callable[[Session], Awaitable[Updates]],
    ) -> None:
        """Connect the components.

        Args:
            session: the tab's.
            shown: the components that show a conversation.
            show: their values for the session's conversation.
            show_none: their values where one is to be begun.
        """
        self._show, self._show_none = show, show_none
        self._shown = [self.list, *shown]
        self.fresh.click(self._begin, [session], self._shown, **AT_ONCE)
        self.search.input(self._search, [self.search, session], [self.list], **NEWEST)

    def opening(self, session: gr.State, loaded: Any) -> tuple[Any, Any]:
        """The events that may open a conversation: after that of a loaded page, and a click."""
        remembered = [self.remembered, session]
        opened = loaded.then(self._reopen, remembered, self._shown, js=_REMEMBERED, **AT_ONCE)
        return opened, self.list.select(self._act, [session], self._shown, **EACH)

    def owner(self, request: gr.Request) -> str:
        """Whose conversations an event reaches; empty for a browser that may only look."""
        return self._access.visitor(connection(request))

    async def listing(self, owner: str, session: Session) -> Updates:
        """Show the owner's conversations."""
        if not owner:
            reason = (
                "To keep conversations, open the whole address that rag-app printed at its start."
            )
            return {self.list: rendering.hint(reason)}
        try:
            found = await self._service.chats.conversations(owner, session.wanted)
        except RagAppError as error:
            return {self.list: rendering.problem(error)}
        return {self.list: conversations(found, session.thread.id, session.wanted)}

    async def _reopen(self, remembered: str, session: Session, request: gr.Request) -> Updates:
        """A page was loaded: what it had open is opened again, if it is still there."""
        return await self._open(remembered or "", session, request, silent=True)

    async def _act(self, event: gr.EventData, session: Session, request: gr.Request) -> Updates:
        owner, chosen, chats = self.owner(request), text_of(event, "id"), self._service.chats
        try:
            match text_of(event, "act"):
                case "rename":
                    await chats.rename_conversation(owner, chosen, text_of(event, "title"))
                case "delete-chat":
                    await chats.delete_conversation(owner, chosen)
                    if chosen == session.thread.id:
                        return await self._begin(session, request)
                case _:
                    return await self._open(chosen, session, request)
        except RagAppError as error:
            return {self.list: rendering.problem(error)}
        return await self.listing(owner, session)

    async def _open(
        self, chosen: str, session: Session, request: gr.Request, silent: bool = False
    ) -> Updates:
        owner = self.owner(request)
        if not owner or not chosen or chosen == session.thread.id:
            return await self.listing(owner, session)
        try:
            found = await self._service.chats.conversation(owner, chosen)
        except RagAppError as error:
            updates = await self.listing(owner, session)
            if not silent:
                updates[self.list] = rendering.problem(error) + updates[self.list]
            return updates
        session.show(Thread.of(found))
        if found.turns:
            session.collection = found.turns[-1].collection
        return await self.listing(owner, session) | self._show(session)

    async def _begin(self, session: Session, request: gr.Request) -> Updates:
        session.show(Thread())
        listed = await self.listing(self.owner(request), session)
        return listed | await self._show_none(session)

    async def _search(self, text: str, session: Session, request: gr.Request) -> Updates:
        session.wanted = text or ""
        return await self.listing(self.owner(request), session)
