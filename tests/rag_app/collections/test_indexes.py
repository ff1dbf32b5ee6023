import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from data.errors import UnreadableFile
from data.parsing import Parser
from rag_app.accounts.chats.conversation import Turn
from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.errors import ApplicationError, SettingsError, UnknownDocument
from rag_app.ingestion import engine as ingest
from rag_app.results import IndexInfo
from rag_app.service import QueryOptions
from rag_app.settings import Settings, load_settings, override
from retrieval.encoders.errors import ModelMismatchError
from retrieval.errors import RetrievalError
from retrieval.index import edge_collections
from retrieval.index.edge import EdgeStore
from retrieval.index.edge_collections import EdgeCollections
from retrieval.index.errors import (
    BadCollectionName,
    FingerprintMismatch,
    IndexInUse,
    NameTaken,
    NoIndexOfEncoder,
    StoreError,
    UnknownCollection,
    UnknownIndex,
)
from tests.encoders import HashingEncoder
from tests.rag_app import building
from tests.rag_app.command import REPOSITORY
from tests.rag_app.fragile import Crash, FragileStore
from tests.rag_app.support import prose, settled, stored, twin, visible, write

COARSER = {"chunking": {"tokens": 48}}
NAMES = ("near", "far", "third")


@pytest.fixture
def settings(settings) -> Settings:
    return override(settings, {"encoder": {"name": "near"}})


@pytest.fixture
def encoders(monkeypatch) -> dict[str, HashingEncoder]:
    """By name, what every application of the test encodes with."""
    made = {name: twin(name) for name in NAMES}
    building.install(made, monkeypatch.setattr)
    return made


@pytest.fixture
async def application(settings, encoders) -> AsyncIterator[Application]:
    application, _ = assembly.open_application(settings)
    yield application
    await application.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "in", {f"{name}.txt": prose(name) for name in "abc"})


async def reopened(application: Application, settings, overrides) -> Application:
    await application.close()
    return assembly.open_application(override(settings, overrides))[0]


async def texts(application: Application, encoder: str | None = None) -> set[str]:
    options = QueryOptions(retriever="dense", top_k=1000, encoder=encoder)
    return {hit.text for hit in (await application.search("c", "anything", options)).hits}


async def listed(application: Application) -> dict[str, IndexInfo]:
    return {info.encoder: info for info in await application.indexes("c")}


def originals(settings) -> set[str]:
    return {path.read_text() for path in (settings.storage.path / "files" / "c").iterdir()}


def versions(settings) -> list[str]:
    return EdgeCollections(settings.storage.path / "collections").versions("c")


# --- building ---------------------------------------------------------------------------------


async def test_an_index_is_built_beside_the_other_and_both_find_the_same(
    application, folder, encoders
):
    report = await application.ingest("c", [folder])
    news = []
    built = await application.build_index("c", "far", news.append)
    assert (built.added, built.unchanged, built.passages) == (3, 0, report.passages)
    assert news[-1].done == 1
    assert sorted(encoders["far"].encoded) == sorted(encoders["near"].encoded)
    near, far = await application.indexes("c")
    assert (near.encoder, near.model, near.active, near.usable) == (
        "near", "tests/near", True, True,
    )  # fmt: skip
    assert (far.encoder, far.model, far.active, far.usable) == ("far", "tests/far", False, True)
    for info in (near, far):
        assert (info.documents, info.passages, info.behind) == (3, report.passages, 0)
    assert near.fingerprint != far.fingerprint
    assert await texts(application, "far") == await texts(application, "near")
    assert await texts(application) == await texts(application, "near")
    (collection,) = await application.collections()
    assert (collection.documents, collection.encoder) == (3, "tests/near")


