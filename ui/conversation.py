"""The chat panel: questions, and the answers as they grow."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, get_args

import gradio as gr

from data.errors import RagAppError
from rag_app.accounts.chats.conversation import Rating
from rag_app.probes.connecting import ModelConnection
from rag_app.service import Service
from rag_app.settings import Settings
from ui import rendering
from ui.answering import answer
from ui.chats import ChatsPanel
from ui.choices import query_options
from ui.evidence import EvidencePanel
from ui.model_picker import ModelPicker
from ui.panels import AT_ONCE, STREAMED, Updates, number, shipped, text_of, welcome
from ui.presets import PresetsPanel
from ui.session import Session

_RATINGS: Final[dict[str, Rating]] = {rating: rating for rating in get_args(Rating)}
_SAVE: Final = """(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/markdown'}));
  link.download = 'conversation.md';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""


class ConversationPanel:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        service: answers.
        settings: whether a model reads.
        model: the one that is connected.
    """

    def __init__(self, service: Service, settings: Settings, model: ModelConnection) -> None:
        self._service = service
        self.banner = gr.HTML(
            rendering.banner(settings.llm.model), js_on_load=shipped("banner.js"), elem_id="banner"
        )
        with gr.Column(elem_id="scroll"):
            acts = shipped("acts.js")
            self.turns = gr.HTML(rendering.welcome((), True), js_on_load=acts, elem_id="turns")
            self.live = gr.HTML(js_on_load=acts + shipped("scroll.js"), elem_id="live")
        with gr.Row(elem_id="composer"):
            self.box = gr.Textbox(
                placeholder="Ask a question", show_label=False, container=False, lines=1,
                max_lines=6, submit_btn="Ask", autofocus=True, elem_id="box",
                html_attributes=gr.InputHTMLAttributes(spellcheck=True),
            )  # fmt: skip
        with gr.Row(elem_id="tools"):
            self.presets = PresetsPanel(settings)
            self.model = ModelPicker(service, model)
            self.export = gr.Button("Export as Markdown", size="sm", elem_id="export")
            self.exported = gr.Textbox(visible=False)

    def wire(
        self,
        session: gr.State,
        choices: list[Any],
        evidence: EvidencePanel,
        chats: ChatsPanel,
    ) -> None:
        """Connect the components.

        Args:
            session: the tab's.
            choices: say how to ask.
            evidence: shows what was found.
            chats: lists the conversations.
        """
        self._evidence, self._chats = evidence, chats
        self.outputs = [self.turns, self.live, self.box, *self.model.outputs, *evidence.outputs]
        self.model.wire(session, chats)
        shown = [*self.outputs, chats.list]
        # another conversation may be asked while the answer to this one is still ending
        asking = {**STREAMED, "trigger_mode": "multiple"}
        self.box.submit(self._ask, [self.box, session, *choices], shown, **asking)
        self.turns.input(self._offer, [session, *choices], shown, **asking)
        self.turns.submit(self._rate, session, [self.turns], **AT_ONCE)
        self.box.stop(self._stop, session, **AT_ONCE)
        saved = self.export.click(self._export, session, [self.exported], **AT_ONCE)
        saved.then(None, [self.exported], None, js=_SAVE)

    def show(self, session: Session) -> Updates:
        """Show the session's conversation, with what its last answer rests on."""
        shown = self._evidence.none() | self._ended(session) | self.model.show(session.thread)
        if session.turns:
            shown |= self._evidence.of(session.turns[-1])
            shown[self._evidence.tabs] = gr.update(selected="sources")
        return shown

    def _ended(self, session: Session) -> Updates:
        """Show all turns; the next question may be asked."""
        return {
            self.turns: rendering.conversation(session.thread),
            self.live: "",
            self.box: gr.update(submit_btn="Ask", stop_btn=False),
        }

    async def show_none(self, session: Session) -> Updates:
        """Show how to begin one."""
        try:
            known = {found.name for found in await self._service.collections()}
            start = await welcome(self._service, session.collection, session.collection in known)
        except RagAppError as error:
            start = rendering.problem(error)
        return self.show(session) | {self.turns: start}

    async def _ask(
        self, question: str, session: Session, request: gr.Request, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        asking = self._answer(question, session.collection, False, session, request, *choices)
        async with aclosing(asking) as updates:
            async for update in updates:
                yield update

    async def _answer(
        self,
        question: str,
        where: str,
        again: bool,
        session: Session,
        request: gr.Request,
        *choices: Any,
    ) -> AsyncGenerator[Updates, None]:
        thread, owner = session.thread, self._chats.owner(request)
        if thread.model:
            await self.model.refresh()
            yield self.model.show(thread)
        if not question.strip() or thread.running:
            yield {self.box: gr.skip()}
            return
        # no waiting up to `answer`: the button may have been pressed twice
        collection, checked = session.only
        only = checked if collection == where else ()
        also = session.turns[-1].also if again else session.also
        chosen = {
            "sources": only,
            "also": tuple(one for one in also if one != where),
            "model": self.model.chosen(thread),
        }
        options = query_options(*choices).model_copy(update=chosen)
        listed = shown_hits = False
        turns = answer(self._service, thread, question.strip(), where, options, owner, again=again)
        async with aclosing(turns):
            async for turn in turns:
                if session.thread is not thread:
                    continue  # another conversation is shown; this one is kept to its end
                updates: Updates = {self.live: rendering.turn(turn)}
                if not listed:
                    listed, listing = True, await self._chats.listing(owner, session)
                    updates |= {self.turns: rendering.conversation(thread), **listing}
                    updates[self.box] = gr.update(value="", submit_btn=False, stop_btn="Stop")
                if turn.trace is not None and not shown_hits:
                    shown_hits = True
                    updates |= self._evidence.of(turn)
                    updates[self._evidence.tabs] = gr.update(selected="sources")
                yield updates
        if session.thread is thread:
            yield self._ended(session) | self._evidence.of(turn)
        else:
            yield await self._chats.listing(owner, session)

    async def _stop(self, session: Session) -> None:
        session.thread.stopping = True

    async def _offer(
        self, event: gr.EventData, session: Session, request: gr.Request, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        """A question that the page offers, or the last one again, in these words."""
        where, again = session.collection, text_of(event, "act") == "again"
        if again:
            last = session.turns[-1] if session.turns else None
            if last is None or last.number != number(text_of(event, "turn")):
                yield {self.box: gr.skip()}
                return
            where = last.collection
        asking = self._answer(text_of(event, "text"), where, again, session, request, *choices)
        async with aclosing(asking) as updates:
            async for update in updates:
                yield update

    async def _rate(self, event: gr.EventData, session: Session, request: gr.Request) -> Updates:
        """A thumb, with or without words."""
        thread, rated = session.thread, session.turn(number(text_of(event, "turn")))
        rating, comment = _RATINGS.get(text_of(event, "rating")), text_of(event, "comment")[:4000]
        if rated is None or rating is None:
            return {self.turns: gr.skip()}
        try:
            await self._service.chats.rate_answer(
                self._chats.owner(request), thread.id, rated.number, rating, comment
            )
        except RagAppError as error:
            return {self.turns: rendering.conversation(thread) + rendering.problem(error)}
        rated.rating, rated.comment = rating, comment
        return {self.turns: rendering.conversation(thread)}

    async def _export(self, session: Session) -> str:
        return session.thread.markdown()
