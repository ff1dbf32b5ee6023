"""Collections go into one file and come back as they were, on any store, or not at all."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.collections import backup
from rag_app.collections.archive import SUMS, ArchiveWriter
from rag_app.errors import ApplicationError
from rag_app.results import BackupReport, Hit
from rag_app.service import QueryOptions, Service
from rag_app.settings import override
from retrieval.index.base import PassageStore
from retrieval.index.edge import EdgeStore
from retrieval.index.errors import UnknownCollection
from retrieval.index.records import DocumentRecord
from retrieval.index.server_collections import ServerCollections
from tests.rag_app.building import install
from tests.rag_app.support import prose, twin, write
from tests.retrieval.index.places import QuietLocalClient

QUESTIONS = ["Where does the lantern hang?", "copper turbine valley", "an ember in the glacier"]
RETRIEVERS = ("dense", "bm25", "hybrid")


@pytest.fixture
def folder(tmp_path) -> Path:
    texts = {f"{name}.txt": prose(name, 24) for name in "abc"}
    same = {"twin.md": texts["a.txt"], "sub/twin.txt": texts["a.txt"]}
    return write(tmp_path / "in", {**texts, **same, "broken.pdf": "no PDF"})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(backup, "_PART", 2_000)
    monkeypatch.setattr(backup, "_PIECE", 1_000)


@pytest.fixture
def elsewhere(settings, encoder, tmp_path, monkeypatch) -> Callable[..., Any]:
    """Another application, over either store, with a storage folder of its own."""

    @asynccontextmanager
    async def other(name: str = "other", server: bool = False) -> AsyncIterator[Application]:
        storage = {"path": tmp_path / name}
        with monkeypatch.context() as patch:
            if server:
                client = QuietLocalClient(path=str(tmp_path / name / "qdrant"))
                patch.setattr(assembly, "collections", lambda _: ServerCollections(client))
            made, _ = assembly.open_application(override(settings, {"storage": storage}))
        try:
            yield made
        finally:
            await made.close()
            if server:
                client.close()

    return other


async def backed_up(service: Service, *names: str) -> tuple[bytes, BackupReport]:
    *pieces, report = [piece async for piece in service.backup(names)]
    assert all(isinstance(piece, bytes) for piece in pieces)
    assert isinstance(report, BackupReport)
    assert report.bytes == sum(map(len, pieces))
    return b"".join(pieces), report


async def pieces(data: bytes, size: int = 777) -> AsyncIterator[bytes]:
    for first in range(0, len(data), size):
        yield data[first : first + size]


async def seen(
    service: Service, name: str = "c", encoder: str | None = None, off: float = 0.0
) -> Any:
    """All that lists and searches show, but for the last bit of scores, or what they may be off."""
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for question in QUESTIONS:
        for retriever in RETRIEVERS:
            options = QueryOptions(retriever=retriever, top_k=1000, encoder=encoder)
            hits = (await service.search(name, question, options)).hits
            found[f"{question} {retriever}"] = {hit.passage_id: shown(hit, off) for hit in hits}
    listed = [info for info in await service.collections() if info.name == name]
    return found, listed, await service.documents(name), await service.indexes(name)


def shown(hit: Hit, off: float) -> tuple[Any, ...]:
    where = hit.source, hit.page, hit.char_start, hit.char_end, hit.text
    return (*where, pytest.approx(hit.score, rel=1e-6, abs=off))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def opened(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}


def closed(contents: dict[str, bytes]) -> bytes:
    """A whole archive again, of contents that somebody may have changed."""
    writer = ArchiveWriter(0)
    kept = {name: content for name, content in contents.items() if name != SUMS}
    parts = [piece for name, content in kept.items() for piece in writer.data(name, content)]
    return b"".join([*parts, *writer.end()])


# --- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("server", [False, True])
async def test_all_that_can_be_seen_comes_back(application, folder, elsewhere, server, settings):
    await application.ingest("c", [folder])
    off = 2e-3 if server else 0.0  # the stand-in for a server does not round to half precision
    before = await seen(application, off=off)
    assert {d.state for d in before[2]} == {"ready", "failed"}
    tar, written = await backed_up(application)
    async with elsewhere(server=server) as other:
        restored = await other.restore(pieces(tar))
        assert restored.collections == written.collections
        assert restored.bytes == len(tar)
        assert await seen(other) == before
        again, _ = await backed_up(other)
    (copied,) = written.collections
    documents, chunks = len(before[2]), sum(d.passages for d in before[2])
    assert (copied.documents, copied.passages, copied.originals) == (documents, chunks, 3)
    async with elsewhere("third") as third:
        await third.restore(pieces(again))
        assert await seen(third) == before
    originals = files(settings.storage.path / "files")
    assert files(settings.storage.path.parent / "third" / "files") == originals
    assert originals.pop("c.jsonl"), "the catalogue, beside them"
    assert len(originals) == 4, "one content under two endings"


async def test_life_goes_on_with_what_came_back(application, folder, elsewhere, encoder):
    await application.ingest("c", [folder])
    tar, _ = await backed_up(application)
    async with elsewhere() as other:
        await other.restore(pieces(tar))
        encoded = len(encoder.encoded)
        report = await other.ingest("c", [folder])
        assert (report.unchanged, report.added) == (5, 0)
        assert len(encoder.encoded) == encoded
        write(folder, {"a.txt": prose("new", 24)})
        assert (await other.ingest("c", [folder])).updated == 1
        assert (await other.rebuild_collection("c")).failures == []
        assert await other.delete_document("c", "b.txt")
        ((tmp, _),) = [await backed_up(other)]
        await other.restore(pieces(tmp), replace=True)
        assert "b.txt" not in {d.source for d in await other.documents("c")}
        await other.drop_collection("c")
        assert await other.collections() == []


async def test_several_indexes_come_back_with_the_one_in_use(
    application, folder, elsewhere, encoder, monkeypatch
):
    install({"minilm": encoder, "hashing": encoder, "far": twin("far")}, monkeypatch.setattr)
    await application.ingest("c", [folder / "a.txt", folder / "b.txt"])
    await application.build_index("c", "far")
    await application.ingest("c", [folder / "c.txt"])
    await application.use_index("c", "far")
    before = [await seen(application, encoder=name) for name in ("hashing", "far")]
    tar, written = await backed_up(application)
    assert written.collections[0].indexes == 2
    async with elsewhere() as other:
        await other.restore(pieces(tar))
        assert [await seen(other, encoder=name) for name in ("hashing", "far")] == before
        assert [info.behind for info in await other.indexes("c") if info.active] == [1]


async def test_an_index_of_an_encoder_that_is_not_at_hand_comes_back_too(
    application, folder, elsewhere, encoder, monkeypatch
):
    with monkeypatch.context() as patch:
        install({"minilm": encoder, "hashing": encoder, "far": twin("far")}, patch.setattr)
        await application.ingest("c", [folder])
        await application.build_index("c", "far")
        before = await application.indexes("c")
        tar, _ = await backed_up(application)
    install({"minilm": encoder, "hashing": encoder}, monkeypatch.setattr)
    async with elsewhere() as other:
        await other.restore(pieces(tar))
        after = {info.encoder: info for info in await other.indexes("c")}
    assert after["far"] == replace(next(i for i in before if i.encoder == "far"), usable=False)


async def test_only_the_collections_that_are_named_are_copied(application, folder, elsewhere):
    for name in ("c", "d", "e"):
        await application.ingest(name, [folder / "a.txt"])
    tar, report = await backed_up(application, "d", "c", "d")
    assert [copied.name for copied in report.collections] == ["d", "c"]
    async with elsewhere() as other:
        await other.restore(pieces(tar), ["c"])
        assert [info.name for info in await other.collections()] == ["c"]
        await other.restore(pieces(tar), ["d"])
        with pytest.raises(ApplicationError, match="does not hold e: it holds d, c"):
            await other.restore(pieces(tar), ["e"])
        assert [info.name for info in await other.collections()] == ["c", "d"]
    with pytest.raises(UnknownCollection, match="'nowhere'"):
        await backed_up(application, "c", "nowhere")


async def test_nothing_at_all_can_be_backed_up(application, elsewhere):
    tar, report = await backed_up(application)
    assert report.collections == []
    async with elsewhere() as other:
        assert (await other.restore(pieces(tar))).collections == []


# --- what is and what is not in it ---------------------------------------------------------------


async def test_what_was_being_written_is_left_out_and_what_is_searched_is_in(
    application, folder, elsewhere, encoder, monkeypatch
):
    install({"minilm": encoder, "hashing": encoder, "far": twin("far")}, monkeypatch.setattr)
    await application.ingest("c", [folder / "a.txt", folder / "b.txt"])
    before = await seen(application)
    store = opened_store(application)
    store.put_record(replace(store.record("a.txt"), pending="0" * 64))
    store.put_record(DocumentRecord("half.txt", pending="1" * 64))
    application._stores.stage(
        "c", application._encoders.spec(application._encoders.get("far"))
    )  # its building has just begun
    tar, report = await backed_up(application)
    (copied,) = report.collections
    assert (copied.indexes, copied.documents) == (1, 2)
    async with elsewhere() as other:
        await other.restore(pieces(tar))
        assert (await seen(other))[0] == before[0]
        assert await other.documents("c") == before[2]
        assert len(await other.indexes("c")) == 1


def opened_store(application: Application, name: str = "c") -> PassageStore:
    return application._stores.open(name, application._spec)


async def test_an_original_that_is_gone_or_damaged_is_reported(
    application, folder, elsewhere, settings
):
    await application.ingest("c", [folder / "a.txt", folder / "b.txt", folder / "c.txt"])
    hashes = {record.source: record.live for record in opened_store(application).records()}
    originals = settings.storage.path / "files" / "c"
    (originals / f"{hashes['a.txt']}.txt").unlink()
    (originals / f"{hashes['b.txt']}.txt").write_text("other")
    before = await seen(application)
    tar, report = await backed_up(application)
    assert report.missing == ["c/a.txt", "c/b.txt"]
    async with elsewhere() as other:
        await other.restore(pieces(tar))
        assert await seen(other) == before


async def test_a_collection_that_another_process_changes_is_not_backed_up_by_halves(
    application, folder
):
    await application.ingest("c", [folder])
    store = opened_store(application)
    with pytest.raises(ApplicationError, match="changed while it was backed up"):
        async for piece in application.backup():
            store.put_record(replace(store.record("a.txt"), updated=f"after {len(piece)} bytes"))
    store.delete_version(store.record("b.txt").version)
    with pytest.raises(ApplicationError, match="rag-app collections rebuild"):
        await backed_up(application)


async def test_changes_wait_for_the_backup_and_searches_do_not(application, folder):
    await application.ingest("c", [folder])
    stream = application.backup()
    await anext(stream)
    await anext(stream)  # now the collection is at hand
    deleting = asyncio.create_task(application.delete_document("c", "a.txt"))
    await application.search("c", QUESTIONS[0])
    await asyncio.sleep(0.1)
    assert not deleting.done()
    await stream.aclose()
    assert await deleting, "a backup that nobody reads any more holds nobody up"


# --- whole or not at all -------------------------------------------------------------------------


@pytest.fixture
async def tar(application, folder) -> bytes:
    await application.ingest("c", [folder])
    await application.ingest("d", [folder / "b.txt"])
    made, _ = await backed_up(application)
    return made


def truncated(tar: bytes) -> bytes:
    return tar[: len(tar) * 2 // 3]


def without_end(tar: bytes) -> bytes:
    return tar[: tar.rindex(SUMS.encode())]


def flipped(place: str) -> Callable[[bytes], bytes]:
    def flip(tar: bytes) -> bytes:
        changed = bytearray(tar)
        changed[tar.index(place.encode()) + 3] ^= 2
        return bytes(changed)

    return flip


def changed(name: str, old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """By somebody who knows how to write the sums."""

    def change(tar: bytes) -> bytes:
        contents = opened(tar)
        found = next(each for each in contents if name in each)
        assert old in contents[found]
        contents[found] = contents[found].replace(old, new, 1)
        return closed(contents)

    return change


def lacking(name: str) -> Callable[[bytes], bytes]:
    def lack(tar: bytes) -> bytes:
        contents = opened(tar)
        del contents[next(each for each in reversed(contents) if name in each)]
        return closed(contents)

    return lack


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (truncated, "damaged"),
    "without its end": (without_end, "damaged"),
    "empty": (lambda _: b"", "damaged"),
    "text": (lambda _: b"Dear Sir or Madam" * 99, "damaged"),
    "a byte of a text": (flipped("harbour"), "damaged"),
    "a byte of a vector": (flipped('"dense":'), "damaged"),
    "a byte of a record": (flipped('"live":'), "damaged"),
    "another format": (changed("backup.json", b'"format":2', b'"format":3'), "format 3"),
    "no header": (lacking("backup.json"), "no backup of rag-app"),
    "no passages": (lacking("passages-000002"), "passages"),
    "no documents": (lacking("documents-000001"), "document"),
    "no collection": (lacking("c/collection.json"), "comes too early"),
    "a path for a name": (changed("backup.json", b'"c"', b'"../c"'), "not allowed"),
    "a path for an ending": (changed("documents-", b'".txt"', b'"/../../x"'), "no original file"),
    "a path for content": (changed("documents-", b'"live":"', b'"live":"../'), "no original file"),
    "another identity": (changed("collection.json", b'"k1":', b'"k9":'), "another fingerprint"),
    "another id": (changed("passages-", b'{"id":"', b'{"id":"x'), "none of this index"),
    "another length": (changed("passages-", b'"dense":"', b'"dense":"AAAAAAAA'), "passage"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_backup_changes_nothing(tar, application, elsewhere, damage, tmp_path):
    harm, said = DAMAGES[damage]
    bad = harm(tar)
    async with elsewhere() as other:
        await other.ingest("c", [write(tmp_path / "own", {"own.txt": prose("own")})])
        before, lying = await seen(other), sorted(files(tmp_path / "other"))
        with pytest.raises(ApplicationError, match=said):
            await other.restore(pieces(bad), replace=True)
        assert await seen(other) == before
        assert sorted(files(tmp_path / "other")) == lying, "nothing is left of the attempt"
        assert (await other.restore(pieces(tar), replace=True)).collections
        assert await seen(other) == await seen(application)


async def test_what_exists_is_replaced_only_on_demand(tar, application, elsewhere, tmp_path):
    async with elsewhere() as other:
        await other.ingest("d", [write(tmp_path / "own", {"own.txt": prose("own")})])
        before = await seen(other, "d")
        with pytest.raises(ApplicationError, match=r"collection d exists.*--replace"):
            await other.restore(pieces(tar))
        assert await seen(other, "d") == before
        assert [info.name for info in await other.collections()] == ["d"]
        await other.restore(pieces(tar), replace=True)
        assert await seen(other, "d") == await seen(application, "d")
        assert await seen(other) == await seen(application)
        assert len(files(tmp_path / "other" / "files" / "d")) == 1, "the old original is gone"


async def test_the_old_is_searched_until_the_new_takes_its_place(tar, elsewhere, tmp_path):
    async with elsewhere() as other:
        await other.ingest("c", [write(tmp_path / "own", {"own.txt": prose("own")})])
        sources: list[set[str]] = []

        async def slowly() -> AsyncIterator[bytes]:
            async for piece in pieces(tar, len(tar) // 5):
                yield piece
                hits = (await other.search("c", QUESTIONS[0])).hits
                sources.append({hit.source for hit in hits})

        await other.restore(slowly(), replace=True)
        assert len(sources) >= 5
        assert all(found == {"own.txt"} for found in sources)
        assert "own.txt" not in {d.source for d in await other.documents("c")}


async def test_a_restore_that_is_killed_is_swept_up_by_the_next(tar, elsewhere, tmp_path):
    async with elsewhere() as other:
        await other.ingest("c", [write(tmp_path / "own", {"own.txt": prose("own")})])
        before = await seen(other)
        killed = other._collections.draft("c", other._spec, "deadbeef")
        killed.close()
        assert await seen(other) == before
        await other.restore(pieces(tar), replace=True)
    left = [path.name for path in (tmp_path / "other" / "collections" / "c").iterdir()]
    assert len(left) == 2
    assert not any("deadbeef" in name for name in left)


async def test_closing_the_application_ends_a_restore_without_a_trace(tar, elsewhere, tmp_path):
    async with elsewhere() as other:
        reached, closing = asyncio.Event(), asyncio.Event()

        async def halting() -> AsyncIterator[bytes]:
            async for piece in pieces(tar, len(tar) // 3):
                yield piece
                reached.set()
                await closing.wait()

        restoring = asyncio.create_task(other.restore(halting()))
        await reached.wait()
        ending = asyncio.create_task(other.close())
        await asyncio.sleep(0.05)
        closing.set()
        with pytest.raises(ApplicationError, match="interrupted"):
            await restoring
        await ending
    assert not (tmp_path / "other" / "collections" / "c").exists()
    assert files(tmp_path / "other" / "files") == {}


async def test_a_source_that_fails_is_told_as_it_is(tar, elsewhere, tmp_path):
    async def failing() -> AsyncIterator[bytes]:
        yield tar[: len(tar) // 2]
        raise OSError("the disk is gone")

    async with elsewhere() as other:
        with pytest.raises(OSError, match="the disk is gone"):
            await other.restore(failing())
        assert await other.collections() == []
    assert files(tmp_path / "other" / "files") == {}


async def test_the_form_is_the_one_that_is_written_down(tar):
    """Whoever reads backups with other programs relies on it."""
    contents = opened(tar)
    header = json.loads(contents["backup.json"])
    assert (header["format"], header["collections"]) == (2, ["c", "d"])
    told = json.loads(contents["collections/c/collection.json"])
    (index,) = told["indexes"]
    place = f"collections/c/indexes/{told['active']}"
    line = json.loads(contents[f"{place}/passages-000001.jsonl"].splitlines()[0])
    assert line.keys() == {"id", "payload", "dense", "indices", "values"}
    document = json.loads(contents[f"{place}/documents-000001.jsonl"].splitlines()[0])
    assert {"source", "live", "passages", "suffix"} <= document.keys()
    assert index["record"]["identity"]["encoder"]["dimension"] == 32
    parts = [name for name in contents if name.startswith(f"{place}/passages")]
    assert len(parts) > 2, "never whole in memory"
    assert sum(contents[name].count(b"\n") for name in parts) == index["passages"]


async def test_a_restore_asks_for_the_room_that_originals_take(elsewhere, tmp_path):
    large = write(tmp_path / "large", {"a.txt": prose("a", 400)})
    async with elsewhere("first") as first:
        await first.ingest("c", [large])
        data, _ = await backed_up(first)
    asked = []
    async with elsewhere("second") as second:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EdgeStore, "require_room", lambda _, size: asked.append(size))
            await second.restore(pieces(data))
        assert asked == [2 * (large / "a.txt").stat().st_size]  # its scratch file, and the original
    assert not list((tmp_path / "second" / "files" / "c").glob(".*"))


async def test_a_killed_restore_takes_no_originals_away_that_were_there(
    elsewhere, folder, tmp_path
):
    async with elsewhere("first") as first:
        await first.ingest("c", [folder])
        data, _ = await backed_up(first)
    originals = tmp_path / "second" / "files" / "c"
    kept = originals / ("0" * 64)
    originals.mkdir(parents=True)
    kept.write_text("the indexes of this were moved away")
    async with elsewhere("second") as second:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("abandon", "finish"):  # killed before its end
                patch.setattr(backup._Draft, name, lambda *_: None)
            patch.setattr(backup._Draft, "adopt", lambda _: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                await second.restore(pieces(data))
    async with elsewhere("second"):
        assert kept.exists()


class Killed(Exception):
    pass