async def test_building_again_encodes_only_what_is_missing(application, folder, encoders):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    before = len(encoders["far"].encoded)
    again = await application.build_index("c", "far")
    assert (again.added, again.updated, again.unchanged) == (0, 0, 3)
    assert len(encoders["far"].encoded) == before
    write(folder, {"a.txt": prose("other"), "d.txt": prose("d")})
    await application.ingest("c", [folder])
    assert (await listed(application))["far"].behind == 2
    assert (await listed(application))["near"].behind == 0
    report = await application.build_index("c", "far")
    assert (report.added, report.updated, report.unchanged) == (1, 1, 2)
    assert (await listed(application))["far"].behind == 0
    assert await texts(application, "far") == await texts(application, "near")


async def test_the_newest_content_wins_whichever_index_it_came_into(application, folder):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    write(folder, {"a.txt": prose("other")})
    await application.ingest("c", [folder], encoder="far")
    assert (await listed(application))["near"].behind == 1
    report = await application.build_index("c")
    assert (report.updated, report.unchanged) == (1, 2)
    assert await texts(application, "far") == await texts(application, "near")
    assert any("Other" in text for text in await texts(application))
    write(folder, {"a.txt": prose("a")})
    await application.ingest("c", [folder / "a.txt"])
    await application.build_index("c", "far")
    assert not any("Other" in text for text in await texts(application, "far"))


async def test_a_newer_file_that_cannot_be_read_makes_old_content_no_newer(application, folder):
    write(folder, {"d.pdf": "not a PDF", "a.jsonl": '{"_id": "1", "text": "old words"}'})
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    write(folder, {"a.jsonl": '{"_id": "1", "text": "new words"}'})
    await application.ingest("c", [folder])
    write(folder, {"a.jsonl": "nothing of the kind"})
    assert (await application.ingest("c", [folder], encoder="far")).failures
    report = await application.build_index("c", "far")
    assert (report.updated, report.unchanged, report.failures) == (1, 3, [])
    assert "new words" in await texts(application, "far")


async def test_originals_are_kept_while_any_index_needs_them(application, folder, settings):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    write(folder, {"a.txt": prose("other")})
    await application.ingest("c", [folder])
    both = {prose(name) for name in ("a", "b", "c", "other")}
    assert originals(settings) == both
    await application.build_index("c", "far")
    assert originals(settings) == both - {prose("a")}


async def test_a_document_is_deleted_from_every_index(application, folder, settings):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    write(folder, {"d.txt": prose("d")})
    await application.ingest("c", [folder / "d.txt"], encoder="far")
    assert await application.delete_document("c", "a.txt")
    assert await application.delete_document("c", "d.txt"), "it is in one of them"
    assert not await application.delete_document("c", "a.txt")
    assert originals(settings) == {prose("b"), prose("c")}
    for encoder in ("near", "far"):
        assert not any(text.startswith(("A ", "D ")) for text in await texts(application, encoder))
    assert (await application.build_index("c", "far")).unchanged == 2


async def test_dropping_the_collection_drops_all_indexes(application, folder, settings):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    await application.drop_collection("c")
    assert not (settings.storage.path / "collections" / "c").exists()
    for call in (
        application.indexes("c"), application.build_index("c"), application.use_index("c", "far"),
        application.drop_index("c", "far"),
    ):  # fmt: skip
        with pytest.raises(UnknownCollection):
            await call


async def test_passages_of_every_index_are_shown_in_their_context(application, folder):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    options = QueryOptions(sources=("a.txt",), top_k=3)
    near = (await application.search("c", "harbour", options)).hits[0]
    named = options.model_copy(update={"encoder": "far"})
    far = (await application.search("c", "harbour", named)).hits[0]
    assert near.passage_id != far.passage_id
    shown = [await application.context("c", hit.passage_id) for hit in (near, far)]
    assert shown[0] == shown[1]


async def test_originals_that_are_lost_stop_a_build_before_it_begins(application, folder, settings):
    await application.ingest("c", [folder])
    for path in (settings.storage.path / "files" / "c").iterdir():
        if path.read_text() == prose("b"):
            path.write_text("damaged")
    with pytest.raises(ApplicationError, match=r"originals of b\.txt are gone or damaged"):
        await application.build_index("c", "far")
    assert len(versions(settings)) == 1


