import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from rag_app.assembly.application import open_application
from rag_app.service import QueryOptions, Service
from rag_app.settings import load_settings
from tests.openai_server import OpenAIServer, Reply
from ui.answering import answer
from ui.session import Thread

OPTIONS = QueryOptions()


@pytest.fixture
async def service(tmp_path: Path, openai_server: OpenAIServer) -> AsyncIterator[Service]:
    llm = {"api_base": openai_server.url, "model": openai_server.model}
    settings = load_settings(
        overrides={"storage": {"path": tmp_path / "storage"}, "reader": {"kind": "llm"}, "llm": llm}
    )
    application, _ = open_application(settings)
    note = tmp_path / "ferry.md"
    note.write_text("The ferry leaves the north quay at seven.")
    await application.ingest("c", [note])
    yield application
    await application.close()


async def test_a_turn_grows_and_ends_with_its_evidence(
    service: Service, openai_server: OpenAIServer
) -> None:
    openai_server.replies = [Reply("It leaves at seven from the north quay [1].", delay=0.04)]
    thread = Thread()
    texts = [turn.text async for turn in answer(service, thread, "When?", "c", OPTIONS)]
    assert len(set(texts)) > 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    [turn] = thread.turns
    assert turn.state == "done"
    assert turn.text == "It leaves at seven from the north quay [1]."
    assert [citation.source for citation in turn.citations] == ["ferry.md"]
    assert turn.trace is not None


async def test_thoughts_grow_beside_the_answer(
    service: Service, openai_server: OpenAIServer
) -> None:
    openai_server.replies = [Reply("<think>hm, seven</think>Seven [1].", delay=0.04)]
    thread = Thread()
    seen = [(t.thinking, t.text) async for t in answer(service, thread, "When?", "c", OPTIONS)]
    assert any(thinking and not text for thinking, text in seen)
    assert seen[-1] == ("hm, seven", "Seven [1].")
    assert not thread.turns[0].abstained


async def test_an_answer_that_is_not_in_the_documents_says_so(
    service: Service, openai_server: OpenAIServer
) -> None:
    openai_server.replies = [Reply("NOT IN THE PASSAGES\nNo price is given.")]
    thread = Thread()
    async for _ in answer(service, thread, "How much?", "c", OPTIONS):
        pass
    assert (thread.turns[0].text, thread.turns[0].abstained) == ("No price is given.", True)


async def test_a_second_question_follows_the_first(service: Service) -> None:
    thread = Thread()
    for question in ("When does the ferry leave?", "And from where?"):
        async for _ in answer(service, thread, question, "c", OPTIONS):
            pass
    assert [turn.state for turn in thread.turns] == ["done", "done"]
    assert len(thread.history()) == 4


async def test_stopping_keeps_what_was_said_and_frees_the_model(
    service: Service, openai_server: OpenAIServer
) -> None:
    openai_server.replies = [Reply("Half an answer", hang_after=1)]
    thread = Thread()
    async with asyncio.timeout(10):
        async for turn in answer(service, thread, "When?", "c", OPTIONS):
            thread.stopping = bool(turn.text)
    assert (thread.turns[0].state, thread.turns[0].text) == ("stopped", "Half")
    await asyncio.to_thread(openai_server.wait_until, lambda: openai_server.aborted == 1)


async def test_a_closed_tab_frees_the_model(service: Service, openai_server: OpenAIServer) -> None:
    openai_server.replies = [Reply("Half an answer", hang_after=1)]
    thread = Thread()
    turns = answer(service, thread, "When?", "c", OPTIONS)
    async for turn in turns:
        if turn.text:
            break
    await turns.aclose()
    assert thread.turns[0].state == "stopped"
    await asyncio.to_thread(openai_server.wait_until, lambda: openai_server.aborted == 1)


