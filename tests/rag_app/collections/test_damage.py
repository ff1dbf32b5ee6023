"""One damaged collection among whole ones: it says why, and the others work."""

import pytest

from rag_app.assembly import application as assembly
from rag_app.service import QueryOptions
from retrieval.index.errors import DamagedIndex
from tests.rag_app.support import prose, write

WORDS = QueryOptions(retriever="bm25")


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