async def test_all_encoders_are_closed_with_the_application(application, folder, encoders):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    await application.close()
    assert [encoders[name].closed for name in NAMES] == [True, True, False]


async def test_everything_is_there_after_a_restart(application, folder, settings):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    before = await application.indexes("c"), await texts(application, "far")
    again = await reopened(application, settings, {})
    assert (await again.indexes("c"), await texts(again, "far")) == before
    await again.close()


# --- what is refused --------------------------------------------------------------------------


async def test_an_encoder_without_index_is_named_with_the_command_that_builds_it(
    application, folder
):
    await application.ingest("c", [folder])
    await application.build_index("c", "third")
    for call in (
        application.search("c", "harbour", QueryOptions(encoder="far")),
        anext(application.ask("c", "harbour", (), QueryOptions(encoder="far"))),
        application.ingest("c", [folder], encoder="far"),
    ):
        with pytest.raises(NoIndexOfEncoder) as caught:
            await call
        assert str(caught.value) == (
            "collection 'c' has no index of encoder far: it has those of near, third. "
            "`rag-app indexes build --encoder far -c c` builds it from the stored originals"
        )
    assert len(await application.indexes("c")) == 2


async def test_an_unknown_encoder_is_refused_before_anything_is_made(application, folder, settings):
    await application.ingest("c", [folder])
    for call in (
        application.search("c", "harbour", QueryOptions(encoder="magic")),
        application.build_index("c", "magic"),
        application.ingest("d", [folder], encoder="magic"),
    ):
        with pytest.raises(SettingsError, match="magic"):
            await call
    assert [info.name for info in await application.collections()] == ["c"]
    assert len(versions(settings)) == 1


async def test_an_index_of_other_settings_is_refused_with_the_command_that_renews_it(
    application, folder, settings
):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    other = await reopened(application, settings, COARSER)
    with pytest.raises(FingerprintMismatch, match="rag-app collections rebuild c"):
        await other.search("c", "harbour")
    with pytest.raises(FingerprintMismatch, match="rag-app indexes build --encoder far -c c"):
        await other.search("c", "harbour", QueryOptions(encoder="far"))
    assert [info.usable for info in await other.indexes("c")] == [False, False]
    await other.close()


async def test_a_wrong_model_behind_an_encoder_writes_nothing(
    application, folder, settings, encoders
):
    class Impostor(HashingEncoder):
        def verify(self) -> str:
            raise ModelMismatchError("another model runs than the row describes")

    await application.ingest("c", [folder])
    encoders["far"] = Impostor(name="tests/far")
    encoders["far"].row = twin("far").row
    with pytest.raises(ModelMismatchError):
        await application.build_index("c", "far")
    with pytest.raises(ModelMismatchError):
        await application.ingest("d", [folder], encoder="far")
    assert len(versions(settings)) == 1
    assert [info.name for info in await application.collections()] == ["c"]
    await application.delete_document("c", "a.txt")


async def test_an_encoder_is_tried_whenever_its_index_is_empty(application, folder, encoders):
    tried = []

    class Tried(HashingEncoder):
        def verify(self) -> str:
            tried.append(len(self.encoded))
            return super().verify()

    encoders["far"] = Tried(name="tests/far")
    encoders["far"].row = twin("far").row
    await application.ingest("c", [folder / "a.txt"], encoder="far")
    await application.ingest("c", [folder / "b.txt"], encoder="far")
    await application.build_index("c", "far")
    assert tried == [0]
    for name in "ab":
        await application.delete_document("c", f"{name}.txt")
    await application.ingest("c", [folder / "c.txt"], encoder="far")
    assert len(tried) == 2


# --- the alias --------------------------------------------------------------------------------


