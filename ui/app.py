"""The chat page: Gradio components around `rag_app.service.Service`.

Components and handlers only; what is shown is made in `ui.rendering`, what one tab has asked lives
in its own `ui.session.Session`, and nothing of a person's is kept on shared objects.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import resources
from pathlib import Path
from typing import Any, Final, get_args

from fastapi import FastAPI

from rag_app.assembly import silence_telemetry
from rag_app.errors import EXPECTED
from rag_app.ingest import IngestReport
from rag_app.results import CollectionInfo, DocumentInfo
from rag_app.service import QueryOptions, Service
from rag_app.settings import FusionName, ReaderName, RetrieverName, Settings
from ui import rendering
from ui.answering import answer
from ui.first_start import EXAMPLES, SAMPLES, FirstStart
from ui.session import Session, Turn
from ui.uploads import take_in

silence_telemetry()
import gradio as gr  # noqa: E402 - telemetry has to be off before this import

Updates = dict[Any, Any]
"""New values of some components, by component."""
_QUIET: Final[dict[str, Any]] = {
    "show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private",
}  # fmt: skip
_PAUSE: Final = 0.3


def mount(app: FastAPI, service: Service, settings: Settings, start: FirstStart) -> None:
    """Put the chat at `/`, closed to the outside: no links, no shared files, no history."""
    server = settings.server
    gr.mount_gradio_app(
        app,
        build(service, settings, start),
        path="/",
        server_name=server.host,
        server_port=server.port,
        auth=(server.user, server.password.get_secret_value()) if server.password else None,
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


def build(service: Service, settings: Settings, start: FirstStart) -> gr.Blocks:
    """The page. `start` is watched until the samples, if any, are in."""
    blocks: gr.Blocks = _Page(service, settings, start).blocks
    return blocks


class _Page:
    """The components, and what they do; holds nothing that belongs to a visitor."""

    def __init__(self, service: Service, settings: Settings, start: FirstStart) -> None:
        self._service, self._settings, self._start = service, settings, start
        with gr.Blocks(
            title="rag-app", analytics_enabled=False, fill_width=True, fill_height=True
        ) as self.blocks:
            self.session = gr.State(Session())
            gr.HTML(_header(settings), js_on_load=_shipped("header.js"), elem_id="top")
            with gr.Row(elem_id="page", equal_height=False):
                with gr.Column(elem_id="library", min_width=0):
                    self._library()
                with gr.Column(elem_id="chat", min_width=0):
                    self._chat()
                with gr.Column(elem_id="evidence", min_width=0):
                    self._evidence()
            self._wire()

    # --- components --------------------------------------------------------------------------

    def _library(self) -> None:
        self.picker = gr.Dropdown(
            [], label="Collection", info="Pick one, or type a new name", allow_custom_value=True,
            elem_id="picker",
        )  # fmt: skip
        with gr.Tabs():
            with gr.Tab("Documents"):
                self.files = gr.File(
                    file_count="multiple", show_label=False, height=92, elem_id="files"
                )
                self.names = gr.JSON(visible=False)
                self.status = gr.HTML(elem_id="status")
                self.documents = gr.HTML(js_on_load=_shipped("acts.js"), elem_id="documents")
            with gr.Tab("Settings"):
                self._choices()

    def _choices(self) -> None:
        chosen, reader = self._settings.retrieval, self._settings.reader
        self.retriever = gr.Dropdown(
            list(get_args(RetrieverName)), value=chosen.retriever, label="Retriever",
            info="none answers from the model alone", filterable=False,
        )  # fmt: skip
        self.top_k = gr.Slider(1, 50, min(chosen.top_k, 50), step=1, label="Passages to find")
        self.fusion = gr.Dropdown(
            list(get_args(FusionName)), value=chosen.fusion, label="Fusion", filterable=False
        )
        self.weight = gr.Slider(
            0, 1, chosen.weight, step=0.05, label="Dense share", info="of minmax fusion"
        )
        self.reader = gr.Dropdown(
            list(get_args(ReaderName)), value=reader.kind, label="Reader", filterable=False,
            visible=bool(self._settings.llm.model),
        )  # fmt: skip
        self.sources = gr.Dropdown(
            [], value=[], multiselect=True, label="Only these documents", info="none means all"
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
            self.fresh = gr.Button("New conversation", size="sm", variant="secondary")
            self.export = gr.Button("Export as Markdown", size="sm", variant="secondary")
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
        chosen = [self.picker, self.retriever, self.top_k, self.fusion, self.weight, self.reader,
                  self.sources]  # fmt: skip
        shown = [self.turns, self.live, self.box, self.passage, self.hits, self.trace, self.tabs]
        listed = [self.picker, self.documents, self.sources, self.turns, self.status, self.files]
        self.blocks.load(self._open, [self.session], listed, **_QUIET)
        self.box.submit(self._ask, [self.box, self.session, *chosen], shown, **_QUIET)
        self.box.stop(self._stop, [self.session], **_QUIET)
        for clicked in (self.turns, self.live, self.hits):
            clicked.select(self._act, [self.session, *chosen], shown, **_QUIET)
        self.picker.change(self._pick, [self.picker, self.session], listed, **_QUIET)
        self.files.upload(
            self._add, [self.files, self.names, self.session, self.picker], listed,
            js=_NAMES, **_QUIET,
        )  # fmt: skip
        self.documents.select(self._delete, [self.session, self.picker], listed, **_QUIET)
        self.fresh.click(self._clear, [self.session, self.picker], shown, **_QUIET)
        self.export.click(self._export, [self.session], [self.exported], **_QUIET).then(
            None, [self.exported], None, js=_SAVE
        )

    # --- asking ------------------------------------------------------------------------------

    async def _ask(
        self, question: str, session: Session, collection: str, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        if not question.strip() or session.running:
            yield {self.box: gr.skip()}
            return
        yield {self.box: gr.update(value="", submit_btn=False, stop_btn="Stop")}
        options = _options(*choices)
        had_hits = False
        turns = answer(self._service, session, question.strip(), collection or "", options)
        async with aclosing(turns):
            async for turn in turns:
                updates: Updates = {self.live: rendering.turn(turn)}
                if len(session.turns) == 1:
                    updates[self.turns] = ""
                if turn.trace is not None and not had_hits:
                    had_hits = True
                    updates |= self._evidence_of(turn) | {self.tabs: gr.update(selected="sources")}
                if turn.state == "running":
                    yield updates
        yield {
            self.turns: rendering.conversation(session),
            self.live: "",
            self.box: gr.update(submit_btn="Ask", stop_btn=False),
            **self._evidence_of(session.turns[-1]),
        }

    async def _stop(self, session: Session) -> None:
        session.stopping = True

    async def _act(
        self, event: gr.EventData, session: Session, *choices: Any
    ) -> AsyncGenerator[Updates, None]:
        """A click inside the conversation or the sources: what was meant stands on the button."""
        asked: dict[str, Any] = event._data or {}
        turn = session.turn(_number(asked.get("turn")))
        if asked.get("act") == "ask":
            async with aclosing(self._ask(str(asked.get("text")), session, *choices)) as updates:
                async for update in updates:
                    yield update
        elif turn and asked.get("act") == "passage":
            yield {
                self.passage: await self._passage(turn, _number(asked.get("n"))),
                self.tabs: gr.update(selected="passage"),
            }
        elif turn:
            yield self._evidence_of(turn) | {self.tabs: gr.update(selected="sources")}
        else:
            yield {self.tabs: gr.skip()}

    async def _passage(self, turn: Turn, n: int) -> str:
        chunk = turn.chunk(n)
        if chunk is None:
            return rendering.problem("This answer has no such passage.")
        try:
            return rendering.passage(await self._service.context(turn.collection, chunk), n)
        except EXPECTED as error:
            return rendering.problem(error)

    def _evidence_of(self, turn: Turn) -> Updates:
        return {self.hits: rendering.sources(turn), self.trace: rendering.trace(turn)}

    async def _clear(self, session: Session, collection: str) -> Updates:
        session.stopping = True
        session.turns = []
        known = {found.name for found in await self._service.collections()}
        return {
            self.turns: _welcome(collection, collection in known),
            self.live: "",
            self.passage: rendering.hint("Click a citation to read its passage in place."),
            self.hits: rendering.sources(None),
            self.trace: rendering.trace(None),
            self.box: gr.update(submit_btn="Ask", stop_btn=False),
        }

    async def _export(self, session: Session) -> str:
        return session.markdown()

    # --- collections and documents -----------------------------------------------------------

    async def _open(self, session: Session) -> AsyncGenerator[Updates, None]:
        """A page is opened: show what there is, and the first start as it goes on."""
        yield await self._listing(await self._first_choice(), session)
        if self._start.done():
            return
        while not self._start.done():
            if self._start.news:
                yield {self.status: rendering.progress(self._start.news[-1])}
            await _sleep()
        status = _outcome(self._start)
        yield await self._listing(await self._first_choice(), session) | {self.status: status}

    async def _first_choice(self) -> str:
        names = [found.name for found in await self._service.collections()]
        wanted = self._settings.collection
        if wanted in names or not names:
            return SAMPLES if not self._start.done() and self._start.samples else wanted
        return names[0]

    async def _pick(self, collection: str, session: Session) -> Updates:
        updates = await self._listing(collection, session)
        updates.pop(self.picker)
        return updates | {self.status: ""}

    async def _listing(self, collection: str, session: Session) -> Updates:
        """The library's components for a collection, which need not exist yet."""
        try:
            known = await self._service.collections()
            found = await self._documents(collection, known)
        except EXPECTED as error:
            return {self.status: rendering.problem(error)}
        names = [one.name for one in known]
        updates: Updates = {
            self.picker: gr.update(choices=names, value=collection),
            self.documents: rendering.documents(found),
            self.sources: gr.update(choices=[one.source for one in found if one.chunks], value=[]),
        }
        if not session.turns:
            updates[self.turns] = _welcome(collection, bool(found))
        unusable = [one.name for one in known if one.name == collection and not one.usable]
        if unusable:
            updates[self.status] = rendering.problem(
                f"Collection {collection} was built with other settings. "
                f"Run `rag-app collections rebuild {collection}` to use it"
            )
        return updates

    async def _documents(
        self, collection: str, known: Sequence[CollectionInfo]
    ) -> list[DocumentInfo]:
        if collection not in {one.name for one in known}:
            return []
        return await self._service.documents(collection)

    async def _add(
        self, files: list[str] | None, names: list[str] | None, session: Session, collection: str
    ) -> AsyncGenerator[Updates, None]:
        if not files:
            yield {self.files: gr.skip()}
            return
        status = ""
        yield {self.files: None, self.status: rendering.hint("Reading…")}
        work = take_in(self._service, collection or "", [Path(name) for name in files], names or [])
        try:
            async with aclosing(work):
                async for news in work:
                    if isinstance(news, IngestReport):
                        status = rendering.report(news)
                    else:
                        yield {self.status: rendering.progress(news)}
        except EXPECTED as error:
            status = rendering.problem(error)
        yield await self._listing(collection, session) | {self.status: status}

    async def _delete(self, event: gr.EventData, session: Session, collection: str) -> Updates:
        source = str((event._data or {}).get("source", ""))
        try:
            await self._service.delete_document(collection, source)
        except EXPECTED as error:
            return {self.status: rendering.problem(error)}
        return await self._listing(collection, session) | {self.status: ""}


_NAMES: Final = "(files, names, ...rest) => [files, files.map((f) => f.orig_name || ''), ...rest]"
_SAVE: Final = """(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/markdown'}));
  link.download = 'conversation.md';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""


def _options(
    retriever: Any, top_k: Any, fusion: Any, weight: Any, reader: Any, sources: Any
) -> QueryOptions:
    return QueryOptions(
        retriever=retriever, top_k=int(top_k), fusion=fusion, weight=float(weight), reader=reader,
        sources=tuple(sources or ()),
    )  # fmt: skip


def _welcome(collection: str, filled: bool) -> str:
    return rendering.welcome(EXAMPLES if collection == SAMPLES and filled else (), not filled)


def _outcome(start: FirstStart) -> str:
    if start.error:
        return rendering.problem(start.error)
    return rendering.report(start.report) if start.report else ""


def _number(value: object) -> int:
    """A number that a page sent; 0, which no turn and no citation has, for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


async def _sleep() -> None:
    import asyncio

    await asyncio.sleep(_PAUSE)


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
