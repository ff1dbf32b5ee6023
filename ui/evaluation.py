"""The evaluation page: start a run, watch it, and read its report.

A run is a child process (`ui.evaluation_runs`); nothing is measured in here.
"""

import asyncio
from typing import Any, Final

import gradio as gr

from data.errors import RagAppError
from rag_app.probes.connecting import ModelConnection
from rag_app.service import Service
from rag_app.web.access import Access
from ui import evaluation_rendering as page
from ui.evaluation_form import COLLECTION, SUBJECTS, EvaluationForm, launch
from ui.evaluation_runs import EvaluationRuns
from ui.panels import AT_ONCE, Updates, require_right, shipped, text_of
from ui.parts import Parts, parts_anywhere, parts_of
from ui.parts_rendering import check_boxes
from ui.rendering import hint, problem
from ui.session import Session

_PAUSE: Final = 1.0
"""Seconds between looks at a run that goes on; it writes as often."""
_NOTHING: Final = "Open a run's report to read it here."


class EvaluationPage:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        runs: those there are.
        service: has the collections.
        connection: knows the settings in force.
        access: who may change something.
    """

    def __init__(
        self,
        runs: EvaluationRuns,
        service: Service,
        connection: ModelConnection,
        access: Access,
    ) -> None:
        self._runs, self._service, self._connection = runs, service, connection
        self._access = access
        self.watch = gr.Timer(_PAUSE, active=False)
        self._seen = gr.State(())
        acts = shipped("acts.js")
        with gr.Row(elem_id="evaluation", equal_height=False):
            with gr.Column(elem_id="runs", min_width=0):
                self.form = EvaluationForm(shipped("parts.js"))
                self.now = gr.HTML(js_on_load=acts, elem_id="now")
                self.past = gr.HTML(js_on_load=acts, elem_id="past")
            with gr.Column(elem_id="report", min_width=0):
                self.report = gr.HTML(hint(_NOTHING), js_on_load=shipped("report.js"))

    def wire(self, header: gr.HTML, session: gr.State) -> None:
        """Connect the components; `header` says when the page is looked at."""
        form = self.form
        listed = [self.now, self.past, self.watch, form.status]
        fitted = [form.subject, session]
        opened = [*listed, *form.changing, self._seen]
        header.select(self._open, [*fitted, self._seen], opened, **AT_ONCE)
        form.subject.input(self._choose, fitted, [form.status, *form.changing], **AT_ONCE)
        parts = [form.parts, form.checked, form.status]
        form.collection.input(self._other_parts, [form.subject, form.collection], parts, **AT_ONCE)
        form.parts.input(self._check, None, [form.checked], **AT_ONCE)
        self.watch.tick(self._look, None, listed, **AT_ONCE)
        form.go.click(self._start, form.inputs, listed, **AT_ONCE)
        self.now.select(self._act, None, [*listed, self.report], **AT_ONCE)
        self.past.select(self._act, None, [*listed, self.report], **AT_ONCE)

    # --- what the components do --------------------------------------------------------------

    async def _open(
        self, event: gr.EventData, subject: str, session: Session, seen: tuple[Any, ...]
    ) -> Updates:
        """The page is looked at: show the runs, and a form for what has changed meanwhile."""
        if text_of(event, "view") != "evaluation":
            return {self.form.status: gr.skip()}
        model = self._connection.settings.llm.model
        now = (self._service.changes, model, session.collection)
        if seen == now:
            return await self._shown()
        return {self._seen: now, **await self._choose(subject, session), **await self._shown()}

    async def _choose(self, subject: str, session: Session) -> Updates:
        """Show the fields that belong to what is measured; the chat's collection comes first."""
        subject = subject if subject in SUBJECTS else COLLECTION
        try:
            there = [found.name for found in await self._service.collections() if found.passages]
            likely = (session.collection, self._connection.settings.collection, *there)
            names = [name for name in dict.fromkeys(likely) if name in there]
            parts = await self._parts(subject, next(iter(names), ""))
        except RagAppError as error:
            return {self.form.status: problem(error)}
        runs = await asyncio.to_thread(self._runs.overview)
        finished = [run.name for run in runs if run.state == "done" and run.measure]
        return {**self.form.fit(subject, names, parts, finished), self.form.status: ""}

    async def _parts(self, subject: str, collection: str | None) -> Parts:
        """What systems can be put together from: the indexes of a collection, or any encoders."""
        settings = self._connection.settings
        if subject != COLLECTION or not collection:
            return await asyncio.to_thread(parts_anywhere, settings)
        return parts_of(settings, await self._service.indexes(collection))

    async def _other_parts(self, subject: str, collection: str | None) -> Updates:
        """Another collection was chosen, which has other indexes."""
        try:
            parts = await self._parts(subject, collection)
        except RagAppError as error:
            return {self.form.status: problem(error)}
        return {self.form.parts: check_boxes(parts), self.form.checked: {}}

    async def _check(self, event: gr.EventData) -> Updates:
        data = event._data if isinstance(event._data, dict) else {}
        return {self.form.checked: data.get("checked") or {}}

    async def _look(self) -> Updates:
        """While a run goes on, it alone is shown anew, so that buttons stay under the pointer."""
        runs = await asyncio.to_thread(self._runs.overview)
        if any(run.state == "running" for run in runs):
            return {self.now: page.under_way(runs)}
        return await self._shown()

    async def _shown(self, status: str | None = None) -> Updates:
        runs = await asyncio.to_thread(self._runs.overview)
        goes_on = any(run.state == "running" for run in runs)
        return {
            self.now: page.under_way(runs),
            self.past: page.finished(runs),
            self.watch: gr.update(active=goes_on),
            self.form.status: gr.skip() if status is None else status,
        }

    async def _start(self, request: gr.Request, *values: Any) -> Updates:
        try:
            require_right(self._access, request)
            parts = await self._parts(values[0], values[1])
            asked = launch(self._connection.settings, parts, values)
            await self._require_collection(str(asked.options.get("collection") or ""))
            await asyncio.to_thread(self._runs.start, asked.kind, asked.dataset, asked.options)
        except RagAppError as error:
            return await self._shown(problem(error))
        return await self._shown("")

    async def _require_collection(self, name: str) -> None:
        """Raise UnknownCollection for what the person may not see: runs are the storage owner's."""
        if name:
            await self._service.documents(name)

    async def _act(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A click on a run's button."""
        act, name = text_of(event, "act"), text_of(event, "run")
        if act == "report":
            found = await asyncio.to_thread(self._runs.report, name)
            shown = page.frame(name) if found else problem("This run has no report.")
            return {self.report: shown}
        work = {
            "stop": self._runs.stop, "resume": self._runs.resume, "remove": self._runs.remove,
        }.get(act)  # fmt: skip
        try:
            if work:
                require_right(self._access, request)
                if act == "resume":
                    await self._require_collection(
                        await asyncio.to_thread(self._runs.collection, name)
                    )
                await asyncio.to_thread(work, name)
        except RagAppError as error:
            return await self._shown(problem(error))
        return await self._shown("")
