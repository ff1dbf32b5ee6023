"""What the documents panel does at its edges; `test_browser.py` uses it as people do."""

from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr
import pytest
from starlette.requests import Request

from data.limits import MIB
from rag_app.application import Application
from rag_app.assembly.application import open_application
from rag_app.settings import Settings, load_settings
from rag_app.web.access import Access
from ui.evidence import EvidencePanel
from ui.first_start import SAMPLES, FirstStart
from ui.library import LibraryPanel
from ui.session import Session
from ui.uploads import Uploads


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(overrides={"storage": {"path": tmp_path / "storage"}})


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Application]:
    application, _ = open_application(settings)
    yield application
    await application.close()


@pytest.fixture
def access() -> Access:
    return Access()


@pytest.fixture
def request_(access: Access) -> gr.Request:
    cookie = f"{access.cookie}={access.new_visitor()}".encode()
    return gr.Request(Request({"type": "http", "headers": [(b"cookie", cookie)]}))


@pytest.fixture
async def panel(
    service: Application, settings: Settings, access: Access, tmp_path: Path
) -> LibraryPanel:
    uploads = Uploads(tmp_path / "uploads", MIB)
    with gr.Blocks() as blocks:
        panel = LibraryPanel(service, settings, FirstStart(service, False), uploads, access)
        panel.wire(blocks, gr.State(Session()), gr.HTML(), EvidencePanel(service))
    return panel


async def test_what_is_deleted_is_what_the_list_has_shown(
    panel: LibraryPanel, service: Application, request_: gr.Request, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("The ferry leaves at seven.")
    for name in ("a", "b"):
        await service.ingest(name, [tmp_path / "notes.md"])
    opening = Session(collection="b")  # a conversation in b is opened, and a is still listed
    click = {"act": "delete", "collection": "a", "source": "notes.md"}
    await panel._act(gr.EventData(None, click), opening, request_)
    assert await service.documents("a") == []
    assert [one.source for one in await service.documents("b")] == ["notes.md"]


async def test_files_that_are_put_among_the_samples_go_there(
    panel: LibraryPanel, request_: gr.Request
) -> None:
    # they were sent to the samples, and another collection was opened before the answer
    session = Session(collection="mine", waiting=(("0" * 32, "x.md"),))
    await panel._create(gr.EventData(None, {"act": "samples"}), session, request_)
    assert session.collection == SAMPLES
