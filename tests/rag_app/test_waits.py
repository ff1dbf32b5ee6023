"""Clients that stall: whoever else works on the collection goes on, or is told why not."""

import asyncio

import pytest

from rag_app import application as applications
from rag_app.collections import indexes as collection_indexes
from rag_app.collections import stores as open_stores
from rag_app.collections.stores import CollectionBusy
from rag_app.errors import ApplicationError
from retrieval.index.errors import UnknownCollection
from tests.rag_app.support import prose, write


@pytest.fixture
async def held(application, tmp_path):
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a", 400)})])
    return application


async def test_a_client_that_stalls_in_a_list_of_passages_does_not_stop_a_delete(held):
    passages = held.passages("c")
    await anext(passages)
    async with asyncio.timeout(20):
        await held.drop_collection("c")
        assert await held.collections() == []
    with pytest.raises(UnknownCollection):
        await anext(passages)


async def test_a_client_that_stalls_in_a_backup_gives_the_collection_back(held, monkeypatch):
    monkeypatch.setattr(applications, "STALL", 0.05)
    monkeypatch.setattr("rag_app.collections.backup._PIECE", 1000)
    backup = held.backup(["c"])
    for _ in range(3):  # the first pieces come before the collection is held
        await anext(backup)
    async with asyncio.timeout(20):
        assert await held.delete_document("c", "a.txt")
    with pytest.raises(ApplicationError, match="nothing was read of the backup"):
        await anext(backup)
    await backup.aclose()


async def test_a_client_that_stalls_in_a_restore_gives_the_collection_back(held, monkeypatch):
    content = b"".join([piece async for piece in held.backup(["c"]) if isinstance(piece, bytes)])
    monkeypatch.setattr(applications, "STALL", 0.05)

    async def stalling():
        yield content[: len(content) // 2]
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        with pytest.raises(ApplicationError, match="nothing was sent of the backup"):
            await held.restore(stalling(), replace=True)
        assert await held.delete_document("c", "a.txt")


async def test_whoever_waits_too_long_for_readers_or_writers_is_told(held, monkeypatch):
    monkeypatch.setattr(open_stores, "READERS_PATIENCE", 0.05)
    monkeypatch.setattr(collection_indexes, "WRITERS_PATIENCE", 0.05)
    async with held._stores.reading("c", held._spec):
        with pytest.raises(CollectionBusy, match="reading it"):
            await held.drop_collection("c")
    with held._indexes.writing_to("c"), pytest.raises(CollectionBusy, match="changing"):
        await held.delete_document("c", "a.txt")
    await held.drop_collection("c")