async def test_an_expected_error_becomes_part_of_the_turn(
    service: Service, openai_server: OpenAIServer
) -> None:
    openai_server.replies = [Reply(status=401, error="wrong key")]
    thread = Thread()
    turns = [turn async for turn in answer(service, thread, "When?", "c", OPTIONS)]
    assert turns[-1].state == "failed"
    assert "wrong key" in turns[-1].error or "key" in turns[-1].error
    assert not thread.running


async def test_an_unknown_collection_is_explained(service: Service) -> None:
    thread = Thread()
    async for _ in answer(service, thread, "When?", "nowhere", OPTIONS):
        pass
    assert thread.turns[0].state == "failed"
    assert "nowhere" in thread.turns[0].error


async def kept(service: Service, thread: Thread) -> list[tuple[str, str, str]]:
    turns = (await service.chats.conversation("anne", thread.id)).turns
    return [(turn.question, turn.text, turn.state) for turn in turns]


async def test_question_and_answer_are_kept_from_the_first_moment(
    service: Service, openai_server: OpenAIServer
) -> None:
    openai_server.replies = [Reply("At seven [1]."), Reply("Half an answer", hang_after=1)]
    thread = Thread()
    turns = answer(service, thread, "When?", "c", OPTIONS, "anne")
    await anext(turns)
    assert await kept(service, thread) == [("When?", "", "stopped")]
    async for _ in turns:
        pass
    second = answer(service, thread, "And then?", "c", OPTIONS, "anne")
    async for turn in second:
        if turn.text:
            break
    await second.aclose()  # the tab was closed
    assert await kept(service, thread) == [
        ("When?", "At seven [1].", "done"),
        ("And then?", "Half", "stopped"),
    ]
    assert thread.turns[1].milliseconds > 0
    reopened = Thread.of(await service.chats.conversation("anne", thread.id))
    assert reopened.turns[0].citations == thread.turns[0].citations
    assert len(reopened.history()) == 4


async def test_what_cannot_be_kept_is_answered_all_the_same(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "storage" / "chats.sqlite").write_bytes(b"no database" * 500)
    thread = Thread()
    async for _ in answer(service, thread, "When?", "c", OPTIONS, "anne"):
        pass
    assert thread.turns[0].state == "done"
    assert "chats.sqlite cannot be read or kept" in thread.unkept


async def test_a_conversation_that_another_window_deleted_goes_on_as_a_new_one(
    service: Service,
) -> None:
    thread = Thread()

    async def ask() -> None:
        async for _ in answer(service, thread, "When?", "c", OPTIONS, "anne"):
            pass

    await ask()
    await service.chats.delete_conversation("anne", thread.id)
    await ask()
    assert "there is no conversation" in thread.unkept
    assert (thread.id, thread.turns[1].asked) == ("", "")  # it cannot be rated
    await ask()
    assert thread.unkept == ""
    assert [turn.number for turn in thread.turns] == [1, 2, 3]  # citations name them
    [turn] = (await service.chats.conversation("anne", thread.id)).turns
    assert turn.number == 3


async def test_an_answer_that_is_asked_again_is_forgotten_once_the_new_one_is_whole(
    service: Service, openai_server: OpenAIServer
) -> None:
    openai_server.replies = [
        Reply("At seven [1]."), Reply(status=401, error="wrong key"), Reply("At 7 a.m. [1]."),
    ]  # fmt: skip
    thread = Thread()
    for again in (False, True):
        async for _ in answer(service, thread, "When?", "c", OPTIONS, "anne", again=again):
            pass
    first = ("When?", "At seven [1].", "done")
    assert await kept(service, thread) == [first, ("When?", "", "failed")]
    assert [turn.text for turn in thread.turns] == ["At seven [1].", ""]
    third = answer(service, thread, "When exactly?", "c", OPTIONS, "anne", again=True)
    await anext(third)
    assert (await kept(service, thread))[0] == first
    async for _ in third:
        pass
    assert await kept(service, thread) == [("When exactly?", "At 7 a.m. [1].", "done")]
    assert [turn.text for turn in thread.turns] == ["At 7 a.m. [1]."]
    assert thread.replaced == []
