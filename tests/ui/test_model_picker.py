"""Which model a conversation is answered by, and what is said where that is gone."""

from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr
import pytest

from rag_app.accounts.chats.conversation import Turn
from rag_app.application import Application
from rag_app.assembly.application import open_application
from rag_app.probes.connecting import ModelConnection
from rag_app.service import QueryOptions
from rag_app.settings import Settings, load_settings
from rag_app.web.access import Access
from tests.openai_server import OpenAIServer, Reply
from tests.ui.test_conversation import NOBODY
from ui.chats import ChatsPanel
from ui.model_picker import ModelPicker
from ui.session import Session, Thread

OWNER = "a" * 32


class Mine(ChatsPanel):
    """The conversations of one person, whose browser is known."""

    def owner(self, request: gr.Request) -> str:
        return OWNER


@pytest.fixture
def settings(tmp_path: Path, openai_server: OpenAIServer) -> Settings:
    openai_server.others = ["bigger-model"]
    model = {
        "api_base": openai_server.url, "model": openai_server.model, "parameters": 3.0,
        "price_input": 1.0, "price_output": 2.0,
    }  # fmt: skip
    return load_settings(
        overrides={"storage": {"path": tmp_path}, "llm": model, "reader": {"kind": "llm"}}
    )


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Application]:
    application, _ = open_application(settings)
    yield application
    await application.close()


def picker_of(service: Application, settings: Settings) -> ModelPicker:
    with gr.Blocks():
        picker = ModelPicker(service, ModelConnection(settings, service.use))
        picker.wire(gr.State(Session()), Mine(service, Access()))
    return picker


async def test_a_choice_is_kept_with_its_conversation_and_with_no_other(
    service: Application, settings: Settings
) -> None:
    picker = picker_of(service, settings)
    await picker.refresh()
    session = Session()
    listed, note = picker.show(session.thread).values()
    assert (listed["choices"], listed["value"]) == (["tiny-model", "bigger-model"], "tiny-model")
    assert listed["visible"]
    assert note == ""
    session.thread.id = await service.chats.begin(OWNER, "", Turn(1, "When?", "a"))
    await picker._choose("bigger-model", session, NOBODY)
    await picker._choose("made up", session, NOBODY)
    kept = await service.chats.conversation(OWNER, session.thread.id)
    assert kept.model == "bigger-model"
    again = Thread.of(kept)
    assert picker.chosen(again) == "bigger-model"
    assert picker.show(again)[picker.outputs[0]]["value"] == "bigger-model"
    await picker._choose("tiny-model", session, NOBODY)
    assert (await service.chats.conversation(OWNER, session.thread.id)).model == ""


async def test_where_the_chosen_model_is_gone_the_connected_one_answers_and_the_page_says_so(
    service: Application, settings: Settings
) -> None:
    picker, thread = picker_of(service, settings), Thread(model="<b>gone")
    assert picker.chosen(thread) == "<b>gone", "nobody has been asked yet"
    await picker.refresh()
    assert picker.chosen(thread) is None
    for _ in range(2):  # whichever event comes last
        listed, note = picker.show(thread).values()
        assert listed["value"] == "tiny-model"
        assert "&lt;b&gt;gone is not there any more: tiny-model answers." in note


async def test_the_model_that_was_chosen_answers_and_is_not_taken_for_ours(
    service: Application, openai_server: OpenAIServer, tmp_path: Path
) -> None:
    openai_server.replies = [Reply("At seven [1].")]
    note = tmp_path / "note.md"
    note.write_text("The ferry leaves at seven.")
    await service.ingest("a", [note])
    traces = []
    for model in (None, "bigger-model"):
        options = QueryOptions(model=model)
        answer = [one async for one in service.ask("a", "When?", options=options)][-1]
        traces.append(answer.trace)
    asked = [request["model"] for request in openai_server.requests]
    assert (asked[0], asked[-1]) == ("tiny-model", "bigger-model")
    ours, other = traces
    assert ours.flops > other.flops, "the size of one model says nothing of another"
    tokens = ours.tokens["prompt"] + 2 * ours.tokens["completion"]
    assert ours.dollars == pytest.approx(tokens / 1e6)
    assert other.dollars is None