async def test_the_name_is_pointed_at_another_index_and_the_old_one_dropped(
    application, folder, settings
):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    with pytest.raises(IndexInUse, match="rag-app indexes use"):
        await application.drop_index("c", "near")
    await application.use_index("c", "far")
    assert [info.active for info in await application.indexes("c")] == [False, True]
    assert await texts(application, "near"), "it is searched as before"
    await application.drop_index("c", "near")
    (left,) = await application.indexes("c")
    assert (left.encoder, left.active) == ("far", True)
    assert len(versions(settings)) == 1
    with pytest.raises(NoIndexOfEncoder, match=r"no index of encoder near: it has those of far\."):
        await application.search("c", "harbour")
    assert [d.source for d in await application.documents("c")] == ["a.txt", "b.txt", "c.txt"]
    assert originals(settings) == {prose(name) for name in "abc"}
    with pytest.raises(IndexInUse):
        await application.drop_index("c", "far")
    assert (await application.build_index("c")).added == 3
    assert await texts(application) == await texts(application, "far")


async def test_an_index_is_named_by_its_fingerprint_where_its_encoder_has_several(
    application, folder, settings
):
    await application.ingest("c", [folder])
    (old,) = await application.indexes("c")
    other = await reopened(application, settings, COARSER)
    await other.build_index("c", "near")
    new, again = await other.indexes("c")
    assert (again.fingerprint, again.usable, again.active) == (old.fingerprint, False, True)
    assert (new.usable, new.active) == (True, False)
    for call in (other.use_index("c", "near"), other.drop_index("c", "near")):
        with pytest.raises(ApplicationError) as caught:
            await call
        assert all(info.fingerprint in str(caught.value) for info in (old, new))
    await other.use_index("c", new.fingerprint)
    await other.drop_index("c", old.fingerprint)
    assert [info.fingerprint for info in await other.indexes("c")] == [new.fingerprint]
    await other.use_index("c", "near")
    for call in (other.use_index("c", "far"), other.drop_index("c", "0" * 16)):
        with pytest.raises(UnknownIndex, match=rf"it has near \({new.fingerprint}\)"):
            await call
    await other.close()


async def test_content_that_no_other_index_holds_is_not_dropped(application, folder):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    write(folder, {"d.txt": prose("d"), "a.txt": prose("other")})
    await application.ingest("c", [folder], encoder="far")
    with pytest.raises(ApplicationError, match=r"no other index holds its content of a\.txt, d"):
        await application.drop_index("c", "far")
    await application.build_index("c", "near")
    await application.drop_index("c", "far")
    assert len(await application.documents("c")) == 4


async def test_a_damaged_index_can_be_dropped(application, folder, settings):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    far = (await listed(application))["far"].fingerprint
    await application.close()
    for path in (settings.storage.path / "collections" / "c" / far).rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0")
    again, _ = assembly.open_application(settings)
    assert await texts(again)
    assert (await again.ingest("c", [folder])).unchanged == 3
    assert originals(settings) == {prose(name) for name in "abc"}
    hit = (await again.search("c", "harbour")).hits[0]
    assert (await again.context("c", hit.passage_id)).text == hit.text
    await again.drop_index("c", far)
    assert len(await again.indexes("c")) == 1
    await again.close()


# --- rebuilding -------------------------------------------------------------------------------


async def test_rebuilding_replaces_the_encoders_own_index_and_leaves_the_others(
    application, folder, settings
):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    far = (await listed(application))["far"].fingerprint
    other = await reopened(application, settings, COARSER)
    assert (await other.rebuild_collection("c")).added == 3
    near, kept = await other.indexes("c")
    assert (near.encoder, near.active, near.usable) == ("near", True, True)
    assert (kept.fingerprint, kept.active) == (far, False)
    await other.close()


async def test_rebuilding_replaces_the_active_index_where_the_encoder_had_none(
    application, folder, settings
):
    await application.ingest("c", [folder])
    await application.build_index("c", "third")
    other = await reopened(application, settings, {"encoder": {"name": "far"}})
    await other.rebuild_collection("c")
    assert {name: info.active for name, info in (await listed(other)).items()} == {
        "far": True, "third": False,
    }  # fmt: skip
    assert originals(settings) == {prose(name) for name in "abc"}
    await other.close()


