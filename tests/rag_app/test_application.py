import asyncio
import gc
import os
import re
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as some
from llama_index.core.schema import TextNode

from data.blocks import Block
from generation.reading import TextDelta
from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.collections.context import in_context
from rag_app.collections.ownership import HeldByAnother
from rag_app.errors import ApplicationError, UnknownDocument
from rag_app.ingestion import engine as ingest
from rag_app.results import Answer, Failure, SearchResult, notes
from rag_app.service import QueryOptions
from rag_app.settings import override
from retrieval.index.edge import EdgeStore
from retrieval.index.errors import (
    BadCollectionName,
    FingerprintMismatch,
    NameTaken,
    UnknownCollection,
)
from tests.encoders import HashingEncoder
from tests.rag_app.support import chunker, prose, write

BM25 = QueryOptions(retriever="bm25", top_k=50)
COARSER = {"chunking": {"tokens": 48}}


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "in", {f"{name}.txt": prose(name) for name in "abc"})


async def texts(application: Application, collection: str = "c") -> set[str]:
    found = await application.search(
        collection, "anything", QueryOptions(retriever="dense", top_k=1000)
    )
    return {hit.text for hit in found.hits}


async def sources(application: Application, collection: str = "c") -> list[str]:
    return [document.source for document in await application.documents(collection)]


def originals(settings, collection: str = "c") -> set[str]:
    folder = settings.storage.path / "files" / collection
    return {path.read_text() for path in folder.iterdir()} if folder.is_dir() else set()


# --- documents and collections ----------------------------------------------------------------


async def test_what_is_taken_in_is_listed_found_and_answered(application, folder):
    report = await application.ingest("c", [folder])
    assert report.added == 3
    listed = await application.documents("c")
    assert [(d.source, d.state) for d in listed] == [
        ("a.txt", "ready"), ("b.txt", "ready"), ("c.txt", "ready"),
    ]  # fmt: skip
    assert sum(document.passages for document in listed) == report.passages
    assert listed[0].size == (folder / "a.txt").stat().st_size
    (info,) = await application.collections()
    assert (info.name, info.documents, info.passages, info.usable) == (
        "c",
        3,
        report.passages,
        True,
    )
    assert info.encoder == "tests/hashing"
    events = [event async for event in application.ask("c", "Where is the harbour?")]
    assert isinstance(events[0], SearchResult)
    assert isinstance(events[-1], Answer)
    assert {type(event) for event in events[1:-1]} == {TextDelta}
    found = await application.search("c", "harbour", QueryOptions(sources=("b.txt",)))
    assert {hit.source for hit in found.hits} == {"b.txt"}


async def test_deleting_a_document_takes_its_passages_and_its_original(
    application, folder, settings
):
    write(folder, {"same-as-b.txt": (folder / "b.txt").read_text()})
    await application.ingest("c", [folder])
    assert await application.delete_document("c", "a.txt") is True
    assert await application.delete_document("c", "a.txt") is False
    assert await application.delete_document("c", "b.txt") is True
    assert await sources(application) == ["c.txt", "same-as-b.txt"]
    found = await application.search("c", prose("a"), BM25)
    assert {hit.source for hit in found.hits} <= {"c.txt", "same-as-b.txt"}
    assert originals(settings) == {prose("b"), prose("c")}


async def test_a_changed_document_keeps_only_its_new_original(application, folder, settings):
    await application.ingest("c", [folder])
    write(folder, {"a.txt": prose("other")})
    await application.ingest("c", [folder])
    assert originals(settings) == {prose("other"), prose("b"), prose("c")}
    assert not any("A " in text for text in await texts(application))


async def test_an_original_moves_with_its_content_from_one_name_to_another(
    application, folder, settings
):
    await application.ingest("c", [folder])
    write(folder, {"a.txt": prose("other"), "d.txt": prose("a")})
    await application.ingest("c", [folder])
    assert originals(settings) == {prose(name) for name in ("other", "a", "b", "c")}


