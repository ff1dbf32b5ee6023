import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole

from data.errors import RagAppError
from generation.reading import TextDelta
from rag_app.application import Application
from rag_app.errors import ApplicationError
from rag_app.ingestion import engine as ingest
from rag_app.remote import wire
from rag_app.remote.service import RemoteService
from rag_app.remote.wire import RemoteError
from rag_app.results import Answer, BackupReport, Progress, SearchResult
from rag_app.service import QueryOptions, Service
from tests.rag_app.building import install
from tests.rag_app.served import Served, serving
from tests.rag_app.support import prose, twin, write

QUESTION = "Where does the lantern hang?"
HISTORY = [
    ChatMessage(role=MessageRole.USER, content="Hello?"),
    ChatMessage(role=MessageRole.ASSISTANT, content="Yes?"),
]


@pytest.fixture
def folder(tmp_path) -> Path:
    odd = "The lantern hangs\u2028in the harbour\x85at night. " + prose("odd")
    return write(tmp_path / "in", {"a.txt": prose("a"), "b.md": f"# Title\n\n{odd}"})


@pytest.fixture
async def served(application: Application) -> AsyncIterator[Served]:
    async with serving(application) as served:
        yield served


@pytest.fixture
def remote(served) -> RemoteService:
    return served.remote()


def untimed(result: SearchResult | Answer) -> SearchResult | Answer:
    result.trace.stages.clear()
    return result


async def test_every_call_gives_what_the_application_gives(remote, application, folder):
    local: Service = application
    report = await remote.ingest("c", [folder])
    assert (report.added, report.failures) == (2, [])
    assert await remote.collections() == await local.collections()
    assert await remote.documents("c") == await local.documents("c")
    options = QueryOptions(retriever="hybrid", top_k=4, sources=("a.txt", "b.md"))
    here, there = [untimed(await s.search("c", QUESTION, options)) for s in (local, remote)]
    assert here == there
    assert there.hits
    ours, theirs = [
        [hit async for batch in s.passages("c") for hit in batch.passages] for s in (local, remote)
    ]
    assert {hit.passage_id for hit in theirs} >= {hit.passage_id for hit in there.hits}
    assert len(theirs) == sum(document.passages for document in await local.documents("c"))
    assert ours == theirs
    context = await remote.context("c", there.hits[0].passage_id)
    assert context == await local.context("c", there.hits[0].passage_id)
    found, *deltas, answer = [e async for e in remote.ask("c", QUESTION, HISTORY, options)]
    ours, *_, own = [e async for e in local.ask("c", QUESTION, HISTORY, options)]
    assert untimed(found) == untimed(ours)
    assert untimed(answer) == untimed(own)
    assert {type(delta) for delta in deltas} == {TextDelta}
    assert (await remote.rebuild_collection("c")).unchanged == 2
    assert await remote.delete_document("c", "a.txt") is True
    assert await remote.delete_document("c", "a.txt") is False
    assert [d.source for d in await local.documents("c")] == ["b.md"]
    await remote.drop_collection("c")
    assert await local.collections() == []


async def backed_up(service: Service, *names: str) -> tuple[bytes, BackupReport]:
    *pieces, report = [piece async for piece in service.backup(names)]
    assert isinstance(report, BackupReport)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes)), report


async def sent(data: bytes, size: int = 50_000) -> AsyncIterator[bytes]:
    for first in range(0, len(data), size):
        yield data[first : first + size]


async def test_backups_come_and_go_through_the_running_application(remote, application, folder):
    await application.ingest("c", [folder])
    before = untimed(await application.search("c", QUESTION))
    tar, report = await backed_up(remote, "c")
    assert (report.bytes, report.collections[0].documents) == (len(tar), 2)
    await application.delete_document("c", "a.txt")
    with pytest.raises(RemoteError, match=r"collection c exists.*--replace"):
        await remote.restore(sent(tar))
    with pytest.raises(RemoteError, match="the backup is damaged"):
        await remote.restore(sent(tar[:-2000]), replace=True)
    assert len(await application.documents("c")) == 1
    restored = await remote.restore(sent(tar), ["c"], replace=True)
    assert restored.collections == report.collections
    assert untimed(await application.search("c", QUESTION)) == before
    with pytest.raises(RemoteError, match="'nowhere' does not exist"):
        await backed_up(remote, "nowhere")


async def test_leaving_a_restore_leaves_no_trace_at_the_other_end(remote, application, folder):
    await application.ingest("c", [folder])
    tar, _ = await backed_up(application)
    await application.drop_collection("c")
    half = asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield tar[: len(tar) // 2]
        half.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(remote.restore(halting()))
    await half.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(remote.restore(sent(tar)), 30)  # waits for the other to be gone
    assert [info.documents for info in await application.collections()] == [2]


async def test_a_backup_that_ends_before_its_report_is_not_whole():
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=wire.framed(b"tar")))
    remote = RemoteService("http://app", "token", transport)
    with pytest.raises(ApplicationError, match="ended before the backup was whole"):
        await backed_up(remote)
    await remote.close()


async def test_indexes_are_handled_as_the_application_does(
    remote, application, folder, encoder, monkeypatch
):
    install({"hashing": encoder, "far": twin("far")}, monkeypatch.setattr)
    await remote.ingest("c", [folder / "a.txt"])
    news: list[Progress] = []
    assert (await remote.build_index("c", "far", news.append)).added == 1
    assert news[-1].done == 1
    assert (await remote.ingest("c", [folder / "b.md"], encoder="far")).added == 1
    listed = await remote.indexes("c")
    assert listed == await application.indexes("c")
    assert [(info.encoder, info.behind) for info in listed] == [("hashing", 1), ("far", 0)]
    options = QueryOptions(encoder="far", top_k=3)
    here, there = [untimed(await s.search("c", QUESTION, options)) for s in (application, remote)]
    assert here == there
    assert (await remote.context("c", there.hits[0].passage_id)).text == there.hits[0].text
    assert (await remote.build_index("c")).added == 1
    await remote.use_index("c", "far")
    await remote.drop_index("c", "hashing")
    (left,) = await application.indexes("c")
    assert (left.encoder, left.active) == ("far", True)