async def test_rebuilding_an_index_that_lies_beside_the_active_one_leaves_that(
    application, folder, settings
):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    write(folder, {"d.txt": prose("d")})
    await application.ingest("c", [folder])
    other = await reopened(application, settings, {"encoder": {"name": "far"}})
    report = await other.rebuild_collection("c")
    assert (report.added, report.unchanged) == (1, 3)
    assert {name: info.active for name, info in (await listed(other)).items()} == {
        "near": True, "far": False,
    }  # fmt: skip
    await other.close()


@pytest.mark.parametrize("step", ["point", "discard"])
async def test_a_rebuild_that_crashes_at_the_switch_is_finished_by_the_next(
    application, folder, settings, monkeypatch, step
):
    await application.ingest("c", [folder])
    await application.build_index("c", "third")
    other = await reopened(application, settings, {"encoder": {"name": "far"}})

    def crash(*_):
        raise Crash(step)

    with monkeypatch.context() as patch:
        patch.setattr(EdgeCollections, step, crash)
        with pytest.raises(Crash):
            await other.rebuild_collection("c")
    again = await reopened(other, settings, {"encoder": {"name": "far"}})
    assert await texts(again) == await texts(again, "near") == await texts(again, "third")
    assert (await again.rebuild_collection("c")).unchanged == 3
    assert {name: info.active for name, info in (await listed(again)).items()} == {
        "far": True, "third": False,
    }  # fmt: skip
    assert (await again.rebuild_collection("c")).unchanged == 3
    assert len(versions(settings)) == 2, "what was replaced once is no reason to go on replacing"
    await again.close()


# --- interruptions ----------------------------------------------------------------------------


async def test_an_interrupted_build_is_not_searched_and_is_taken_up(
    application, folder, encoders, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 2)
    await application.ingest("c", [folder])
    encoders["far"]._fail_at = 7
    with pytest.raises(RetrievalError, match="the encoder went away"):
        await application.build_index("c", "far")
    info = (await listed(application))["far"]
    assert (info.usable, info.active) == (False, False)
    assert info.behind == 3 - info.documents > 0
    assert len(await texts(application)) == (await listed(application))["near"].passages
    for call in (
        application.search("c", "harbour", QueryOptions(encoder="far")),
        application.use_index("c", "far"),
    ):
        with pytest.raises(NoIndexOfEncoder, match="no whole index of encoder far"):
            await call
    encoders["far"]._fail_at = None
    encoders["far"].encoded.clear()
    await application.delete_document("c", "c.txt")
    write(folder, {"b.txt": prose("other"), "d.txt": prose("d")})
    await application.ingest("c", [folder / "b.txt", folder / "d.txt"])
    await application.build_index("c", "far")
    chunks = {d.source: d.passages for d in await application.documents("c")}
    assert len(encoders["far"].encoded) < sum(chunks.values()), "not all of a.txt again"
    assert await texts(application, "far") == await texts(application, "near")
    assert (await listed(application))["far"].usable


async def test_a_half_built_index_can_be_dropped(application, folder, encoders, settings):
    await application.ingest("c", [folder])
    encoders["far"]._fail_at = 3
    with pytest.raises(RetrievalError):
        await application.build_index("c", "far")
    await application.drop_index("c", "far")
    assert len(versions(settings)) == 1
    assert originals(settings) == {prose(name) for name in "abc"}