async def test_the_original_of_a_failed_file_is_not_kept(application, folder, settings):
    write(folder, {"d.pdf": "not a PDF"})
    report = await application.ingest("c", [folder])
    assert len(report.failures) == 1
    assert originals(settings) == {prose(name) for name in "abc"}
    listed = {d.source: d for d in await application.documents("c")}
    assert listed["d.pdf"].state == "failed"
    assert listed["d.pdf"].failure == report.failures[0].reason


async def test_files_of_unsupported_types_are_reported_as_ignored(application, folder):
    write(folder, {"film.mp4": "frames"})
    (ignored,) = (await application.ingest("c", [folder])).ignored
    assert ignored == Failure("film.mp4", "files that end in .mp4 are not read")


async def test_a_folder_above_the_storage_folder_does_not_take_in_the_originals(
    application, tmp_path, folder, settings
):
    assert settings.storage.path.is_relative_to(tmp_path)
    (settings.storage.path / "owner.json").write_text('{"token": "secret"}')
    write(settings.storage.path / "rerankers" / "mine", {"README.md": "# mine"})
    await application.ingest("c", [tmp_path])
    again = await application.ingest("c", [tmp_path])
    assert (again.added, again.unchanged, again.ignored) == (0, 3, [])
    assert await sources(application) == ["in/a.txt", "in/b.txt", "in/c.txt"]


async def test_a_name_that_is_no_utf8_is_spelt_out(application, folder):
    os.rename(os.fsencode(folder / "a.txt"), os.fsencode(folder) + b"/\xff.txt")  # noqa: PTH104
    report = await application.ingest("c", [folder])
    assert report.added == 3
    names = await sources(application)
    assert names == ["\\udcff.txt", "b.txt", "c.txt"]
    assert await application.delete_document("c", names[0])


async def test_a_collection_is_made_empty_and_can_be_filled(application, folder):
    await application.create_collection("empty")
    with pytest.raises(NameTaken):
        await application.create_collection("empty")
    with pytest.raises(BadCollectionName):
        await application.create_collection("../up")
    assert [(one.name, one.documents, one.usable) for one in await application.collections()] == [
        ("empty", 0, True)
    ]
    assert await application.documents("empty") == []
    found = await application.search("empty", "anything")
    assert found.hits == []
    assert "no documents are here yet" in " ".join(notes(found.trace.stages))
    closed_book = await application.search("empty", "anything", QueryOptions(retriever="none"))
    assert not notes(closed_book.trace.stages)
    assert (await application.ingest("empty", [folder])).added == 3
    assert not notes((await application.search("empty", "anything")).trace.stages)


async def test_collections_are_apart_and_dropped_with_all_they_hold(application, folder, settings):
    await application.ingest("one", [folder / "a.txt"])
    await application.ingest("two", [folder / "b.txt"])
    assert [info.name for info in await application.collections()] == ["one", "two"]
    assert await sources(application, "one") == ["a.txt"]
    await application.drop_collection("one")
    assert [info.name for info in await application.collections()] == ["two"]
    assert originals(settings, "one") == set()
    assert originals(settings, "two") == {prose("b")}
    with pytest.raises(UnknownCollection, match="known: two"):
        await application.search("one", "harbour")
    await application.ingest("one", [folder / "c.txt"])
    assert await sources(application, "one") == ["c.txt"]


async def test_everything_is_there_after_a_restart(application, folder, settings):
    await application.ingest("c", [folder])
    before = await texts(application)
    await application.close()
    again, _ = assembly.open_application(settings)
    assert await texts(again) == before
    assert (await again.ingest("c", [folder])).unchanged == 3
    await again.close()


# --- wrong calls ------------------------------------------------------------------------------


async def test_missing_paths_make_no_collection(application, tmp_path):
    with pytest.raises(Exception, match="cannot find"):
        await application.ingest("c", [tmp_path / "absent"])
    assert await application.collections() == []