async def test_progress_comes_while_the_work_goes_on(remote, folder, monkeypatch):
    monkeypatch.setattr(ingest, "BATCH", 2)
    news: list[Progress] = []
    report = await remote.ingest("c", [folder], news.append)
    assert len(news) > 3
    assert [n.done for n in news] == sorted(n.done for n in news)
    assert news[-1].done == 1
    assert news[-1].passages == report.passages


async def test_names_and_sources_survive_the_address(remote, tmp_path):
    name = "odd name? #1 & 50% ü/nested.txt"
    write(tmp_path / "in", {name: prose("a")})
    await remote.ingest("c", [tmp_path / "in"])
    assert [d.source for d in await remote.documents("c")] == [name]
    assert await remote.delete_document("c", name)


async def test_relative_paths_are_those_of_the_caller(remote, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert (await remote.ingest("c", [Path("a.txt")])).added == 1


async def test_a_path_that_is_no_utf8_is_explained(remote, folder):
    path = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt"))
    write(folder, {path.name: prose("x")})
    with pytest.raises(ApplicationError, match="name is not UTF-8"):
        await remote.ingest("c", [path])
    assert (await remote.ingest("c", [folder])).added == 3


@pytest.mark.parametrize("name", ["nothing", "../c", "..", "a/b", "c?x=1", "%2e%2e"])
async def test_errors_are_those_of_the_application(remote, application, folder, name):
    await application.ingest("c", [folder])

    async def asked(service: Service) -> None:
        async for _ in service.ask(name, QUESTION):
            pass

    for call in (
        lambda service: service.documents(name),
        lambda service: service.search(name, QUESTION),
        lambda service: service.context(name, "x"),
        lambda service: service.drop_collection(name),
        lambda service: service.rebuild_collection(name),
        lambda service: service.indexes(name),
        lambda service: service.build_index(name),
        lambda service: service.use_index(name, "minilm"),
        lambda service: service.drop_index(name, "minilm"),
        asked,
    ):
        with pytest.raises(Exception) as local:
            await call(application)
        with pytest.raises(RagAppError) as there:
            await call(remote)
        assert str(there.value) == str(local.value)
    assert [info.name for info in await application.collections()] == ["c"]


async def test_errors_of_work_are_those_of_the_application(remote, tmp_path):
    with pytest.raises(RemoteError, match=r"cannot find .*absent"):
        await remote.ingest("c", [tmp_path / "absent"])


async def test_without_the_token_changes_are_refused_in_words(served, folder):
    stranger = served.remote("guessed")
    with pytest.raises(RemoteError, match="needs the password, or the token"):
        await stranger.ingest("c", [folder])


async def test_an_application_that_is_gone_is_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    remote = RemoteService(address, "token")
    for call in (remote.collections(), remote.ingest("c", []), anext(remote.ask("c", "q"))):
        with pytest.raises(ApplicationError, match=f"{address} does not answer"):
            await call
    await remote.close()


async def test_a_connection_that_breaks_in_the_middle_is_named():
    async def half(_: httpx.Request) -> httpx.Response:
        async def body() -> AsyncIterator[bytes]:
            yield b'{"type": "delta", "data": {"text": "half"}}\n{"type": "del'
            raise httpx.ReadError("the connection broke")

        return httpx.Response(200, content=body())

    remote = RemoteService("http://app", "token", httpx.MockTransport(half))
    events = remote.ask("c", "q")
    assert await anext(events) == TextDelta("half")
    with pytest.raises(ApplicationError, match="does not answer: the connection broke"):
        await anext(events)
    await remote.close()


async def test_a_stream_that_ends_before_the_report_is_named():
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b""))
    remote = RemoteService("http://app", "token", transport)
    with pytest.raises(ApplicationError, match="ended before the report came"):
        await remote.ingest("c", [])
    await remote.close()


async def test_an_answer_that_is_no_json_is_shown_by_its_status():
    transport = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>Bad gateway"))
    remote = RemoteService("http://app", "token", transport)
    with pytest.raises(RemoteError, match="http://app/api/collections answered 502"):
        await remote.collections()
    await remote.close()


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[1]",
        "{}",
        '{"type": "delta"}',
        '{"type": "new"}',
        '{"type": "error", "error": 1}',
    ],
)
async def test_an_answer_of_something_else_is_named(body):
    """Another program at the address, or an application of another version."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=f"{body}\n"))
    remote = RemoteService("http://app", "token", transport)
    for call in (
        remote.collections(), remote.delete_document("c", "s"), remote.ingest("c", []),
        anext(remote.ask("c", "q")),
    ):  # fmt: skip
        with pytest.raises(RemoteError, match="http://app answers in a way"):
            await call
    await remote.close()


async def test_leaving_an_ingestion_stops_it_at_the_other_end(
    remote, application, tmp_path, encoder, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 1)
    write(tmp_path / "in", {f"{n:02}.txt": prose(n) for n in range(60)})
    progress = asyncio.Event()
    task = asyncio.create_task(remote.ingest("c", [tmp_path / "in"], lambda _: progress.set()))
    await progress.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    report = await asyncio.wait_for(application.ingest("c", [tmp_path / "in"]), 30)
    assert report.unchanged < 59, "the work did not go on unheard"
    assert len(await application.documents("c")) == 60