async def test_a_crash_before_any_write_of_a_build_leaves_nothing_half(
    application, tmp_path, monkeypatch
):
    files = {f"{name}.txt": prose(name, 2) for name in "ab"}
    await application.ingest("c", [write(tmp_path / "in", files)])
    before = await texts(application)
    survives: int | None = 0

    def fragile(path: Path, spec, reserve: int) -> EdgeStore:
        if survives is None or spec.encoder["encoder"] != "far":
            return EdgeStore(path, spec, reserve)
        return FragileStore(path, spec, reserve).crash_before(survives)

    monkeypatch.setattr(edge_collections, "EdgeStore", fragile)
    for writes in range(100):
        survives = writes
        try:
            await application.build_index("c", "far")
            break
        except Crash:
            with pytest.raises(NoIndexOfEncoder):
                await texts(application, "far")
            assert await texts(application) == before
        application._stores.close()  # all that is known is now what the disk says
        survives = None
        await application.build_index("c", "far")
        assert await texts(application, "far") == before
        async with application._stores.reading_all("c", application._spec) as stores:
            for store in stores:
                assert settled(store)
                assert stored(store) == sum(len(shown) for shown in visible(store).values())
        await application.drop_index("c", "far")
    assert 5 < writes < 20


async def test_searches_go_on_while_an_index_is_built_dropped_and_built_again(application, folder):
    await application.ingest("c", [folder])
    before = await texts(application)
    stop = asyncio.Event()

    async def near() -> int:
        count = 0
        while not stop.is_set():
            assert await texts(application) == before
            count += 1
        return count

    async def far() -> int:
        count = 0
        while not stop.is_set():
            try:
                assert await texts(application, "far") == before
                count += 1
            except NoIndexOfEncoder:
                await asyncio.sleep(0)
        return count

    async def look() -> int:
        while not stop.is_set():
            assert len(await application.indexes("c")) in {1, 2}
        return 1

    watching = [asyncio.create_task(each()) for each in (near, far, look)]
    for _ in range(3):
        await application.build_index("c", "far")
        await texts(application, "far")
        await application.drop_index("c", "far")
    stop.set()
    assert all(await asyncio.wait_for(asyncio.gather(*watching), 30))


