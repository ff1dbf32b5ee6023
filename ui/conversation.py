"""The chat panel: questions, and the answers as they grow."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import gradio as gr

from rag_app.service import Service
from rag_app.settings import Settings
from ui import rendering
from ui.answering import answer
from ui.choices import query_options
from ui.evidence import EvidencePanel
from ui.panels import AT_ONCE, STREAMED, Updates, said, shipped, welcome
from ui.session import Session

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
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        gr.HTML(rendering.banner(settings.llm.model), elem_id="banner")
        with gr.Column(elem_id="scroll"):
            acts = shipped("acts.js")
            self.turns = gr.HTML(rendering.welcome((), True), js_on_load=acts, elem_id="turns")
            self.live = gr.HTML(js_on_load=acts, autoscroll=True, elem_id="live")
        with gr.Row(elem_id="composer"):
            self.box = gr.Textbox(
                placeholder="Ask a question", show_label=False, container=False, lines=1,
                max_lines=6, submit_btn="Ask", autofocus=True, elem_id="box",
                html_attributes=gr.InputHTMLAttributes(spellcheck=True),
            )  # fmt: skip
        with gr.Row(elem_id="tools"):
            self.fresh = gr.Button("New conversation", size="sm", elem_id="fresh")
            self.export = gr.Button("Export as Markdown", size="sm", elem_id="export")
            self.exported = gr.Textbox(visible=False)

    def wire(self, session: gr.State, choices: list[Any], evidence: EvidencePanel) -> None:
        """Connect the components; `choices` say how to ask, and `evidence` shows what was found."""
        self._evidence = evidence
        shown = [self.turns, self.live, self.box, *evidence.outputs]
        self.box.submit(self._ask, [self.box, session, *choices], shown, **STREAMED)
        self.turns.input(self._offer, [session, *choices], shown, **STREAMED)
        self.box.stop(self._stop, session, **AT_ONCE)
        self.fresh.click(self._clear, session, shown, **AT_ONCE)
        saved = self.export.click(self._export, session, [self.exported], **AT_ONCE)
        saved.then(None, [self.exported], None, js=_SAVE)

    async def _ask(
        self, question: str, session: Session, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        if not question.strip() or session.running:
            yield {self.box: gr.skip()}
            return
        yield {self.box: gr.update(value="", submit_btn=False, stop_btn="Stop")}
        options = query_options(*choices)
        had_hits = False
        turns = answer(self._service, session, question.strip(), session.collection, options)
        async with aclosing(turns):
            async for turn in turns:
                updates: Updates = {self.live: rendering.turn(turn)}
                if len(session.turns) == 1:
                    updates[self.turns] = ""
                if turn.trace is not None and not had_hits:
                    had_hits = True
                    updates |= self._evidence.of(turn)
                    updates[self._evidence.tabs] = gr.update(selected="sources")
                yield updates
        yield {
            self.turns: rendering.conversation(session),
            self.live: "",
            self.box: gr.update(submit_btn="Ask", stop_btn=False),
            **self._evidence.of(session.turns[-1]),
        }

    async def _stop(self, session: Session) -> None:
        session.stopping = True

    async def _offer(
        self, event: gr.EventData, session: Session, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        """A question that the page offers."""
        async with aclosing(self._ask(said(event, "text"), session, *choices)) as updates:
            async for update in updates:
                yield update

    async def _clear(self, session: Session) -> Updates:
        session.stopping = True
        session.turns = []
        known = {found.name for found in await self._service.collections()}
        return {
            self.turns: welcome(session.collection, session.collection in known),
            self.live: "",
            self.box: gr.update(submit_btn="Ask", stop_btn=False),
            **self._evidence.none(),
        }

    async def _export(self, session: Session) -> str:
        return session.markdown()