@pytest.mark.parametrize("question", ["", "  \n"])
async def test_an_empty_question_is_refused(application, folder, question):
    await application.ingest("c", [folder])
    with pytest.raises(ApplicationError, match="the question is empty"):
        await application.search("c", question)
    with pytest.raises(ApplicationError, match="the question is empty"):
        await anext(application.ask("c", question))


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", ".", "a\0", "x" * 65, ".hidden"])
async def test_names_that_could_be_paths_are_refused_everywhere(
    application, folder, name, settings
):
    before = sorted(settings.storage.path.parent.rglob("*"))
    calls = (
        application.ingest(name, [folder]),
        application.drop_collection(name),
        application.rebuild_collection(name),
        application.documents(name),
        application.delete_document(name, "a.txt"),
        application.search(name, "q"),
        application.context(name, "x"),
        anext(application.passages(name)),
        anext(application.ask(name, "q")),
    )
    for call in calls:
        with pytest.raises(BadCollectionName):
            await call
    assert sorted(settings.storage.path.parent.rglob("*")) == before


async def test_an_unknown_passage_is_explained(application, folder):
    await application.ingest("c", [folder])
    for chunk in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(ApplicationError, match="may have been deleted"):
            await application.context("c", chunk)


async def test_a_second_application_on_the_folder_is_refused(application, settings):
    with pytest.raises(HeldByAnother):
        assembly.open_application(settings)


# --- a passage in its context -----------------------------------------------------------------


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def contexts(text: str, tokens: int, overlap: int, page: int | None = None):
    """Every chunk of a text with its context, as the application makes it."""
    cutter = chunker(tokens, overlap)
    nodes = [
        TextNode(
            text=chunk.text,
            metadata={
                "source": "a.txt", "page": chunk.page, "char_start": chunk.char_start,
                "char_end": chunk.char_end, "headings": list(chunk.heading_path),
            },
        )
        for chunk in cutter.split([Block("paragraph", text, page)])
    ]  # fmt: skip
    for at, node in enumerate(nodes):
        near = [other for other in nodes[max(0, at - 2) : at + 3] if other is not node]
        yield node, in_context(node, near)


sentences = some.lists(
    some.text(alphabet="abc \n.,!é漢。", min_size=1, max_size=60), min_size=1, max_size=20
).map(" ".join)


@given(text=sentences, tokens=some.integers(2, 12), overlap=some.integers(0, 6))
@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_passage_and_its_neighbours_join_to_the_text_of_the_page(text, tokens, overlap):
    for node, context in contexts(text, tokens, min(overlap, tokens - 1)):
        assert context.text == node.text
        joined = context.before + context.text + context.after
        start = node.metadata["char_start"]
        assert squeezed(joined) in squeezed(text)
        assert squeezed(text[:start]).endswith(squeezed(context.before))
        assert squeezed(text[node.metadata["char_end"] :]).startswith(squeezed(context.after))
        if not re.search(r"\s", text[start - 1 : start]):
            assert not context.before.endswith("\n"), "no gap is made where there is none"


async def test_a_passage_is_shown_among_its_neighbours(application, folder, settings):
    await application.ingest("c", [folder])
    text = (folder / "a.txt").read_text()
    found = await application.search("c", prose("a"), QueryOptions(sources=("a.txt",), top_k=50))
    ordered = sorted(found.hits, key=lambda hit: hit.char_start)
    assert len(ordered) == 5
    for at, hit in enumerate(ordered):
        context = await application.context("c", hit.passage_id)
        assert context.source == "a.txt"
        assert context.text == hit.text
        first, last = ordered[max(0, at - 2)], ordered[min(len(ordered) - 1, at + 2)]
        whole = text[first.char_start : last.char_end]
        assert squeezed(context.before + context.text + context.after) == squeezed(whole)


async def test_pre_cut_passages_stand_alone(application, tmp_path):
    lines = '{"_id": "1", "text": "one"}\n{"_id": "2", "title": "T", "text": "two"}\n'
    write(tmp_path / "in", {"a.jsonl": lines})
    await application.ingest("c", [tmp_path / "in"])
    found = await application.search("c", "two", BM25)
    context = await application.context("c", found.hits[0].passage_id)
    assert (context.before, context.text, context.after) == ("", "two", "")
    assert context.headings == ("T",)
    assert found.hits[0].record_id == "2"


# --- other settings ---------------------------------------------------------------------------


