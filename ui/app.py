"""The chat page: Gradio components around `rag_app.service.Service`.

The evaluation page (`ui.evaluation`) lies beside it. Components and handlers only; what is shown is
made in `ui.rendering`, what one tab has asked lives in its own `ui.session.Session`, and nothing of
a person's is kept on shared objects.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import resources
from typing import Any, Final, get_args

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from data.errors import RagAppError
from rag_app.assembly.application import silence_telemetry
from rag_app.errors import ApplicationError
from rag_app.results import CollectionInfo, DocumentInfo
from rag_app.service import QueryOptions, Service
from rag_app.settings import (
    FusionName,
    ReaderName,
    RerankerName,
    RetrieverName,
    RewriterName,
    Settings,
)
from rag_app.web.access import Access
from retrieval.index.collections import checked_name
from ui import rendering
from ui.answering import answer
from ui.evaluation_runs import EvaluationRuns
from ui.first_start import EXAMPLES, SAMPLES, FirstStart
from ui.ingestions import Ingestion, Ingestions
from ui.page_guard import PageGuard, note_misfit
from ui.session import Session, Turn
from ui.uploads import Uploads

silence_telemetry()
import gradio as gr  # noqa: E402 - telemetry has to be off before this import

from ui.evaluation import EvaluationPage  # noqa: E402 - imports gradio

Updates = dict[Any, Any]
"""New values of some components, by component."""
_QUIET: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
_STREAMED: Final[dict[str, Any]] = {**_QUIET, "concurrency_limit": None}
_AT_ONCE: Final[dict[str, Any]] = {**_QUIET, "queue": False}
"""Not over the page's one stream, which Gradio closes when an event ends; an event that begins at
that very moment is lost with it, so that as few events as possible may use it."""
_PAUSE: Final = 0.4
"""Seconds between looks at what is being ingested."""
_ANOTHER: Final = "+"
"""Stands among the collections for one that is still to be named."""


def mount(app: FastAPI, page: "Page", settings: Settings, access: Access) -> None:
    """Put the pages at `/`, closed to the outside: no links, no shared files, no history.

    `rag_app.web.gate` has asked for the password before, where one is set.
    """
    server, blocks = settings.server, page.blocks
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        server_name=server.host,
        server_port=server.port,
        allowed_paths=[],
        show_error=False,
        max_file_size=server.upload_mb * 1024 * 1024,
        footer_links=[],
        run_history=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        theme=_theme(),
        css=_shipped("theme.css"),
    )

    blocks.has_launched = (
        True  # Gradio checks the paths of files only where `launch` has been called
    )
    pages = next(one for one in app.routes if isinstance(one, Mount) and one.path == "")
    inputs = {index: len(event.inputs) for index, event in blocks.fns.items()}
    pages.app = PageGuard(pages.app, inputs, access.visitor)


class _Blocks(gr.Blocks):
    """Blocks that tell values that do not fit from faults of an event."""

    async def preprocess_data(self, *arguments: Any, **named: Any) -> Any:
        try:
            return await super().preprocess_data(*arguments, **named)
        except Exception as error:
            note_misfit(error)
            raise


class Page:
    """The components, and what they do; holds nothing that belongs to a visitor.

    Args:
        service: answers.
        settings: what a person can choose begins with these.
        start: watched until the samples, if any, are in.
        runs: the evaluations.
        uploads: the files that browsers have sent.
        access: who may change something.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        start: FirstStart,
        runs: EvaluationRuns,
        uploads: Uploads,
        access: Access,
    ) -> None:
        self._service, self._settings, self._start = service, settings, start
        self._uploads, self._access = uploads, access
        self._ingestions = Ingestions(service)
        with _Blocks(
            title="rag-app", analytics_enabled=False, fill_width=True, fill_height=True
        ) as self.blocks:
            self.session = gr.State(Session())
            self.watch = gr.Timer(_PAUSE, active=False)
            header = gr.HTML(_header(settings), js_on_load=_shipped("header.js"), elem_id="top")
            with gr.Row(elem_id="page", equal_height=False):
                with gr.Column(elem_id="library", min_width=0):
                    self._library()
                with gr.Column(elem_id="chat", min_width=0):
                    self._chat()
                with gr.Column(elem_id="evidence", min_width=0):
                    self._evidence()
            scripts = {name: _shipped(name) for name in ("acts.js", "report.js")}
            self.evaluation = EvaluationPage(runs, service, settings, scripts, self.require_right)
            self._wire()
            self.evaluation.wire(header)

    # --- components --------------------------------------------------------------------------

    def _library(self) -> None:
        self.picker = gr.Dropdown([], label="Collection", filterable=False, elem_id="picker")
        self.fresh_name = gr.Textbox(
            show_label=False, container=False, placeholder="Name, then Enter", max_length=100,
            visible=False, elem_id="fresh-name",
        )  # fmt: skip
        with gr.Tabs():
            with gr.Tab("Documents"):
                self.files = gr.File(
                    file_count="multiple", show_label=False, height=92, elem_id="files"
                )
                self.sent = gr.JSON(visible=False)
                self.status = gr.HTML(elem_id="status")
                self.cancel = gr.Button("Cancel", size="sm", visible=False, elem_id="cancel")
                self.documents = gr.HTML(js_on_load=_shipped("acts.js"), elem_id="documents")
            with gr.Tab("Settings"):
                self._choices()

    def _choices(self) -> None:
        settings, llm = self._settings, bool(self._settings.llm.model)
        chosen = settings.retrieval
        self.retriever = _dropdown(
            RetrieverName, chosen.retriever, "Retriever",
            info="none answers from the model alone", elem_id="retriever",
        )  # fmt: skip
        self.top_k = gr.Slider(1, 50, min(chosen.top_k, 50), step=1, label="Passages to find")
        self.fusion = _dropdown(FusionName, chosen.fusion, "Fusion")
        self.weight = gr.Slider(
            0, 1, chosen.weight, step=0.05, label="Dense share", info="of minmax fusion"
        )
        self.reader = _dropdown(ReaderName, settings.reader.kind, "Reader", visible=llm)
        self.rewrite = _dropdown(
            RewriterName, settings.rewrite.kind, "Rewriting",
            info="llm searches with longer queries, too", visible=llm,
        )  # fmt: skip
        self.rerank = _dropdown(
            RerankerName, settings.rerank.kind, "Reranking",
            info="grades the passages found", visible=llm,
        )  # fmt: skip
        self.sources = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label="Only these documents",
            info="none means all",
            elem_id="sources",
        )

    def _chat(self) -> None:
        gr.HTML(rendering.banner(self._settings.llm.model), elem_id="banner")
        with gr.Column(elem_id="scroll"):
            acts = _shipped("acts.js")
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

    def _evidence(self) -> None:
        acts = _shipped("acts.js")
        with gr.Tabs(elem_id="evidence-tabs") as self.tabs:
            with gr.Tab("Passage", id="passage"):
                self.passage = gr.HTML(
                    rendering.hint("Click a citation to read its passage in place."),
                    js_on_load=_shipped("passage.js"),
                )
            with gr.Tab("Sources", id="sources"):
                self.hits = gr.HTML(rendering.sources(None), js_on_load=acts)
            with gr.Tab("Timings", id="timings"):
                self.trace = gr.HTML(rendering.trace(None))

    def _wire(self) -> None:
        choices = [
            self.retriever, self.top_k, self.fusion, self.weight, self.reader, self.rewrite,
            self.rerank, self.sources,
        ]  # fmt: skip
        shown = [self.turns, self.live, self.box, self.passage, self.hits, self.trace, self.tabs]
        listed = [
            self.picker, self.fresh_name, self.documents, self.sources, self.turns, self.status,
            self.files, self.watch, self.cancel,
        ]  # fmt: skip
        session = [self.session]
        self.blocks.load(self._open, session, listed, **_AT_ONCE)
        self.watch.tick(self._watch, session, listed, **_AT_ONCE)
        self.box.submit(self._ask, [self.box, *session, *choices], shown, **_STREAMED)
        self.turns.input(self._offer, [*session, *choices], shown, **_STREAMED)
        self.box.stop(self._stop, session, **_AT_ONCE)
        for clicked in (self.turns, self.live, self.hits):
            clicked.select(self._act, session, shown, **_AT_ONCE)
        self.picker.input(self._pick, [self.picker, *session], listed, **_AT_ONCE)
        self.fresh_name.submit(self._name, [self.fresh_name, *session], listed, **_AT_ONCE)
        self.fresh_name.blur(self._leave_name, [self.fresh_name, *session], listed, **_AT_ONCE)
        added = [self.files, self.sent, *session]
        self.files.upload(self._add, added, listed, js=_SENT, **_AT_ONCE)
        self.cancel.click(self._cancel, session, listed, **_AT_ONCE)
        self.documents.select(self._delete, session, listed, **_AT_ONCE)
        self.fresh.click(self._clear, session, shown, **_AT_ONCE)
        saved = self.export.click(self._export, session, [self.exported], **_AT_ONCE)
        saved.then(None, [self.exported], None, js=_SAVE)

    # --- asking ------------------------------------------------------------------------------

    async def _ask(
        self, question: str, session: Session, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        if not question.strip() or session.running:
            yield {self.box: gr.skip()}
            return
        yield {self.box: gr.update(value="", submit_btn=False, stop_btn="Stop")}
        options = _options(*choices)
        had_hits = False
        turns = answer(self._service, session, question.strip(), session.collection, options)
        async with aclosing(turns):
            async for turn in turns:
                updates: Updates = {self.live: rendering.turn(turn)}
                if len(session.turns) == 1:
                    updates[self.turns] = ""
                if turn.trace is not None and not had_hits:
                    had_hits = True
                    updates |= self._evidence_of(turn) | {self.tabs: gr.update(selected="sources")}
                yield updates
        yield {
            self.turns: rendering.conversation(session),
            self.live: "",
            self.box: gr.update(submit_btn="Ask", stop_btn=False),
            **self._evidence_of(session.turns[-1]),
        }

    async def _stop(self, session: Session) -> None:
        session.stopping = True

    async def _offer(
        self, event: gr.EventData, session: Session, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        """A question that the page offers."""
        async with aclosing(self._ask(_said(event, "text"), session, *choices)) as updates:
            async for update in updates:
                yield update

    async def _act(self, event: gr.EventData, session: Session) -> Updates:
        """A click on a citation or a source: what was meant stands on the button."""
        turn = session.turn(_number(_said(event, "turn")))
        if turn is None:
            return {self.tabs: gr.skip()}
        if _said(event, "act") == "passage":
            return {
                self.passage: await self._passage(turn, _number(_said(event, "n"))),
                self.tabs: gr.update(selected="passage"),
            }
        return self._evidence_of(turn) | {self.tabs: gr.update(selected="sources")}

    async def _passage(self, turn: Turn, n: int) -> str:
        passage = turn.passage_id(n)
        if passage is None:
            return rendering.problem("This answer has no such passage.")
        try:
            context = await self._service.context(turn.collection, passage)
            cited = next((one for one in turn.citations if one.n == n), None)
            return rendering.passage(context, n, cited)
        except RagAppError as error:
            return rendering.problem(error)

    def _evidence_of(self, turn: Turn) -> Updates:
        return {self.hits: rendering.sources(turn), self.trace: rendering.trace(turn)}

    async def _clear(self, session: Session) -> Updates:
        session.stopping = True
        session.turns = []
        known = {found.name for found in await self._service.collections()}
        return {
            self.turns: _welcome(session.collection, session.collection in known),
            self.live: "",
            self.passage: rendering.hint("Click a citation to read its passage in place."),
            self.hits: rendering.sources(None),
            self.trace: rendering.trace(None),
            self.box: gr.update(submit_btn="Ask", stop_btn=False),
        }

    async def _export(self, session: Session) -> str:
        return session.markdown()

    # --- collections and documents -----------------------------------------------------------

    async def _open(self, session: Session, request: gr.Request) -> Updates:
        """A page is opened: show what there is, and watch what goes on."""
        session.collection = await self._first_choice()
        running = self._ingestions.of(self._access.visitor(_connection(request)))
        if running:
            session.collection = running[-1].collection
        updates = await self._listing(session.collection, session)
        watched = bool(running) or not self._start.done()
        return updates | {self.watch: gr.update(active=watched)}

    async def _watch(self, session: Session, request: gr.Request) -> Updates:
        """Show the first start and this visitor's uploads as they go on, and what they came to."""
        mine = self._ingestions.of(self._access.visitor(_connection(request)))
        running = any(one.running for one in mine)
        if running or not self._start.done():
            shown = [_state(one) for one in mine]
            if not mine:
                shown = [rendering.progress(one) for one in tuple(self._start.news)]
            status = "".join(shown) or gr.skip()
            return {self.status: status, self.cancel: gr.update(visible=running)}
        updates = await self._listing(session.collection, session)
        for one in mine:
            one.shown = True
        return updates | {
            self.status: "".join(map(_state, mine)) or _outcome(self._start),
            self.cancel: gr.update(visible=False),
            self.watch: gr.update(active=False),
        }

    async def _cancel(self, _: Session, request: gr.Request) -> Updates:
        self._ingestions.stop(self._access.visitor(_connection(request)))
        return {self.cancel: gr.update(visible=False)}

    async def _first_choice(self) -> str:
        names = {found.name for found in await self._service.collections()}
        if self._start.samples and not self._start.done() and not names - {SAMPLES}:
            return SAMPLES
        likely = (self._settings.collection, SAMPLES, *sorted(names))
        return next((name for name in likely if name in names), self._settings.collection)

    async def _pick(self, collection: str | None, session: Session) -> Updates:
        session.naming = collection == _ANOTHER
        if session.naming:
            return {self.fresh_name: gr.update(visible=True, value="")}
        if not collection or collection == session.collection:
            return {self.fresh_name: gr.update(visible=False)}
        session.collection = collection
        return {self.status: ""} | await self._listing(collection, session)

    async def _name(self, name: str | None, session: Session) -> Updates:
        """A collection is named; it will exist once a document is in it."""
        if not name or not name.strip():
            session.naming = False
            return {self.fresh_name: gr.update(visible=False), self.picker: session.collection}
        try:
            session.collection, session.naming = checked_name(name.strip()), False
        except RagAppError as error:
            return {self.status: rendering.problem(error)}
        return {self.status: ""} | await self._listing(session.collection, session)

    async def _leave_name(self, name: str | None, session: Session) -> Updates:
        """A name that was typed holds without the Enter key, too."""
        if not session.naming or not (name or "").strip():
            return {self.fresh_name: gr.update()}
        return await self._name(name, session)

    async def _listing(self, collection: str, session: Session) -> Updates:
        """The library's components for a collection, which need not exist yet."""
        try:
            known = await self._service.collections()
            found = await self._documents(collection, known)
        except RagAppError as error:
            return {self.status: rendering.problem(error)}
        names = sorted({collection, *(one.name for one in known)})
        choices = [*((name, name) for name in names), ("New collection …", _ANOTHER)]
        updates: Updates = {
            self.picker: gr.update(choices=choices, value=collection),
            self.fresh_name: gr.update(visible=False),
            self.documents: rendering.documents(found),
            self.sources: gr.update(
                choices=[one.source for one in found if one.passages], value=[]
            ),
        }
        if not session.turns:
            updates[self.turns] = _welcome(collection, bool(found))
        chosen = next((one for one in known if one.name == collection), None)
        if chosen and not chosen.usable:
            updates[self.status] = rendering.problem(
                chosen.damage
                or f"Collection {collection} was built with other settings. "
                f"Run `rag-app collections rebuild {collection}` to use it"
            )
        return updates

    async def _documents(
        self, collection: str, known: Sequence[CollectionInfo]
    ) -> list[DocumentInfo]:
        if collection not in {one.name for one in known if not one.damage}:
            return []
        return await self._service.documents(collection)

    async def _add(self, _: Any, sent: Any, session: Session, request: gr.Request) -> Updates:
        """Files have been uploaded; `sent` is the id and the name of each."""
        try:
            self.require_right(request)
            if session.naming:
                told = "the files were not added: name the new collection first"
                return {self.files: None, self.status: rendering.problem(told)}
            ids, names = _ids_and_names(sent)
            visitor = self._access.visitor(_connection(request))
            folder, files = await asyncio.to_thread(self._uploads.take, visitor, ids, names)
        except RagAppError as error:
            return {self.files: None, self.status: rendering.problem(error)}
        self._ingestions.start(visitor, session.collection, folder, files)
        return {
            self.files: None,
            self.status: rendering.hint("Reading…"),
            self.cancel: gr.update(visible=True),
            self.watch: gr.update(active=True),
        }

    async def _delete(self, event: gr.EventData, session: Session, request: gr.Request) -> Updates:
        try:
            self.require_right(request)
            await self._service.delete_document(session.collection, _said(event, "source"))
        except RagAppError as error:
            return {self.status: rendering.problem(error)}
        return {self.status: ""} | await self._listing(session.collection, session)

    def require_right(self, request: gr.Request) -> None:
        """Raise ApplicationError for a browser that may look but not change."""
        if not self._access.may_change(_connection(request)):
            raise ApplicationError(
                "this browser may read, but not change anything",
                hint="Open the whole address that rag-app printed at its start",
            )


_SENT: Final = (
    "(files, sent, ...rest) => [null, files.map((f) => [f.path, f.orig_name || '']), ...rest]"
)
"""What the event says of files: never the files themselves."""
_SAVE: Final = """(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/markdown'}));
  link.download = 'conversation.md';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""


def _dropdown(names: Any, chosen: str, label: str, **more: Any) -> gr.Dropdown:
    """A choice of components; a class that the settings name by its path is one of them."""
    choices = dict.fromkeys([*get_args(names), chosen])
    return gr.Dropdown([*choices], value=chosen, label=label, filterable=False, **more)


def _options(
    retriever: str, top_k: Any, fusion: str, weight: Any, reader: str, rewrite: str, rerank: str,
    sources: Any,
) -> QueryOptions:  # fmt: skip
    chosen = {
        "retriever": retriever, "fusion": fusion, "reader": reader, "rewrite": rewrite,
        "rerank": rerank,
    }  # fmt: skip
    # no request names a class: where the settings do, leaving the choice open chooses it
    rows = {stage: name for stage, name in chosen.items() if ":" not in name}
    return QueryOptions.model_validate(
        {**rows, "top_k": int(top_k), "weight": float(weight), "sources": tuple(sources or ())}
    )


def _connection(request: gr.Request) -> HTTPConnection:
    assert request.request is not None  # noqa: S101 - events come over HTTP
    return request.request


def _ids_and_names(sent: Any) -> tuple[list[str], list[str]]:
    """Raises ApplicationError for what is no list of pairs of texts."""
    pairs = sent if isinstance(sent, list) else []
    whole = [one for one in pairs if isinstance(one, list) and list(map(type, one)) == [str, str]]
    if not whole or len(whole) < len(pairs):
        raise ApplicationError("the upload names no files", hint="Upload them again")
    return [one[0] for one in whole], [one[1] for one in whole]


def _welcome(collection: str, filled: bool) -> str:
    return rendering.welcome(EXAMPLES if collection == SAMPLES and filled else (), not filled)


def _state(one: Ingestion) -> str:
    """How far an upload is, or what it came to."""
    if one.report:
        return rendering.report(one.report)
    if one.error:
        return rendering.problem(one.error)
    return rendering.progress(one.news) if one.news else rendering.hint("Reading…")


def _outcome(start: FirstStart) -> str:
    if start.error:
        return rendering.problem(start.error)
    return rendering.report(start.report) if start.report else ""


def _said(event: gr.EventData, name: str) -> str:
    """What a page sent with an event; it may be anything."""
    data = event._data if isinstance(event._data, dict) else {}
    return str(data.get(name, ""))


def _number(text: str) -> int:
    """A number that a page sent; 0, which no turn and no citation has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _shipped(name: str) -> str:
    return (resources.files("ui") / name).read_text("utf-8")


def _header(settings: Settings) -> str:
    return rendering.header(settings.llm.model if settings.reader.kind == "llm" else "")


def _theme() -> gr.themes.Base:
    neutral, accent = gr.themes.colors.stone, gr.themes.colors.teal
    whole = (400, 700)  # the other weights that Gradio brings lack letters
    return gr.themes.Base(
        font=[gr.themes.LocalFont("IBM Plex Sans", whole), "system-ui", "sans-serif"],
        font_mono=[gr.themes.LocalFont("IBM Plex Mono", whole), "ui-monospace", "monospace"],
        primary_hue=accent, secondary_hue=accent, neutral_hue=neutral,
        radius_size=gr.themes.sizes.radius_md, text_size=gr.themes.sizes.text_md,
    )  # fmt: skip
