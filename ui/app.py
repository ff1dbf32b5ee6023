"""The page: its panels put together, and mounted.

Each panel is a file of components and handlers; what is shown is made in `ui.rendering`, what one
tab has asked lives in its own `ui.session.Session`, and nothing of a person's is kept on shared
objects.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.routing import Mount

from data.telemetry import silence
from rag_app.accounts.rights import CURRENT, NOBODY
from rag_app.probes.connecting import ModelConnection
from rag_app.service import Service
from rag_app.settings import Settings
from rag_app.web.access import Access
from ui import rendering
from ui.evaluation_runs import EvaluationRuns
from ui.first_start import FirstStart
from ui.page_guard import PageGuard, note_misfit
from ui.session import Session
from ui.uploads import Uploads

silence()
import gradio as gr  # noqa: E402 - telemetry has to be off before this import

# these import gradio
from ui.account import AccountPanel  # noqa: E402
from ui.adaptation import AdaptationPanel  # noqa: E402
from ui.chats import ChatsPanel  # noqa: E402
from ui.compare import ComparePage  # noqa: E402
from ui.conversation import ConversationPanel  # noqa: E402
from ui.evaluation import EvaluationPage  # noqa: E402
from ui.evidence import EvidencePanel  # noqa: E402
from ui.library import LibraryPanel  # noqa: E402
from ui.model import ModelPanel  # noqa: E402
from ui.panels import shipped  # noqa: E402

if TYPE_CHECKING:
    from gradio.block_function import BlockFunction


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
        css=shipped("theme.css") + shipped("compare.css"),
    )

    # Gradio looks for events 1,000 times a second and for progress 100 times: 5 % of a core idle
    blocks._queue.sleep_when_free = _IDLE_PAUSE
    blocks._queue.progress_update_sleep_when_free = 1  # no event here reports progress that way
    blocks.has_launched = (
        True  # Gradio checks the paths of files only where `launch` has been called
    )
    pages = next(one for one in app.routes if isinstance(one, Mount) and one.path == "")
    # those without a function run in the browser alone
    inputs = {index: len(one.inputs) for index, one in blocks.fns.items() if one.fn}
    pages.app = PageGuard(pages.app, inputs, access.visitor)


_IDLE_PAUSE: Final = 0.05  # seconds
_MISFIT: Final = "A value of the page does not fit its field. Load the page again"
_LOGGER: Final = logging.getLogger(__name__)


class _Blocks(gr.Blocks):
    """Blocks that know who sends an event, and tell values that do not fit from its faults."""

    access: Access

    async def process_api(self, *arguments: Any, **keywords: Any) -> Any:
        # events of the queue are worked at by tasks of Gradio's own, one for each event
        request = keywords.get("request")
        CURRENT.set(self.access.person(request.request) if request else NOBODY)
        return await super().process_api(*arguments, **keywords)

    async def preprocess_data(
        self, block_fn: "BlockFunction", *arguments: Any, **keywords: Any
    ) -> Sequence[Any]:
        try:
            values: Sequence[Any] = await super().preprocess_data(block_fn, *arguments, **keywords)
            _require_counts(block_fn.inputs, values)
        except Exception as error:  # whatever a component makes of what a client sent
            note_misfit(error)
            _LOGGER.warning("an event has a value of no sense: %s", type(error).__name__)
            raise gr.Error(_MISFIT, print_exception=False) from error
        return values


def _require_counts(parts: Sequence[Any], values: Sequence[Any]) -> None:
    """Raise ValueError for several choices where one may be made, or the other way round.

    Gradio checks each choice, and neither how many there are nor whether they are in a list.
    """
    for part, value in zip(parts, values, strict=False):
        several = isinstance(value, list)
        if (
            isinstance(part, gr.Dropdown)
            and value is not None
            and several != bool(part.multiselect)
        ):
            raise ValueError(f"{part.elem_id}: {type(value).__name__}")


class Page:
    """The components, and what they do; holds nothing that belongs to a visitor.

    Args:
        service: answers.
        settings: what a person can choose begins with these.
        start: watched until the samples, if any, are in.
        runs: the evaluations.
        uploads: the files that browsers have sent.
        access: who may change something.
        connection: the language model that reads.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        start: FirstStart,
        runs: EvaluationRuns,
        uploads: Uploads,
        access: Access,
        connection: ModelConnection,
    ) -> None:
        with _Blocks(
            title="rag-app", analytics_enabled=False, fill_width=True, fill_height=True
        ) as self.blocks:
            self.blocks.access = access
            session = gr.State(Session())
            header = gr.HTML(_header(settings), js_on_load=shipped("header.js"), elem_id="top")
            with gr.Row(elem_id="page", equal_height=False):
                # the keyboard reaches the chat before the buttons of sixteen documents
                with gr.Column(elem_id="chat", min_width=0):
                    conversation = ConversationPanel(service, settings, connection)
                with gr.Column(elem_id="library", min_width=0):
                    account = AccountPanel(access)
                    chats = ChatsPanel(service, access)
                    library = LibraryPanel(service, settings, start, uploads, access)
                    adaptation = AdaptationPanel(runs, access)
                with gr.Column(elem_id="evidence", min_width=0):
                    evidence = EvidencePanel(service)
            model = ModelPanel(connection, access)
            compare = ComparePage(service, connection, access)
            evaluation = EvaluationPage(runs, service, connection, access)
            loaded = library.wire(self.blocks, session, conversation.turns, evidence)
            conversation.wire(session, library.choices.inputs, evidence, chats)
            chats.wire(session, conversation.outputs, conversation.show, conversation.show_none)
            library.refresh_after(session, *chats.opening(session, loaded))
            evidence.wire(session, (conversation.turns, conversation.live))
            connected = model.wire(self.blocks, header, conversation.banner, library.choices)
            conversation.presets.wire(library.choices, connected)
            conversation.model.refresh_after(session, *connected)
            compare.wire(header, session)
            evaluation.wire(header, session)
            adaptation.wire(library.picker)
            account.wire(self.blocks)


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