async def reopened(application: Application, settings, overrides) -> Application:
    await application.close()
    return assembly.open_application(override(settings, overrides))[0]


async def test_a_collection_of_other_settings_is_refused_with_the_hint(
    application, folder, settings
):
    await application.ingest("c", [folder])
    other = await reopened(application, settings, COARSER)
    for call in (
        other.search("c", "harbour"),
        other.ingest("c", [folder]),
        anext(other.ask("c", "harbour")),
    ):
        with pytest.raises(FingerprintMismatch) as caught:
            await call
        assert "chunker.chunk_tokens: stored 24, wanted 48" in str(caught.value)
        assert "rag-app collections rebuild c" in str(caught.value)
    (info,) = await other.collections()
    assert not info.usable
    assert len(await other.documents("c")) == 3
    assert await other.delete_document("c", "a.txt")
    await other.close()


async def test_rebuilding_follows_the_settings_and_forgets_what_was_deleted(
    application, folder, settings
):
    await application.ingest("c", [folder])
    await application.delete_document("c", "a.txt")
    before = await texts(application)
    other = await reopened(application, settings, COARSER)
    report = await other.rebuild_collection("c")
    assert (report.added, report.failures) == (2, [])
    assert await sources(other) == ["b.txt", "c.txt"]
    after = await texts(other)
    assert len(after) < len(before)
    assert originals(settings) == {prose("b"), prose("c")}
    (info,) = await other.collections()
    assert info.usable
    versions = [p for p in (settings.storage.path / "collections" / "c").iterdir() if p.is_dir()]
    assert len(versions) == 1, "the old version is gone"
    assert (await other.rebuild_collection("c")).unchanged == 2
    assert await texts(other) == after
    await other.close()


async def test_an_interrupted_rebuild_leaves_the_old_version_and_is_resumed(
    application, folder, settings, encoder
):
    await application.ingest("c", [folder])
    other = await reopened(application, settings, COARSER)
    encoder._fail_at = len(encoder.encoded) + 5
    with pytest.raises(Exception, match="the encoder went away"):
        await other.rebuild_collection("c")
    assert not (await other.collections())[0].usable
    encoder._fail_at = None
    await other.delete_document("c", "a.txt")
    await other.rebuild_collection("c")
    assert await sources(other) == ["b.txt", "c.txt"]
    await other.close()


async def test_rebuilding_is_refused_when_an_original_is_lost_until_it_is_back(
    application, folder, settings
):
    await application.ingest("c", [folder])
    for path in (settings.storage.path / "files" / "c").iterdir():
        if path.read_text() == prose("b"):
            path.unlink()
    other = await reopened(application, settings, COARSER)
    with pytest.raises(ApplicationError, match=r"originals of b\.txt are gone or damaged"):
        await other.rebuild_collection("c")
    same = await reopened(other, settings, {})
    assert (await same.ingest("c", [folder])).unchanged == 3
    other = await reopened(same, settings, COARSER)
    assert (await other.rebuild_collection("c")).added == 3
    await other.close()


async def test_a_rebuild_in_which_a_file_fails_changes_nothing_and_loses_no_original(
    application, folder, settings
):
    await application.ingest("c", [folder])
    kept = originals(settings)
    hasty = await reopened(application, settings, {**COARSER, "limits": {"seconds": 1e-9}})
    with pytest.raises(ApplicationError, match=r"was left as it is: a\.txt: .*took longer"):
        await hasty.rebuild_collection("c")
    assert originals(settings) == kept
    assert not (await hasty.collections())[0].usable
    other = await reopened(hasty, settings, COARSER)
    assert (await other.rebuild_collection("c")).added == 3
    await other.close()


async def test_a_damaged_original_is_not_taken_in(application, folder, settings):
    await application.ingest("c", [folder])
    other = await reopened(application, settings, COARSER)
    next((settings.storage.path / "files" / "c").iterdir()).write_text("something else")
    with pytest.raises(ApplicationError, match="are gone or damaged"):
        await other.rebuild_collection("c")
    await other.close()


# --- at once ----------------------------------------------------------------------------------


