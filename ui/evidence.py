"""The evidence panel: a cited passage in its place, all that was found, and how long it took."""

from collections.abc import Sequence
from typing import Final

import gradio as gr

from data.errors import RagAppError
from rag_app.service import QueryOptions, Service, answer_of
from ui import library_rendering as page
from ui import rendering
from ui.panels import EACH, Updates, number, shipped, text_of
from ui.session import Session, Turn
from ui.summaries import QUESTION

_NONE: Final = "Click a citation to read its passage in place."


class EvidencePanel:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        service: has the passages.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        acts = shipped("acts.js")
        with gr.Tabs(elem_id="evidence-tabs") as self.tabs:
            with gr.Tab("Passage", id="passage"):
                self.passage = gr.HTML(
                    rendering.hint(_NONE),
                    js_on_load=acts + shipped("passage.js"),
                )
            with gr.Tab("Sources", id="sources"):
                self.hits = gr.HTML(rendering.sources(None), js_on_load=acts)
            with gr.Tab("Timings", id="timings"):
                self.trace = gr.HTML(rendering.trace(None))
        self.outputs = [self.passage, self.hits, self.trace, self.tabs]

    def wire(self, session: gr.State, clickable: Sequence[gr.HTML]) -> None:
        """Connect the components; citations stand in those that are `clickable`."""
        for clicked in (*clickable, self.passage, self.hits):
            clicked.select(self._act, session, self.outputs, **EACH)

    def none(self) -> Updates:
        """Show that there is nothing to show."""
        return {
            self.passage: rendering.hint(_NONE),
            self.hits: rendering.sources(None),
            self.trace: rendering.trace(None),
        }

    def show(self, html: str) -> Updates:
        """Show something else to read in the place of a passage."""
        return {self.passage: html, self.tabs: gr.update(selected="passage")}

    async def _act(self, event: gr.EventData, session: Session) -> Updates:
        """A click on a citation or a source: what was meant stands on the button."""
        if text_of(event, "act") == "summarise":
            return self.show(
                await self._summary(text_of(event, "collection"), text_of(event, "source"))
            )
        turn = session.turn(number(text_of(event, "turn")))
        if turn is None:
            return {self.tabs: gr.skip()}
        if text_of(event, "act") == "passage":
            session.clicks = click = session.clicks + 1
            shown = await self._passage(turn, number(text_of(event, "n")))
            if click != session.clicks:  # another one was clicked while its page was drawn
                return {self.tabs: gr.skip()}
            return self.show(shown)
        return self.of(turn) | {self.tabs: gr.update(selected="sources")}

    async def _passage(self, turn: Turn, n: int) -> str:
        passage, collection = turn.passage_id(n), turn.collection_of(n)
        if passage is None:
            return rendering.problem("This answer has no such passage.")
        try:
            context = await self._service.context(collection, passage)
        except RagAppError as error:
            return rendering.problem(error)
        cited = next((one for one in turn.citations if one.n == n), None)
        picture, trouble = None, ""
        if context.page and context.source.lower().endswith(".pdf"):
            quotes = [quote.text for quote in cited.quotes] if cited else []
            try:
                picture = await self._service.page_picture(collection, passage, quotes)
            except RagAppError as error:  # the text can be read all the same
                trouble = str(error)
        steps = rendering.steps(turn, n)
        return rendering.passage(
            context,
            n,
            cited,
            steps=steps,
            picture=picture,
            trouble=trouble,
            collection=collection if turn.also else "",
        )

    async def _summary(self, collection: str, source: str) -> str:
        """A document with what the language model says that it is about."""
        options = QueryOptions(sources=(source,), rewrite="none", rerank="none")
        try:
            content = await self._service.document(collection, source)
            summary = await answer_of(self._service.ask(collection, QUESTION, (), options))
        except RagAppError as error:
            return rendering.problem(error)
        return page.document(content, collection, has_model=True, model_summary=summary.text)

    def of(self, turn: Turn) -> Updates:
        """Show what a turn has found, and how it came about."""
        return {self.hits: rendering.sources(turn), self.trace: rendering.trace(turn)}