@pytest.mark.slow
def test_builds_that_are_killed_are_finished_by_the_next(tmp_path):
    """Real processes, `kill -9` at random instants."""
    draw = random.Random(5)  # noqa: S311
    files = {f"{number:02}.txt": prose(number, 20) for number in range(12)}
    write(tmp_path / "in", files)
    storage = tmp_path / "storage"
    run = [sys.executable, "-m", "tests.rag_app.building", str(storage)]
    subprocess.run([*run, str(tmp_path / "in")], cwd=REPOSITORY, check=True)
    hits = 0
    for _ in range(12):
        process = subprocess.Popen(run, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "building\n"
            time.sleep(draw.uniform(0, 0.6))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                hits += 1
        if hits == 3:
            break
    assert hits == 3, "the kills must come while there is work"
    done = subprocess.run(run, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "near and far hold the same"


# --- what must not change ---------------------------------------------------------------------


def test_collections_of_the_default_settings_stay_valid(tmp_path):
    """A new value here would make every user rebuild; change it only on purpose."""
    used = assembly.encoders(load_settings(overrides={"storage": {"path": tmp_path}}))
    assert used.spec(used.get()).fingerprint == "14ee7f4b140293d5"
    assert used.get("minilm") is used.get()
    used.close()


def test_a_row_that_is_not_normalised_is_searched_by_dot_product(tmp_path):
    accepted = {"contriever": {"accept_license": True}}
    used = assembly.encoders(
        load_settings(overrides={"storage": {"path": tmp_path}, "encoders": accepted})
    )
    distances = [used.spec(used.get(name)).distance for name in ("contriever", "minilm")]
    assert distances == ["dot", "cosine"]
    used.close()


# --- renaming, and reading anew ---------------------------------------------------------------


async def test_a_renamed_collection_keeps_indexes_originals_and_conversations(
    application, folder, settings
):
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    before, kept = await texts(application), originals(settings)
    turn = Turn(1, "Which?", "c", text="This.", state="done")
    talk = await application.chats.begin("anne", "", turn)
    await application.rename_collection("c", "d")
    assert [one.name for one in await application.collections()] == ["d"]
    found = await application.search("d", "anything", QueryOptions(retriever="dense", top_k=1000))
    assert {hit.text for hit in found.hits} == before
    assert [index.encoder for index in await application.indexes("d")] == ["near", "far"]
    assert (await application.document("d", "a.txt")).blocks
    assert (await application.chats.conversation("anne", talk)).turns[0].collection == "d"
    files = settings.storage.path / "files"
    assert sorted(path.name for path in files.iterdir()) == ["d", "d.jsonl"]
    assert {path.read_text() for path in (files / "d").iterdir()} == kept

    await application.ingest("c", [folder])
    for wrong, error in (("c", NameTaken), ("d", NameTaken), ("../d", BadCollectionName)):
        with pytest.raises(error):
            await application.rename_collection("d", wrong)
    with pytest.raises(UnknownCollection):
        await application.rename_collection("gone", "e")
    await application.drop_collection("d")
    assert await texts(application) == before


async def test_renaming_that_fails_leaves_all_as_it_was(application, folder, settings, monkeypatch):
    await application.ingest("c", [folder])
    before, kept = await texts(application), originals(settings)

    def fail(*_: object) -> None:
        raise StoreError("no")

    with monkeypatch.context() as patched:
        patched.setattr(EdgeCollections, "rename", fail)
        with pytest.raises(StoreError):
            await application.rename_collection("c", "d")
    assert (await texts(application), originals(settings)) == (before, kept)
    assert not (settings.storage.path / "files" / "d").exists()
    (settings.storage.path / "files" / "d").mkdir()  # somebody's originals without an index
    with pytest.raises(ApplicationError, match="cannot be moved"):
        await application.rename_collection("c", "d")
    assert (await texts(application), originals(settings)) == (before, kept)


async def test_documents_are_read_anew_in_all_indexes(application, folder, encoders):
    write(folder, {"twin.txt": prose("a")})
    await application.ingest("c", [folder])
    await application.build_index("c", "far")
    before = await texts(application)
    for encoder in encoders.values():
        encoder.encoded.clear()
    news = []
    report = await application.reingest("c", ["a.txt"], news.append)
    assert (report.updated, report.added, report.failures) == (4, 0, [])  # with its twin, in both
    assert set(encoders["near"].encoded) == set(encoders["far"].encoded)
    assert encoders["near"].encoded
    assert (news[-1].documents, news[-1].total_documents, news[-1].done) == (2, 2, 1)
    whole = await application.reingest("c")
    assert whole.updated == 8
    assert await texts(application) == await texts(application, "far") == before
    assert {one.state for one in await application.documents("c")} == {"ready"}
    with pytest.raises(UnknownDocument):
        await application.reingest("c", ["a.txt", "gone.txt"])


async def test_what_cannot_be_read_any_more_stays_and_what_was_interrupted_is_taken_up(
    application, folder, settings, monkeypatch
):
    await application.ingest("c", [folder])
    before, kept = await texts(application), originals(settings)

    def refuse(*_: object) -> None:
        raise UnreadableFile("x", cause="the reader is gone")

    with monkeypatch.context() as patched:
        patched.setattr(Parser, "parse", refuse)
        report = await application.reingest("c")
    assert [(one.source, one.reason) for one in report.failures] == [
        (f"{name}.txt", "the reader is gone") for name in "abc"
    ]
    assert await texts(application) == before

    def interrupt(_: object) -> None:
        raise ApplicationError("stopped")

    with pytest.raises(ApplicationError, match="stopped"):
        await application.reingest("c", ["b.txt"], interrupt)
    states = {one.source: one.state for one in await application.documents("c")}
    assert states == {"a.txt": "ready", "b.txt": "interrupted", "c.txt": "ready"}
    await application.delete_document("c", "c.txt")  # forgets what nothing needs
    report = await application.reingest("c")
    assert report.updated == 2
    found = await application.search("c", "anything", QueryOptions(retriever="dense", top_k=1000))
    assert {hit.source for hit in found.hits} == {"a.txt", "b.txt"}
    assert {hit.text for hit in found.hits} < before
    assert originals(settings) < kept