async def test_two_ingestions_into_one_collection_both_arrive(application, folder, tmp_path):
    more = write(tmp_path / "more", {f"{name}.txt": prose(name) for name in "def"})
    reports = await asyncio.gather(
        application.ingest("c", [folder]),
        application.ingest("c", [more]),
        application.ingest("c", [folder]),
    )
    assert sum(report.added for report in reports) == 6
    assert await sources(application) == [f"{name}.txt" for name in "abcdef"]


@pytest.fixture
def gate(encoder: HashingEncoder) -> threading.Event:
    """Holds the encoder back until it is set."""
    gate = threading.Event()
    encoder._gate = gate
    return gate


async def test_searches_go_on_while_documents_come_in(application, folder, tmp_path, encoder):
    await application.ingest("c", [folder])
    before = await texts(application)
    encoder._gate = gate = threading.Event()
    more = write(tmp_path / "more", {f"{number}.txt": prose(number) for number in range(5)})
    coming = [asyncio.create_task(application.ingest("c", [more])) for _ in range(40)]
    try:
        for _ in range(5):
            assert await asyncio.wait_for(texts(application), 5) == before
            await asyncio.sleep(0.02)
        assert [i.name for i in await asyncio.wait_for(application.collections(), 5)] == ["c"]
    finally:
        gate.set()
    await asyncio.gather(*coming)
    assert len(await sources(application)) == 8


async def test_searches_during_an_update_see_the_old_version_or_the_new(
    application, tmp_path, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 2)
    file = write(tmp_path / "in", {"a.txt": prose("v0", 40)}) / "a.txt"
    await application.ingest("c", [file])
    versions = [await texts(application)]
    for number in (1, 2, 3):
        file.write_text(prose(f"v{number}", 40))
        other = f"expected{number}"
        await application.ingest(other, [file])
        versions.append(await texts(application, other))
        seen = []
        task = asyncio.create_task(application.ingest("c", [file]))
        while not task.done():
            seen.append(await texts(application))
        seen.append(await texts(application))
        assert all(each in versions[-2:] for each in seen)
        assert seen[-1] == versions[-1]


async def test_searches_during_dropping_and_rebuilding_end_well_or_with_a_message(
    application, folder, settings
):
    stop = asyncio.Event()
    faults: list[BaseException] = []

    async def keep_searching() -> None:
        while not stop.is_set():
            try:
                await application.search("c", "harbour")
            except UnknownCollection:
                await asyncio.sleep(0)
            except Exception as error:  # noqa: BLE001 - any of them is what the test looks for
                faults.append(error)
                return

    searchers = [asyncio.create_task(keep_searching()) for _ in range(4)]
    for _ in range(5):
        await application.ingest("c", [folder])
        await application.drop_collection("c")
    await application.ingest("c", [folder])
    for _ in range(3):
        await application.rebuild_collection("c")
    stop.set()
    await asyncio.wait_for(asyncio.gather(*searchers), 20)
    assert faults == []


async def test_a_cancelled_ingestion_stops_and_can_be_taken_up(
    application, folder, gate, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 1)
    task = asyncio.create_task(application.ingest("c", [folder]))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    report = await asyncio.wait_for(application.ingest("c", [folder]), 20)
    assert report.added >= 2, "the cancelled run did not go on"
    assert await sources(application) == ["a.txt", "b.txt", "c.txt"]


async def test_closing_interrupts_what_is_coming_in_and_waits_for_it(
    application, folder, gate, settings, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 1)
    tasks = [asyncio.create_task(application.ingest("c", [folder])) for _ in range(3)]
    await asyncio.sleep(0.3)
    closing = asyncio.create_task(application.close())
    await asyncio.sleep(0.1)
    assert not closing.done()
    with pytest.raises(HeldByAnother):
        assembly.open_application(settings)
    gate.set()
    await asyncio.wait_for(closing, 20)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert "interrupted" in str(ends[0])
    assert all(isinstance(end, BaseException) for end in ends)
    again, _ = assembly.open_application(settings)
    assert (await again.ingest("c", [folder])).failures == []
    assert await sources(again) == ["a.txt", "b.txt", "c.txt"]
    await again.close()


