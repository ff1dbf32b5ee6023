"""The panel that adapts an encoder to the collection that is shown, and tells how it went.

The work is the command `rag-app adapt` in a process of its own (`ui.evaluation_runs`), so it goes
on while no page looks; the evaluation page lists it, too.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import gradio as gr

from data.errors import RagAppError
from rag_app.errors import ApplicationError
from rag_app.web.access import Access
from ui import evaluation_rendering as page
from ui.evaluation_runs import EvaluationRun, EvaluationRuns, Option
from ui.panels import AT_ONCE, Updates, require_right, shipped, text_of
from ui.rendering import hint, problem

_PAUSE: Final = 1.0
"""Seconds between looks at a run that goes on."""
_NAMED: Final = "(name) => name || ''"
_NEEDED: Final = ("torch", "sentence_transformers", "peft")
_BATCH: Final = 16
"""Examples of a step; a small collection gives few."""
_ABOUT: Final = (
    "Trains the encoder on what these documents say, measures it on documents held out, and uses "
    "it where it is better beyond chance. It takes minutes to an hour of this computer."
)
_LACKING: Final = (
    "This needs the extra <code>train</code>, which is not installed: "
    "<code>pip install 'rag-app[train]'</code>"
)


class AdaptationPanel:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        runs: does the work.
        access: who may begin and end it.
    """

    def __init__(self, runs: EvaluationRuns, access: Access) -> None:
        self._runs, self._access = runs, access
        self._able = all(map(find_spec, _NEEDED))
        self.watch = gr.Timer(_PAUSE, active=False)
        self.collection = gr.Textbox(visible=False)
        with gr.Column(elem_id="adaptation", min_width=0):
            self.go = gr.Button(
                "Adapt to these documents", size="sm", interactive=self._able, elem_id="adapt"
            )
            gr.HTML(hint(_ABOUT) if self._able else f'<p class="hint">{_LACKING}</p>')
            self.state = gr.HTML(js_on_load=shipped("acts.js"), elem_id="adapted")
            self.status = gr.HTML(elem_id="adaptation-status")

    def wire(self, picker: gr.Dropdown) -> None:
        """Connect the components; `picker` shows the collection, once the page has been loaded.

        Its value is taken over in the browser: the server refuses one that is not yet a choice.
        """
        shown = [self.state, self.watch, self.status, self.go]
        changed = picker.change(None, picker, self.collection, js=_NAMED)
        changed.then(self._look, self.collection, shown, **AT_ONCE)
        self.watch.tick(self._tick, self.collection, shown, **AT_ONCE)
        self.go.click(self._start, self.collection, shown, **AT_ONCE)
        self.state.select(self._act, self.collection, shown, **AT_ONCE)

    async def _look(self, collection: str | None) -> Updates:
        return await self._shown(collection or "")

    async def _tick(self, collection: str | None) -> Updates:
        return await self._shown(collection or "", None)

    async def _start(self, collection: str | None, request: gr.Request) -> Updates:
        try:
            # the command works as the owner of the storage, whose every collection it reaches
            require_right(self._access, request, "administer")
            if not self._able:
                raise ApplicationError("the extra `train` is not installed")
            if not collection:
                raise ApplicationError("there are no documents", hint="Add some first")
            options: dict[str, Option] = {
                "name": _name(collection),
                "batch_size": _BATCH,
                "switch": True,
            }
            await asyncio.to_thread(self._runs.start, "adapt", collection, options)
        except RagAppError as error:
            return await self._shown(collection or "", problem(error))
        return await self._shown(collection)

    async def _act(
        self, collection: str | None, event: gr.EventData, request: gr.Request
    ) -> Updates:
        """A click on a button of the run: it is ended, taken up again, or deleted."""
        name = text_of(event, "run")
        work = {
            "stop": self._runs.stop, "resume": self._runs.resume, "remove": self._runs.remove,
        }.get(text_of(event, "act"))  # fmt: skip
        try:
            if work:
                require_right(self._access, request)
                await asyncio.to_thread(work, name)
        except RagAppError as error:
            return await self._shown(collection or "", problem(error))
        return await self._shown(collection or "")

    async def _shown(self, collection: str, status: str | None = "") -> Updates:
        """The collection's last adaptation; a status of None stays as it is."""
        runs = await asyncio.to_thread(self._runs.overview)
        ours = [run for run in runs if (run.kind, run.dataset) == ("adapt", collection)]
        running = any(run.state == "running" for run in ours)
        return {
            self.state: render(ours),
            self.watch: gr.update(active=running),
            self.status: gr.skip() if status is None else status,
            self.go: gr.update(interactive=self._able and not running),
        }


def render(runs: Sequence[EvaluationRun]) -> str:
    """The newest of a collection's adaptations; empty where there is none."""
    if not runs:
        return ""
    newest = runs[0]
    if newest.state == "running":
        return page.under_way([newest])
    link = page.report_link(newest.name, "Read the report") if newest.has_report else ""
    return page.finished([newest], reports=False) + link


def _name(collection: str) -> str:
    """A new encoder's name: small letters, digits and dashes, and when it was begun."""
    words = "-".join(re.findall(r"[a-z0-9]+", collection.lower()))[:40] or "documents"
    return f"{words}-{time.strftime('%Y%m%d-%H%M%S')}"
