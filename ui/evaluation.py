"""The evaluation page: start a run, watch it, and read its report.

A run is a child process (`ui.evaluation_runs`); nothing is measured in here.
"""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gradio as gr

from data.errors import RagAppError
from rag_app.errors import ApplicationError
from rag_app.service import Service
from rag_app.settings import Settings
from ui import evaluation_rendering as page
from ui.evaluation_runs import EvaluationRuns, Kind, Option
from ui.panels import said
from ui.rendering import hint, problem
from ui.session import Session

Updates = dict[Any, Any]
_AT_ONCE: Final[dict[str, Any]] = {
    "show_progress": "hidden", "api_visibility": "private", "queue": False,
}  # fmt: skip
_PAUSE: Final = 1.0
"""Seconds between looks at a run that goes on; it writes as often."""
_OWN, _FOLDER, _CHOICE = "own", "folder", "choice"
_SUBJECTS: Final = [
    ("Search in my documents", _OWN),
    ("Search in a public collection", _FOLDER),
    ("Multiple-choice answers", _CHOICE),
]
_RETRIEVERS: Final = ["bm25", "dense", "hybrid"]
_ARMS: Final = [
    ("without passages", "closed_book"),
    ("with found passages", "rag"),
    ("with random passages", "random"),
]
_LIMIT: Final = 100
_ABOUT: Final = {
    _OWN: "Makes questions from your documents and sees which retriever finds the passage again.",
    _FOLDER: "Searches a benchmark's documents with its questions and judgements.",
    _CHOICE: "Answers questions with known answers, with and without passages.",
}
_ITS_OWN: Final = "the data set's own documents"
_KNOWN: Final = frozenset({"mmlu", "mmlu_pro", "gpqa_diamond", "gpqa_main", "openstax"})
_WORD: Final = re.compile(r"[a-z0-9_]+")
_NOTHING: Final = "Open a run's report to read it here."


