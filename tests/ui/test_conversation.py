"""What the chat panel does at its edges; `test_browser.py` uses it as people do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from rag_app.application import Application
from rag_app.assembly.application import open_application
from rag_app.probes.connecting import ModelConnection
from rag_app.settings import Settings, load_settings
from rag_app.web.access import Access
from ui.chats import ChatsPanel
from ui.conversation import ConversationPanel
from ui.evidence import EvidencePanel
from ui.session import Session

CHOICES = ("hybrid", 5, "rrf", 0.5, "quote", "none", "none")
NOBODY = gr.Request(Request({"type": "http", "headers": [], "query_string": b""}))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(overrides={"storage": {"path": tmp_path / "storage"}})


@pytest.fixture
async def service(tmp_path: Path, settings: Settings) -> AsyncIterator[Application]:
    application, _ = open_application(settings)
    for name, text in (("a", "The ferry leaves at seven."), ("b", "The ferry leaves at nine.")):
        (tmp_path / f"{name}.md").write_text(text)
        await application.ingest(name, [tmp_path / f"{name}.md"])
    yield application
    await application.close()


@pytest.fixture
async def panel(service: Application, settings: Settings) -> ConversationPanel:
    with gr.Blocks():
        session, evidence = gr.State(Session()), EvidencePanel(service)
        connection = ModelConnection(settings, service.use)
        conversation = ConversationPanel(service, settings, connection)
        chats = ChatsPanel(service, Access())
        conversation.wire(session, [], evidence, chats)
    return conversation


async def done(updates: AsyncIterator[Any]) -> None:
    async for _ in updates:
        pass


async def test_a_question_is_asked_again_where_it_was_whatever_collection_is_open_now(
    panel: ConversationPanel,
) -> None:
    session = Session(collection="a")
    await done(panel._ask("When?", session, NOBODY, *CHOICES))
    session.collection = "b"  # chosen in the library, which goes on showing it
    session.only = "b", ("b.md",)
    again = gr.EventData(None, {"act": "again", "turn": "1", "text": "When does it leave?"})
    await done(panel._offer(again, session, NOBODY, *CHOICES))
    [turn] = session.turns
    assert (turn.collection, {hit.source for hit in turn.hits}) == ("a", {"a.md"})
    assert session.collection == "b"  # uploads and deletions are meant for what is shown


async def test_a_question_that_was_sent_twice_is_asked_once(panel: ConversationPanel) -> None:
    session = Session(collection="a")
    first, second = (panel._ask("When?", session, NOBODY, *CHOICES) for _ in range(2))
    for one in (first, second, first):  # both are on their way, then the first is begun
        await anext(one)
    await done(second)
    await done(first)
    assert len(session.turns) == 1
