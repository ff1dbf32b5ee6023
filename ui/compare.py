"""The compare page: one question, two to four systems side by side, and a vote between them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import gradio as gr

from data.errors import RagAppError
from rag_app.accounts.chats.conversation import Turn
from rag_app.accounts.chats.votes import Vote
from rag_app.assembly.encoders import rows
from rag_app.errors import ApplicationError
from rag_app.probes.connecting import ModelConnection
from rag_app.results import IndexInfo, SearchResult
from rag_app.service import Service
from rag_app.systems.comparison import Comparison, compare
from rag_app.systems.grammar import System, compared
from rag_app.web.access import Access
from ui import compare_rendering as page
from ui.answering import answer
from ui.model_catalogue import ModelCatalogue
from ui.model_catalogue_rendering import model_catalogue
from ui.panels import (
    AT_ONCE,
    EACH,
    STREAMED,
    Updates,
    has_right,
    require_right,
    shipped,
    text_of,
    visitor_of,
)
from ui.parts import parts_of
from ui.rendering import problem
from ui.session import Session, Thread

MOST: Final = 4
"""Systems side by side."""
_PAUSE: Final = 0.5
"""Seconds between looks at what is brought."""
_DEEPEST: Final = 20
"""Passages of each that are compared."""


@dataclass(slots=True)
class Comparing:
    """What one tab compares.

    Attributes:
        question: as it was asked.
        collection: where.
        systems: in the order in which they are shown.
        threads: of each system that has been asked so far, its question and answer.
        running: whether there are more to come.
        stopping: whether those are not wanted any longer.
        vote: the one that was given.
        shown: the collection that the form and the catalogue are for.
        seen: what the form was made for: the changes of collections, and the language model.
    """

    question: str = ""
    collection: str = ""
    systems: list[System] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    running: bool = False
    stopping: bool = False
    vote: Vote | None = None
    shown: str = ""
    seen: tuple[int, str] = (-1, "")

    @property
    def turns(self) -> list[Turn]:
        """The answers so far."""
        return [turn for thread in self.threads for turn in thread.turns]

    def comparison(self, depth: int) -> Comparison:
        """The rankings of those systems that have searched, side by side."""
        return compare(
            {
                system.name: SearchResult(self.question, turn.hits, turn.trace)
                for system, turn in zip(self.systems, self.turns, strict=False)
                if turn.trace is not None
            },
            depth,
        )

    def stop(self) -> None:
        """End after what has come so far."""
        self.stopping = True
        for thread in self.threads:
            thread.stopping = True


class ComparePage:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        service: searches and answers.
        connection: knows the settings in force.
        access: whose votes are kept.
    """

    def __init__(self, service: Service, connection: ModelConnection, access: Access) -> None:
        self._service, self._connection, self._access = service, connection, access
        script = shipped("compare.js")
        with gr.Column(elem_id="compare", min_width=0):
            self._state = gr.State(Comparing())
            self.form = gr.HTML(js_on_load=script, elem_id="compare-form")
            self.results = gr.HTML(page.nothing(), js_on_load=script, elem_id="compared")
            self.votes = gr.HTML(elem_id="votes")
            self._catalogue = ModelCatalogue(service, lambda: connection.settings)
            self.watch = gr.Timer(_PAUSE, active=False)
            self.catalogue = gr.HTML(js_on_load=shipped("acts.js"), elem_id="catalogue")
            self.problem = gr.HTML(elem_id="catalogue-status")

    def wire(self, header: gr.HTML, session: gr.State) -> None:
        """Connect the components; `header` says when the page is looked at."""
        bringing = [self.catalogue, self.watch]
        shown = [self.form, self.votes, *bringing]
        header.select(self._open, [session, self._state], shown, **AT_ONCE)
        self.form.input(self._choose, [self._state], shown, **AT_ONCE)
        self.watch.tick(self._look, [self._state], shown, **AT_ONCE)
        self.catalogue.select(self._bring, [self._state], [*bringing, self.problem], **EACH)
        asking = {**STREAMED, "trigger_mode": "multiple"}
        self.form.submit(self._run, [self._state], [self.results, self.votes], **asking)
        self.results.select(self._act, [self._state], [self.results, self.votes], **AT_ONCE)

    # --- what the components do --------------------------------------------------------------

    async def _open(
        self, event: gr.EventData, session: Session, state: Comparing, request: gr.Request
    ) -> Updates:
        """The page is looked at: show what can be compared in the chat's collection."""
        now = self._service.changes, self._connection.settings.llm.model
        if text_of(event, "view") != "compare" or state.seen == now:
            return {self.form: gr.skip()}
        state.seen = now
        return await self._form(state.shown or session.collection, state, request)

    async def _choose(self, event: gr.EventData, state: Comparing, request: gr.Request) -> Updates:
        """Another collection was chosen, which has other indexes."""
        return await self._form(text_of(event, "collection"), state, request)

    async def _form(self, collection: str, state: Comparing, request: gr.Request) -> Updates:
        running = self._catalogue.running  # before anything is looked up, so that its end is seen
        try:
            names = [one.name for one in await self._service.collections() if one.passages]
            if not names:
                return {self.form: page.no_documents()}
            chosen = state.shown = collection if collection in names else names[0]
            indexes = await self._service.indexes(chosen)
            shelved = await self._shelved(chosen, indexes, running=running)
        except RagAppError as error:
            return {self.form: problem(error)}
        parts = parts_of(self._connection.settings, indexes)
        return {
            self.form: page.form(names, chosen, parts, MOST),
            self.votes: await self._tally(chosen, request),
            **shelved,
        }

    async def _shelved(
        self, collection: str, indexes: Sequence[IndexInfo], *, running: bool
    ) -> Updates:
        """What a collection has of the encoders, looked at again while something is brought."""
        encoders = await asyncio.to_thread(self._catalogue.encoders, collection, indexes)
        rerankers = await asyncio.to_thread(self._catalogue.rerankers)
        return {
            self.catalogue: model_catalogue(encoders, rerankers, collection),
            self.watch: gr.update(active=running),
        }

    async def _look(self, state: Comparing, request: gr.Request) -> Updates:
        """Something is being brought: show how far it is, and at its end what it changes."""
        if not self._catalogue.running:
            return await self._form(state.shown, state, request)
        try:
            indexes = await self._service.indexes(state.shown)
            return await self._shelved(state.shown, indexes, running=True)
        except RagAppError as error:
            return {self.catalogue: problem(error)}

    async def _bring(self, event: gr.EventData, state: Comparing, request: gr.Request) -> Updates:
        """A button of the catalogue: download, build an index, or end that."""
        act, name, collection = (text_of(event, one) for one in ("act", "name", "collection"))
        try:
            require_right(self._access, request)
            manages = await asyncio.to_thread(
                has_right, self._access, request, "manage", collection
            )
            if act == "stop":
                self._catalogue.stop(name, collection if manages else "")
            elif act == "build" and not manages:
                await self._service.indexes(collection)  # it is not there for everybody
                raise ApplicationError(
                    f"you may not build an index of {collection!r}",
                    hint="Ask its owner, or an admin",
                )
            elif act in {"download", "build"}:
                self._catalogue.start(act, name, collection)
            indexes = await self._service.indexes(state.shown)
            return {self.problem: "", **await self._shelved(state.shown, indexes, running=True)}
        except RagAppError as error:
            return {self.problem: problem(error)}

    async def _run(
        self, event: gr.EventData, state: Comparing, request: gr.Request
    ) -> AsyncGenerator[Updates, None]:
        """Ask the systems one after the other, so that their times can be compared."""
        if state.running:
            yield {self.results: gr.skip()}
            return
        state.running, state.stopping = True, False
        question, collection = text_of(event, "question").strip(), text_of(event, "collection")
        try:
            systems = await self._systems(event, collection)
            state.question, state.collection, state.systems = question, collection, systems
            state.threads, state.vote = [], None
            for system in systems:
                if state.stopping:
                    break
                state.threads.append(thread := Thread())
                options = system.options.model_copy(update={"top_k": self._depth})
                turns = answer(self._service, thread, question, collection, options)
                async with aclosing(turns):
                    async for _ in turns:
                        yield {self.results: self._shown(state)}
        except RagAppError as error:
            yield {self.results: problem(error)}
            return
        finally:
            state.running = False
        yield {
            self.results: self._shown(state),
            self.votes: await self._tally(collection, request),
        }

    async def _systems(self, event: gr.EventData, collection: str) -> list[System]:
        """The systems that the page asks for. Raises RagAppError where they cannot be compared."""
        data = event._data if isinstance(event._data, dict) else {}
        names = data.get("systems")
        if not isinstance(names, list) or not 2 <= len(names) <= MOST:
            raise ApplicationError(f"two to {MOST} systems can be compared")
        settings = self._connection.settings
        usual, known = settings.encoder.name, [row.name for row in rows(settings)]
        systems = compared(",".join(map(str, names)), known, usual)[:MOST]
        indexed = [one.encoder for one in await self._service.indexes(collection) if one.usable]
        if not indexed or usual in indexed:
            return systems
        # words can be searched in any index
        any_index = {"encoder": indexed[0]}
        return [
            one
            if one.reads_query
            else replace(one, options=one.options.model_copy(update=any_index))
            for one in systems
        ]

    @property
    def _depth(self) -> int:
        return min(self._connection.settings.retrieval.top_k, _DEEPEST)

    def _shown(self, state: Comparing) -> str:
        return page.results(
            state.question,
            [system.name for system in state.systems],
            state.turns,
            None if state.running else state.comparison(self._depth),
            state.vote,
        )

    async def _tally(self, collection: str, request: gr.Request) -> str:
        """What the person has voted for in a collection so far."""
        owner = visitor_of(self._access, request)
        try:
            found = await self._service.chats.votes(owner, collection) if owner else []
        except RagAppError as error:
            return problem(error)
        return page.tally(found, collection)

    async def _act(self, event: gr.EventData, state: Comparing, request: gr.Request) -> Updates:
        """A button among the results: end, or vote."""
        if text_of(event, "act") == "stop":
            state.stop()
        if text_of(event, "act") != "vote" or state.running:
            return {self.results: gr.skip()}
        try:
            vote = self._vote(event, state)
            await self._service.chats.keep_vote(visitor_of(self._access, request), vote)
        except RagAppError as error:
            return {self.votes: problem(error)}
        state.vote = vote
        return {
            self.results: self._shown(state),
            self.votes: await self._tally(state.collection, request),
        }

    def _vote(self, event: gr.EventData, state: Comparing) -> Vote:
        """What was voted for; raises ApplicationError for what was not offered."""
        names, winner = [one.name for one in state.systems], text_of(event, "system")
        if not state.turns or (winner and winner not in names[: len(state.turns)]):
            raise ApplicationError("there is no such answer to vote for", hint="Compare again")
        answers = dict(zip(names, state.turns, strict=False))
        numbers = text_of(event, "marked").split()
        marked, cited = [], []
        for number, passage in enumerate(state.comparison(self._depth).passages):
            if str(number) in numbers:
                name, rank = next(iter(passage.ranks.items()))
                marked.append(answers[name].hits[rank - 1])
        if winner:
            ids = {citation.passage_id for citation in answers[winner].citations}
            cited = [hit for hit in answers[winner].hits if hit.passage_id in ids]
        return Vote(state.question, state.collection, names, winner, marked or cited, bool(marked))
