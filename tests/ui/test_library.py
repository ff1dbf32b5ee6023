"""What the documents panel does at its edges; `test_browser.py` uses it as people do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

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


async def test_a_page_follows_the_collection_that_another_has_renamed(
    panel: LibraryPanel, service: Application
) -> None:
    for name in ("a", "hidden"):
        await service.create_collection(name)
    session = Session(collection="a")
    for name, to in (("a", "b"), ("b", "a"), ("a", "c"), ("c", "d")):
        await service.rename_collection(name, to)
    await panel._refresh(session)
    assert session.collection == "d"
    service.renamed["d"] = "seen by others alone"
    await service.drop_collection("d")
    await panel._refresh(session)
    assert session.collection == "d", "a name that this person may not see is not shown"


async def test_what_is_deleted_is_what_the_list_has_shown(
    panel: LibraryPanel, service: Application, request_: gr.Request, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("The ferry leaves at seven.")
    for name in ("a", "b"):
        await service.ingest(name, [tmp_path / "notes.md"])
    opening = Session(collection="b")  # a conversation in b is opened, and a is still listed
    click = {"act": "delete", "collection": "a", "source": "notes.md"}
    await panel._act(gr.EventData(None, click), opening, False, request_)
    assert await service.documents("a") == []
    assert [one.source for one in await service.documents("b")] == ["notes.md"]


def uploaded(uploads: Path, request: gr.Request, access: Access, *names: str) -> list[list[str]]:
    """Files as a browser has sent them, and what its event says of them."""
    assert request.request is not None
    folder = uploads / f"visitor-{access.visitor(request.request)}"
    folder.mkdir(exist_ok=True)
    sent = [
        [f"{number:032x}", name] for number, name in enumerate(names, len(list(folder.iterdir())))
    ]
    for one, name in sent:
        (folder / one).write_text(f"This is {name}.")
    return sent


async def settled(panel: LibraryPanel, session: Session, request: gr.Request) -> Any:
    """What a tab shows once its uploads are ingested."""
    while any(one.running for one in panel._unseen(session, request)):  # noqa: ASYNC110 - as a page
        await asyncio.sleep(0.01)
    return await panel._watch(session, request)


async def test_a_second_upload_waits_with_the_first_for_a_collection(
    panel: LibraryPanel, service: Application, request_: gr.Request, access: Access, tmp_path: Path
) -> None:
    session = Session(collection=SAMPLES)
    for name in ("a.md", "b.md"):
        sent = uploaded(tmp_path / "uploads", request_, access, name)
        asked = await panel._add(None, sent, session, request_)
    assert "2 files of yours" in asked[panel.dialog]
    await panel._create(gr.EventData(None, {"act": "create", "name": "mine"}), session, request_)
    shown = await settled(panel, session, request_)
    assert "2 added" in shown[panel.status]
    assert [one.source for one in await service.documents("mine")] == ["a.md", "b.md"]
    assert session.waiting == ()


async def test_both_tabs_of_a_browser_follow_an_upload_and_hear_of_its_end(
    panel: LibraryPanel, request_: gr.Request, access: Access, tmp_path: Path
) -> None:
    await panel._start.run()
    sender, other = Session(collection="c"), Session(collection="d")
    sent = uploaded(tmp_path / "uploads", request_, access, "a.md")
    await panel._add(None, sent, sender, request_)
    assert (await panel._look(other, request_))[panel.watch]["active"]
    shown = [await settled(panel, tab, request_) for tab in (sender, other)]
    assert all("1 added" in one[panel.status] for one in shown)
    assert "In c:" not in shown[0][panel.status]
    assert "In c:" in shown[1][panel.status]
    for tab in (sender, other):
        assert panel.watch not in await panel._look(tab, request_)
    later = Session()
    opened = await panel._open("c", later, request_)
    assert not opened[panel.watch]["active"]
    assert panel._unseen(later, request_) == []


async def test_checked_documents_stay_so_until_they_are_gone_or_another_collection_is_opened(
    panel: LibraryPanel, service: Application, request_: gr.Request, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.md").write_text(f"This is {name}.")
    await service.ingest("c", [tmp_path / "a.md", tmp_path / "b.md"])
    session = Session(collection="c")
    await panel._look(session, request_)
    checked = {"collection": "c", "sources": ["a.md", "b.md"]}
    await panel._limit(gr.EventData(None, checked), session)
    await service.delete_document("c", "b.md")  # in another window
    await panel._look(session, request_)
    assert session.only == ("c", ("a.md",))
    await panel._pick("d", session)
    await panel._pick("c", session)
    assert session.only == ("c", ())


async def test_files_that_are_put_among_the_samples_go_there(
    panel: LibraryPanel, request_: gr.Request
) -> None:
    # they were sent to the samples, and another collection was opened before the answer
    session = Session(collection="mine", waiting=(("0" * 32, "x.md"),))
    await panel._create(gr.EventData(None, {"act": "samples"}), session, request_)
    assert session.collection == SAMPLES
