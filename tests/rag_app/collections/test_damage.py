"""One damaged collection among whole ones: it says why, and the others work."""

import pytest

from rag_app.assembly import application as assembly
from rag_app.errors import ApplicationError
from rag_app.service import QueryOptions
from rag_app.settings import override
from retrieval.index.errors import DamagedIndex
from retrieval.sparse import SparseVector
from tests.rag_app.building import install
from tests.rag_app.support import prose, twin, write

WORDS = QueryOptions(retriever="bm25", top_k=1000)


def damage(storage, name):
    """Spoil the texts of a closed collection."""
    (page,) = (storage / "collections" / name).rglob("payload_storage/page_0.dat")
    page.write_bytes(b"")


async def test_a_damaged_collection_is_shown_with_its_reason_and_the_others_work(
    settings, encoder, tmp_path
):
    folder = write(tmp_path / "in", {"a.txt": prose("a"), "b.txt": prose("b")})
    application, _ = assembly.open_application(settings)
    for name in ("hurt", "whole"):
        await application.ingest(name, [folder])
    await application.close()
    damage(settings.storage.path, "hurt")

    application, _ = assembly.open_application(settings)
    hurt, whole = await application.collections()
    assert (hurt.name, hurt.usable, whole.usable, whole.damage) == ("hurt", False, True, "")
    assert "rag-app collections repair hurt" in hurt.damage
    assert (await application.search("whole", "harbour", WORDS)).hits
    with pytest.raises(DamagedIndex):
        await application.search("hurt", "harbour", WORDS)
    await application.ingest("whole", [write(folder, {"c.txt": prose("c")})])
    await application.drop_collection("hurt")
    assert [one.name for one in await application.collections()] == ["whole"]
    await application.close()


async def test_a_repaired_collection_holds_the_same_documents_again(settings, encoder, tmp_path):
    files = {f"{name}.txt": prose(name) for name in "abc"}
    application, _ = assembly.open_application(settings)
    await application.ingest("c", [write(tmp_path / "in", files)])
    await application.delete_document("c", "b.txt")
    documents, before = await application.documents("c"), await texts(application)
    await application.close()
    damage(settings.storage.path, "c")

    application, _ = assembly.open_application(settings)
    report = await application.repair_collection("c")
    assert (report.added, report.failures) == (2, [])
    assert await texts(application) == before
    assert [one.source for one in await application.documents("c")] == [
        one.source for one in documents
    ]
    assert not (await application.collections())[0].damage
    again = await application.ingest("c", [tmp_path / "in" / "a.txt"])
    assert again.unchanged == 1
    with pytest.raises(ApplicationError, match="is not damaged"):
        await application.repair_collection("c")
    await application.close()
    left = (settings.storage.path / "collections" / "c").iterdir()
    assert len([path for path in left if path.is_dir()]) == 1


async def test_damage_that_opening_does_not_see_is_found_by_repair(settings, encoder, tmp_path):
    application, _ = assembly.open_application(settings)
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a", 60)})])
    before = await texts(application)
    async with application._stores.reading("c", application._spec) as store:
        ids = [one.id for batch in store.dump() for one in batch]
        store.reweigh(ids[-3:], [SparseVector([], [])] * 3)
    await application.close()

    application, _ = assembly.open_application(settings)
    assert not (await application.collections())[0].damage
    await application.repair_collection("c")
    assert await texts(application) == before
    await application.close()


async def test_documents_without_their_originals_are_named_by_a_repair(settings, encoder, tmp_path):
    application, _ = assembly.open_application(settings)
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a"), "b.txt": "Bee."})])
    await application.close()
    damage(settings.storage.path, "c")
    (lost,) = [f for f in (settings.storage.path / "files" / "c").iterdir() if f.stat().st_size < 9]
    lost.unlink()

    application, _ = assembly.open_application(settings)
    report = await application.repair_collection("c")
    assert [one.source for one in report.failures] == ["b.txt"]
    assert [one.source for one in await application.documents("c")] == ["a.txt"]
    await application.close()


async def test_only_the_damaged_index_of_several_is_built_anew(settings, monkeypatch, tmp_path):
    near, far = twin("near"), twin("far")
    install({"near": near, "far": far}, monkeypatch.setattr)
    settings = override(settings, {"encoder": {"name": "near"}})
    application, _ = assembly.open_application(settings)
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a")})])
    await application.build_index("c", "far")
    before, hurt = await texts(application), application._spec.fingerprint
    await application.close()
    damage(settings.storage.path, f"c/{hurt}")
    encoded = len(far.encoded)

    application, _ = assembly.open_application(settings)
    assert (await application.collections())[0].damage
    await application.repair_collection("c")
    assert await texts(application) == before
    assert [one.encoder for one in await application.indexes("c") if one.usable] == ["near", "far"]
    assert len(far.encoded) == encoded
    await application.close()


@pytest.mark.parametrize("content", [None, b"", b"\xff\x00", b"0123456789abcdef"])
async def test_a_lost_name_of_the_active_index_is_found_again(settings, encoder, tmp_path, content):
    application, _ = assembly.open_application(settings)
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a")})])
    before = await texts(application)
    await application.close()
    alias = settings.storage.path / "collections" / "c" / "active"
    alias.unlink() if content is None else alias.write_bytes(content)

    application, _ = assembly.open_application(settings)
    assert [one.damage for one in await application.collections()] == [""]
    assert await texts(application) == before
    await application.close()


async def texts(application):
    found = await application.search("c", "harbour lantern willow granite signal", WORDS)
    return sorted(hit.text for hit in found.hits)