class EvaluationPage:
    """The components, and what they do; made inside the page's `gr.Blocks`."""

    def __init__(
        self,
        runs: EvaluationRuns,
        service: Service,
        settings: Settings,
        scripts: dict[str, str],
        require_right: Callable[[gr.Request], None],
    ) -> None:
        self._runs, self._service, self._settings = runs, service, settings
        self._require_right = require_right
        self.watch = gr.Timer(_PAUSE, active=False)
        with gr.Row(elem_id="evaluation", equal_height=False):
            with gr.Column(elem_id="runs", min_width=0):
                self._form()
                self.now = gr.HTML(js_on_load=scripts["acts.js"], elem_id="now")
                self.past = gr.HTML(js_on_load=scripts["acts.js"], elem_id="past")
            with gr.Column(elem_id="report", min_width=0):
                self.report = gr.HTML(hint(_NOTHING), js_on_load=scripts["report.js"])

    def _form(self) -> None:
        with gr.Column(elem_id="measure", min_width=0):
            self.subject = gr.Dropdown(
                _SUBJECTS, value=_OWN, label="Measure", info=_ABOUT[_OWN], filterable=False,
                elem_id="subject",
            )  # fmt: skip
            self.collection = gr.Dropdown(
                [], label="Collection", filterable=False, elem_id="measured"
            )
            self.dataset = gr.Textbox(visible=False, max_lines=1, elem_id="dataset")
            self.retrievers = gr.CheckboxGroup(
                _RETRIEVERS, value=_RETRIEVERS, label="Retrievers", elem_id="retrievers"
            )
            self.arms = gr.CheckboxGroup(
                _ARMS, value=[name for _, name in _ARMS], label="Answers", visible=False,
                elem_id="arms",
            )  # fmt: skip
            self.limit = gr.Number(
                _LIMIT, label="Questions at most", minimum=1, precision=0, elem_id="limit"
            )
            self.go = gr.Button("Start", variant="primary", size="sm", elem_id="start")
            self.status = gr.HTML(elem_id="evaluation-status")

    def wire(self, header: gr.HTML, session: gr.State) -> None:
        """Connect the components; `header` says when the page is looked at."""
        listed = [self.now, self.past, self.watch, self.status]
        header.select(self._open, [self.subject, session], [*listed, self.collection], **_AT_ONCE)
        self.watch.tick(self._look, None, listed, **_AT_ONCE)
        fields = [self.collection, self.dataset, self.retrievers, self.arms]
        self.subject.input(
            self._choose, [self.subject, session], [self.subject, *fields], **_AT_ONCE
        )
        self.go.click(self._start, [self.subject, *fields, self.limit], listed, **_AT_ONCE)
        self.now.select(self._act, None, [*listed, self.report], **_AT_ONCE)
        self.past.select(self._act, None, [*listed, self.report], **_AT_ONCE)

    # --- what the components do --------------------------------------------------------------

    async def _open(self, event: gr.EventData, subject: str, session: Session) -> Updates:
        if said(event, "view") != "evaluation":
            return {self.status: gr.skip()}
        chosen = await self._collections(subject, session.collection)
        return {self.collection: chosen, **await self._shown("")}

    async def _collections(self, subject: str, shown: str) -> Any:
        """The choice of a collection, as far as one belongs to what is measured.

        The one that the chat shows comes first.
        """
        names = [found.name for found in await self._service.collections() if found.passages]
        if subject == _CHOICE:
            choices = [(_ITS_OWN, ""), *((name, name) for name in names)]
            return gr.update(label="Passages from", choices=choices, value="", visible=True)
        likely = (shown, self._settings.collection, *names)
        first = next((name for name in likely if name in names), None)
        own = subject == _OWN
        return gr.update(label="Collection", choices=names, value=first, visible=own)

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
            self.status: gr.skip() if status is None else status,
        }

    async def _choose(self, subject: str, session: Session) -> Updates:
        """Show the fields that belong to what is measured."""
        searches, named = subject != _CHOICE, subject != _OWN
        if subject == _CHOICE:
            dataset = {
                "label": "Questions",
                "info": "mmlu, gpqa_diamond or a JSONL file of the data folder",
                "value": "mmlu",
            }
        else:
            dataset = {
                "label": "Data set",
                "info": "a BEIR folder of the data folder, or bright:biology",
                "value": "",
            }
        return {
            self.subject: gr.update(info=_ABOUT.get(str(subject), "")),
            self.collection: await self._collections(subject, session.collection),
            self.dataset: gr.update(visible=named, **dataset),
            self.retrievers: gr.update(visible=searches),
            self.arms: gr.update(visible=not searches),
        }

    async def _start(
        self,
        subject: str,
        collection: str | None,
        dataset: str | None,
        retrievers: list[str],
        arms: list[str],
        limit: float | None,
        request: gr.Request,
    ) -> Updates:
        most = int(limit) if limit else None
        options: dict[str, Option] = {"limit": most}
        if subject == _CHOICE:
            options |= {"arms": arms, "collection": collection}
        else:
            options |= {"retrievers": retrievers}
        if subject == _OWN:
            options |= {"collection": collection, "questions": most}
        elif folder := self._settings.server.data_dir:
            options |= {"data_dir": str(folder.absolute())}
        kind: Kind = "choice" if subject == _CHOICE else "retrieval"
        try:
            self._require_right(request)
            named = _named(subject, (dataset or "").strip(), self._settings.server.data_dir)
            if not (arms if subject == _CHOICE else retrievers):
                raise ApplicationError("nothing is chosen to compare")
            if subject == _OWN and not collection:
                raise ApplicationError("there are no documents", hint="Add some in the chat")
            await asyncio.to_thread(self._runs.start, kind, named, options)
        except RagAppError as error:
            return await self._shown(problem(error))
        return await self._shown("")

    async def _act(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A click on a run's button."""
        data = event._data if isinstance(event._data, dict) else {}
        act, name = str(data.get("act", "")), str(data.get("run", ""))
        if act == "report":
            found = await asyncio.to_thread(self._runs.report, name)
            shown = page.frame(name) if found else problem("This run has no report.")
            return {self.report: shown}
        work = {
            "stop": self._runs.stop, "resume": self._runs.resume, "remove": self._runs.remove,
        }.get(act)  # fmt: skip
        try:
            if work:
                self._require_right(request)
                await asyncio.to_thread(work, name)
        except RagAppError as error:
            return await self._shown(problem(error))
        return await self._shown("")


def _named(subject: str, dataset: str, folder: Path | None) -> str:
    """A data set by its full name, as the command line takes it.

    A file or a folder is looked for below the configured folder, and nowhere else: whoever may use
    the page may not read the machine.

    Raises:
        ApplicationError: it is none of the known data sets, and there is nothing of its name.
    """
    if subject == _OWN:
        return _OWN
    kind, _, rest = dataset.rpartition(":")
    if dataset in _KNOWN or (kind == "bright" and _WORD.fullmatch(rest)):
        return dataset
    path = _below(folder, rest)
    kind = "jsonl" if subject == _CHOICE else "beir"
    return f"{kind}:{path}"


def _below(folder: Path | None, name: str) -> Path:
    if folder is None:
        raise ApplicationError(
            f"there is no data set {name!r}",
            cause="server.data_dir, the folder that data sets are looked for in, is not set",
            hint="Set RAG_APP_SERVER__DATA_DIR, or use `rag-app eval`",
        )
    try:
        path = (folder / name).resolve()
        if name and path.is_relative_to(folder.resolve()) and path.exists():
            return path
    except (OSError, ValueError):  # no name that a file can have
        pass
    raise ApplicationError(f"there is no data set {name!r} in the folder of data sets")
