"""The documents panel: collections, their documents, and what is being added to them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import gradio as gr

from data.errors import RagAppError
from rag_app.errors import ApplicationError
from rag_app.results import CollectionInfo, DocumentInfo
from rag_app.service import Service
from rag_app.settings import Settings
from rag_app.web.access import Access
from ui import dialogs, rendering
from ui import library_rendering as page
from ui.choices import Choices
from ui.evidence import EvidencePanel
from ui.first_start import SAMPLES, FirstStart
from ui.ingestions import Ingestion, Ingestions
from ui.panels import (
    AT_ONCE,
    EACH,
    Updates,
    require_right,
    shipped,
    text_of,
    visitor_of,
    welcome,
)
from ui.session import Session
from ui.sharing import owner_name, set_sharing
from ui.sources import right_for, work_for
from ui.uploads import Uploads

_PAUSE: Final = 0.4
"""Seconds between looks at what is being ingested."""
_LOOK: Final = 4.0
"""Seconds between looks at whether anything has changed elsewhere."""
_REMEMBER: Final = "(name) => { if (name) localStorage.setItem('rag-app-collection', name); }"
_REMEMBERED: Final = "(_, session) => [localStorage.getItem('rag-app-collection') || '', session]"
"""The browser remembers which collection was open last."""
_SENT: Final = (
    "(files, sent, ...rest) => [null, files.map((f) => [f.path, f.orig_name || '']), ...rest]"
)
"""What the event says of files: never the files themselves."""


class LibraryPanel:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        service: has the collections.
        settings: which collection is shown first, and what the choices begin with.
        start: watched until the samples, if any, are in.
        uploads: the files that browsers have sent.
        access: who may change something.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        start: FirstStart,
        uploads: Uploads,
        access: Access,
    ) -> None:
        self._service, self._settings, self._start = service, settings, start
        self._uploads, self._access = uploads, access
        self._ingestions = Ingestions()
        self.watch = gr.Timer(_PAUSE, active=False)
        self.look = gr.Timer(_LOOK)
        with gr.Row(elem_id="collection"):
            self.picker = gr.Dropdown([], label="Collection", filterable=False, elem_id="picker")
            gr.HTML(page.new_collection_button(), elem_id="new-collection-button")
        self.also = gr.Dropdown(
            [], label="Also ask these collections",
            multiselect=True, filterable=False, visible=False, elem_id="also",
        )  # fmt: skip
        self.dialog = gr.HTML(
            dialogs.new_collection(),
            js_on_load=shipped("dialog.js"),
            elem_id="new-collection-dialog",
        )
        self.remembered = gr.Textbox(visible=False)
        with gr.Tabs():
            with gr.Tab("Documents"):
                self.files = gr.File(
                    file_count="multiple", show_label=False, height=92, elem_id="files"
                )
                self.sent = gr.JSON(visible=False)
                gr.HTML(
                    page.add_source_button(),
                    js_on_load=shipped("folders.js"),
                    elem_id="add-source-button",
                )
                self.source_dialog = gr.HTML(
                    dialogs.add_source(),
                    js_on_load=shipped("dialog.js"),
                    elem_id="add-source-dialog",
                )
                self.status = gr.HTML(elem_id="status")
                self.cancel = gr.Button("Cancel", size="sm", visible=False, elem_id="cancel")
                self.documents = gr.HTML(js_on_load=shipped("documents.js"), elem_id="documents")
            with gr.Tab("Settings"):
                self.choices = Choices(settings)
                gr.HTML(page.connect_button())

    def wire(
        self, blocks: gr.Blocks, session: gr.State, turns: gr.HTML, evidence: EvidencePanel
    ) -> Any:
        """Connect the components.

        `turns` shows what can be asked while nothing has been, `evidence` a document that is read.
        Returns the event of a page that was loaded.
        """
        self._turns, self._evidence = turns, evidence
        listed = self._listed = [
            self.picker, self.also, self.dialog, self.source_dialog, self.documents, turns,
            self.status, self.files, self.watch, self.cancel,
        ]  # fmt: skip
        opened = [self.remembered, session]
        loaded = blocks.load(self._open, opened, listed, js=_REMEMBERED, **AT_ONCE)
        self.picker.change(None, [self.picker], None, js=_REMEMBER)
        self.watch.tick(self._watch, [session], listed, **AT_ONCE)
        self.look.tick(self._look, [session], listed, **AT_ONCE)
        self.picker.input(self._pick, [self.picker, session], listed, **AT_ONCE)
        self.also.input(self._ask_also, [self.also, session], None, **EACH)
        self.dialog.submit(self._create, session, listed, **AT_ONCE)
        self.source_dialog.submit(self._add_source, session, listed, **AT_ONCE)
        added = [self.files, self.sent, session]
        self.files.upload(self._add, added, listed, js=_SENT, **EACH)
        self.cancel.click(self._cancel, session, listed, **AT_ONCE)
        clicked = [session, self.choices.has_model]
        self.documents.select(self._act, clicked, [*listed, *evidence.outputs], **EACH)
        self.documents.input(self._limit, session, None, **EACH)
        return loaded

    def refresh_after(self, session: gr.State, *events: Any) -> None:
        """Show the session's collection after events that may have opened another."""
        for event in events:
            event.then(self._refresh, [session], self._listed, **AT_ONCE)

    async def _refresh(self, session: Session) -> Updates:
        return await self._listing(session)

    async def _look(self, session: Session, request: gr.Request) -> Updates:
        """Show what has changed elsewhere: in another window, or by a command."""
        if self._unseen(session, request):  # an upload of another tab
            return {self.watch: gr.update(active=True)}
        if session.seen == self._service.changes:
            return {self.status: gr.skip()}
        return await self._listing(session)

    def _unseen(self, session: Session, request: gr.Request) -> list[Ingestion]:
        """This visitor's ingestions that go on, or whose end this tab has not shown."""
        ingestions = self._ingestions.of(visitor_of(self._access, request))
        return [one for one in ingestions if one.number not in session.seen_ingestions]

    async def _open(self, remembered: str | None, session: Session, request: gr.Request) -> Updates:
        """A page is opened: show what there is, and watch what goes on."""
        session.collection = self._settings.collection
        with suppress(RagAppError):  # the listing tells of it
            session.collection = await self._first_choice(remembered or "")
        ingestions = self._ingestions.of(visitor_of(self._access, request))
        session.seen_ingestions = {one.number for one in ingestions if one.shown}
        updates = await self._listing(session)
        watched = len(ingestions) > len(session.seen_ingestions) or not self._start.done()
        return updates | {self.watch: gr.update(active=watched)}

    async def _watch(self, session: Session, request: gr.Request) -> Updates:
        """Show the first start and this visitor's uploads as they go on, and what they came to."""
        ingestions = self._unseen(session, request)
        running = any(one.running for one in ingestions)
        if running or not self._start.done():
            shown = [_state(one, session.collection) for one in ingestions]
            if not ingestions:
                shown = [rendering.progress(one) for one in tuple(self._start.news)]
            status = "".join(shown) or gr.skip()
            return {self.status: status, self.cancel: gr.update(visible=running)}
        updates = await self._listing(session)
        for one in ingestions:
            one.shown = True
            session.seen_ingestions.add(one.number)
        return updates | {
            self.status: "".join(_state(one, session.collection) for one in ingestions)
            or _outcome(self._start),
            self.cancel: gr.update(visible=False),
            self.watch: gr.update(active=False),
        }

    async def _cancel(self, _: Session, request: gr.Request) -> Updates:
        self._ingestions.stop(visitor_of(self._access, request))
        return {self.cancel: gr.update(visible=False)}

    async def _first_choice(self, remembered: str) -> str:
        names = {found.name for found in await self._service.collections()}
        if remembered in names:
            return remembered
        if self._start.samples and not self._start.done() and not names - {SAMPLES}:
            return SAMPLES
        likely = (self._settings.collection, SAMPLES, *sorted(names))
        return next((name for name in likely if name in names), self._settings.collection)

    async def _pick(self, collection: str | None, session: Session) -> Updates:
        if not collection or collection == session.collection:
            return {self.status: gr.update()}
        session.collection = collection
        return {self.status: ""} | await self._listing(session)

    async def _ask_also(self, chosen: list[str] | None, session: Session) -> None:
        session.also = tuple(chosen or ())

    async def _create(self, event: gr.EventData, session: Session, request: gr.Request) -> Updates:
        """The dialog was closed: make a collection, and give it the uploads that wait for it."""
        act = text_of(event, "act")
        name = "-".join(text_of(event, "name").split())
        if act == "cancel":
            session.waiting = ()
            return {self.dialog: dialogs.new_collection()}
        try:
            require_right(self._access, request)
            if act == "samples":
                name = SAMPLES
            else:
                await self._service.create_collection(name[:100])
            session.collection = name
        except RagAppError as error:
            refused = dialogs.new_collection(len(session.waiting), name, str(error))
            return {self.dialog: refused}
        waiting, session.waiting = session.waiting, ()
        updates = {self.dialog: dialogs.new_collection(), self.status: ""}
        updates |= await self._listing(session)
        return updates | (await self._ingest(waiting, session, request) if waiting else {})

    async def _listing(self, session: Session) -> Updates:
        """The library's components for the open collection, which need not exist yet."""
        session.seen = self._service.changes
        try:
            known = await self._service.collections()
            self._follow_rename(session, {one.name for one in known})
            collection = session.collection
            found = await self._documents(collection, known)
        except RagAppError as error:
            return {self.status: rendering.problem(error)}
        names = sorted({collection, *(one.name for one in known)})
        updates: Updates = {
            self.picker: gr.update(choices=names, value=collection),
            self.documents: page.documents(
                found,
                collection,
                exists=collection in {one.name for one in known},
                under_way=not self._start.done() or self._ingestions.go_on(collection),
                owner=await owner_name(self._access.users, collection),
            ),
        }
        there = {one.source for one in found}
        checked = session.only[1] if session.only[0] == collection else ()
        session.only = collection, tuple(one for one in checked if one in there)
        others = [one.name for one in known if one.usable and one.name != collection]
        session.also = tuple(one for one in session.also if one in others)
        updates[self.also] = gr.update(
            choices=others, value=list(session.also), visible=bool(others)
        )
        if not session.turns:
            updates[self._turns] = await welcome(self._service, collection, bool(found))
        chosen = next((one for one in known if one.name == collection), None)
        if chosen and not chosen.usable:
            updates[self.status] = rendering.problem(
                chosen.damage
                or f"Collection {collection} was built with other settings. "
                f"Run `rag-app collections rebuild {collection}` to use it"
            )
        return updates

    def _follow_rename(self, session: Session, names: set[str]) -> None:
        """Another tab, or a command, may have renamed the open collection."""
        name, renamed = session.collection, self._service.renamed
        while name not in names and name in renamed:
            name = renamed[name]
        if name in names and name != session.collection:
            session.rename_collection(session.collection, name)

    async def _documents(
        self, collection: str, known: Sequence[CollectionInfo]
    ) -> list[DocumentInfo]:
        if collection not in {one.name for one in known if not one.damage}:
            return []
        return await self._service.documents(collection)

    async def _add(self, _: Any, sent: Any, session: Session, request: gr.Request) -> Updates:
        """Files have been uploaded; `sent` is the id and the name of each."""
        try:
            require_right(self._access, request)
            files = _ids_and_names(sent)
        except RagAppError as error:
            return {self.files: None, self.status: rendering.problem(error)}
        if session.collection == SAMPLES:  # a person's own files get a collection of their own
            session.waiting = (*session.waiting, *files)  # others may wait already
            return {self.files: None, self.dialog: dialogs.new_collection(len(session.waiting))}
        return await self._ingest(files, session, request)

    async def _add_source(
        self, event: gr.EventData, session: Session, request: gr.Request
    ) -> Updates:
        """The dialog was closed: ingest what was typed."""
        given, collection = text_of(event, "source").strip()[:2000], session.collection
        if text_of(event, "act") == "cancel":
            return {self.source_dialog: dialogs.add_source()}
        try:
            require_right(self._access, request, right_for(given))
            if collection == SAMPLES:
                raise ApplicationError(
                    "the samples are open", hint="Choose or make a collection of your own first"
                )
            work = await asyncio.to_thread(
                work_for, given, self._service, self._settings, collection
            )
        except RagAppError as error:
            return {self.source_dialog: dialogs.add_source(given, str(error))}
        self._ingestions.start(visitor_of(self._access, request), collection, work)
        return {self.source_dialog: dialogs.add_source()} | self._begun()

    async def _ingest(
        self, uploaded: Sequence[tuple[str, str]], session: Session, request: gr.Request
    ) -> Updates:
        visitor, collection = visitor_of(self._access, request), session.collection
        ids, names = [one[0] for one in uploaded], [one[1] for one in uploaded]
        try:
            folder, files = await asyncio.to_thread(self._uploads.take, visitor, ids, names)
        except RagAppError as error:
            return {self.files: None, self.status: rendering.problem(error)}
        work = partial(self._service.ingest, collection, files)
        self._ingestions.start(visitor, collection, work, folder)
        return {self.files: None} | self._begun()

    def _begun(self) -> Updates:
        """An ingestion was begun: show it as it goes on."""
        return {
            self.status: rendering.hint("Reading…"),
            self.cancel: gr.update(visible=True),
            self.watch: gr.update(active=True),
        }

    async def _act(
        self, event: gr.EventData, session: Session, has_model: bool, request: gr.Request
    ) -> Updates:
        """A click on a document, or on what is done with the whole collection."""
        act, source = text_of(event, "act"), text_of(event, "source")
        collection = text_of(event, "collection")  # that of the list, whatever is being opened
        try:
            if act == "open":
                content = await self._service.document(collection, source)
                shown = partial(page.document, content, collection, has_model=has_model)
                return self._evidence.show(await asyncio.to_thread(shown))
            require_right(self._access, request)
            if act == "reingest":
                sources = [source] if source else []
                work = partial(self._service.reingest, collection, sources)
                self._ingestions.start(visitor_of(self._access, request), collection, work)
                return self._begun()
            if act == "rename":
                to = "-".join(text_of(event, "to").split())[:100]
                await self._service.rename_collection(collection, to)
                session.rename_collection(collection, to)
            elif act in ("share", "unshare"):
                await set_sharing(self._access.users, collection, private=act == "unshare")
            elif act == "delete":
                await self._service.delete_document(collection, source)
            elif act == "drop" and collection == session.collection:
                await self._service.drop_collection(session.collection)
                session.collection = await self._first_choice("")
        except RagAppError as error:
            return {self.status: rendering.problem(error)}
        return {self.status: ""} | await self._listing(session)

    async def _limit(self, event: gr.EventData, session: Session) -> None:
        """Documents were checked: the next question asks only them."""
        sources = event._data.get("sources") if isinstance(event._data, dict) else []
        if isinstance(sources, list):
            session.only = text_of(event, "collection"), tuple(map(str, sources))


def _ids_and_names(sent: Any) -> tuple[tuple[str, str], ...]:
    """Raises ApplicationError for what is no list of pairs of texts."""
    pairs = sent if isinstance(sent, list) else []
    whole = [one for one in pairs if isinstance(one, list) and list(map(type, one)) == [str, str]]
    if not whole or len(whole) < len(pairs):
        raise ApplicationError("the upload names no files", hint="Upload them again")
    return tuple((one[0], one[1]) for one in whole)


def _state(one: Ingestion, opened: str) -> str:
    """How far an upload is, or what it came to; its collection where another one is open."""
    where = "" if one.collection == opened else rendering.hint(f"In {one.collection}:")
    if one.report:
        return where + rendering.report(one.report)
    if one.error:
        return where + rendering.problem(one.error)
    return where + (rendering.progress(one.news) if one.news else rendering.hint("Reading…"))


def _outcome(start: FirstStart) -> str:
    if start.error:
        return rendering.problem(start.error)
    return rendering.report(start.report) if start.report else ""