async def test_leaving_an_answer_half_way_gives_the_collection_back(application, folder):
    await application.ingest("c", [folder])
    events = application.ask("c", "Where is the harbour?")
    await anext(events)
    await events.aclose()
    abandoned = application.ask("c", "Where is the harbour?")
    await anext(abandoned)
    await asyncio.wait_for(application.drop_collection("c"), 5)
    assert [type(event) for event in [e async for e in abandoned]][-1] is Answer


async def test_the_event_loop_does_no_work_of_its_own(application, folder):
    await application.ingest("c", [folder])
    longest = 0.0
    stop = asyncio.Event()

    async def watch() -> None:  # time of the loop's processor, whatever else the machine does
        nonlocal longest
        while not stop.is_set():
            start = time.thread_time()
            await asyncio.sleep(0.005)
            longest = max(longest, time.thread_time() - start)

    watching = asyncio.create_task(watch())
    write(folder, {f"{number}.txt": prose(number, 60) for number in range(20)})
    gc.disable()  # it may run in any thread
    try:
        await application.ingest("c", [folder])
        await application.search("c", "harbour")
    finally:
        gc.enable()
    stop.set()
    await watching
    assert 0 < longest < 0.5


@pytest.mark.parametrize(
    ("may_block", "above", "built"), [(True, 1, 1), (True, 10**6, 0), (False, 1, 0)]
)
async def test_only_a_large_ingestion_that_may_block_ends_with_a_graph(
    settings, encoder, folder, monkeypatch, may_block, above, built
):
    calls = []
    really = EdgeStore.optimize
    monkeypatch.setattr(EdgeStore, "optimize", lambda store: calls.append(really(store)))
    settings = override(settings, {"storage": {"hnsw_above": above}})
    application, _ = assembly.open_application(settings, may_block=may_block)
    await application.ingest("c", [folder])
    found = await application.search("c", "harbour")
    assert len(calls) == built
    assert found.hits
    await application.close()


async def test_a_question_without_retrieval_needs_no_collection(settings, encoder):
    application, _ = assembly.open_application(settings)
    options = QueryOptions(retriever="none")
    assert (await application.search("nowhere", "Who?", options)).hits == []
    events = [event async for event in application.ask("nowhere", "Who?", (), options)]
    assert isinstance(events[-1], Answer)
    assert not events[-1].grounded
    await application.close()


async def test_a_document_is_shown_as_it_was_read(application, tmp_path):
    write(tmp_path / "in", {"a.md": "# Start\n\nIt runs.\n"})
    await application.ingest("c", [tmp_path / "in"])
    content = await application.document("c", "a.md")
    assert [(block.kind, block.text) for block in content.blocks] == [
        ("heading", "# Start"),
        ("paragraph", "It runs."),
    ]
    with pytest.raises(UnknownDocument, match=r"'a.md' has no page 2: it has no pages"):
        await application.document("c", "a.md", 2)
    with pytest.raises(ApplicationError, match="holds no document"):
        await application.document("c", "b.md")


async def test_sync_removes_what_is_gone_and_nothing_else(application, tmp_path):
    write(tmp_path / "in", {"a.txt": prose("a"), "b.txt": prose("b")})
    write(tmp_path / "other", {"c.txt": prose("c")})
    await application.ingest("c", [tmp_path / "in", tmp_path / "other"])
    (tmp_path / "in/b.txt").rename(tmp_path / "in/d.txt")
    (tmp_path / "other/c.txt").unlink()
    report = await application.ingest("c", [tmp_path / "in"], sync=True)
    assert (report.added, report.unchanged, report.removed) == (1, 1, ["b.txt"])
    assert [info.source for info in await application.documents("c")] == ["a.txt", "c.txt", "d.txt"]


async def test_two_files_of_one_name_are_two_documents(application, tmp_path):
    for folder in ("x", "y"):
        write(tmp_path / folder, {"a.txt": prose(folder)})
        await application.ingest("c", [tmp_path / folder])
    assert [info.source for info in await application.documents("c")] == ["a.txt", "y/a.txt"]
