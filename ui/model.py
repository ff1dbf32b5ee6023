"""The dialog that connects a language model while the application runs."""

from typing import Any

import gradio as gr

from data.errors import RagAppError
from rag_app.probes.connecting import Found, ModelConnection, find_servers
from rag_app.web.access import Access
from ui import dialogs, rendering
from ui.choices import Choices
from ui.panels import AT_ONCE, Updates, number, require_right, shipped, text_of


class ModelPanel:
    """The components, and what they do; made inside the page's `gr.Blocks`.

    Args:
        model: the one that reads, and how another takes its place.
        access: who may change something.
    """

    def __init__(self, model: ModelConnection, access: Access) -> None:
        self._connection, self._access = model, access
        self._found = gr.State([])
        self.dialog = gr.HTML(
            dialogs.connect_model(address=model.current.api_base),
            js_on_load=shipped("dialog.js"),
            elem_id="connect-model-dialog",
        )

    def wire(
        self, blocks: gr.Blocks, header: gr.HTML, banner: gr.HTML, choices: Choices
    ) -> tuple[Any, Any]:
        """Connect the components; `header`, `banner` and `choices` show which model reads.

        Returns the events after which that may be another one.
        """
        self._header, self._banner, self._choices = header, banner, choices
        reading = [
            header,
            banner,
            choices.has_model,
            choices.reader,
            choices.rewrite,
            choices.rerank,
        ]
        outputs = [self.dialog, self._found, *reading]
        loaded = blocks.load(self._open, None, reading, **AT_ONCE)
        return loaded, self.dialog.submit(self._act, [self._found], outputs, **AT_ONCE)

    async def _open(self) -> Updates:
        """A page is opened: what it was made with may not hold any longer."""
        return self._reading() if self._connection.changed else {self._header: gr.skip()}

    async def _act(self, event: gr.EventData, found: list[Found], request: gr.Request) -> Updates:
        """A button of the dialog was pressed."""
        act, address, model = (text_of(event, name) for name in ("act", "address", "model"))
        key = text_of(event, "key")
        if act == "cancel":
            return {self.dialog: self._empty(), self._found: []}
        try:
            require_right(self._access, request, "administer")  # passages are led elsewhere
            if act == "find":
                found = await find_servers()
                shown = dialogs.connect_model(
                    address=address, model=model, found=found, is_open=True
                )
                return {self.dialog: shown, self._found: found}
            if act == "use":
                done = await self._connection.connect(address, key, model)
                return {self.dialog: dialogs.connect_model(done=done), **self._reading()}
            if act == "pick" and number(text_of(event, "pick")) < len(found):
                one = found[number(text_of(event, "pick"))]
                address, models = one.address, list(one.models)
            else:
                models = await self._connection.models(address, key)
        except RagAppError as error:
            shown = dialogs.connect_model(
                address=address[:500], model=model[:200], error=str(error), is_open=True
            )
            return {self.dialog: shown}
        shown = dialogs.connect_model(address=address, model=model, models=models, is_open=True)
        return {self.dialog: shown}

    def _empty(self) -> str:
        return dialogs.connect_model(address=self._connection.current.api_base)

    def _reading(self) -> dict[Any, Any]:
        model = self._connection.reads
        choices = self._choices
        return {
            self._header: rendering.header(model),
            self._banner: rendering.banner(self._connection.current.model),
            choices.has_model: True,
            choices.reader: gr.update(visible=True, value="llm"),
            choices.rewrite: gr.update(visible=True),
            choices.rerank: gr.update(visible=True),
        }
