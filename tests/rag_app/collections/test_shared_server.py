"""Open stores of several processes on one Qdrant server: what one does, the others notice."""

import threading
from collections.abc import Iterator

import pytest

from rag_app.assembly.application import encoders
from rag_app.collections.indexes import Indexes
from rag_app.collections.stores import OpenStores
from retrieval.index.errors import IndexGone, UnknownCollection
from retrieval.index.server_collections import ServerCollections, connect
from tests.rag_app.support import spec
from tests.retrieval.index.qdrant_server import QdrantServer

SPEC = spec()


@pytest.fixture(scope="module")
def server() -> Iterator[QdrantServer]:
    started = QdrantServer()
    yield started
    started.stop()


@pytest.fixture(params=["rest", "grpc"])
def processes(server: QdrantServer, request) -> Iterator[list[ServerCollections]]:
    """The collections as two processes see them."""
    clients = [
        connect(server.url, prefer_grpc=request.param == "grpc", grpc_port=server.grpc_port)
        for _ in range(2)
    ]
    made = [ServerCollections(client) for client in clients]
    yield made
    for name in made[0].names():
        made[0].drop(name)
    for client in clients:
        client.close()


async def test_a_collection_that_another_process_deletes_is_not_known_any_longer(processes):
    ours, theirs = processes
    stores = OpenStores(ours)
    stores.create("papers", SPEC)
    async with stores.reading("papers", SPEC) as store:
        assert store.records() == []
    theirs.drop("papers")
    with pytest.raises(IndexGone, match="ask again"):
        async with stores.reading("papers", SPEC) as store:
            store.records()
    with pytest.raises(UnknownCollection):
        async with stores.reading("papers", SPEC):
            pass


async def test_one_that_another_process_replaces_is_read_anew(processes):
    ours, theirs = processes
    stores = OpenStores(ours)
    stores.create("papers", SPEC)
    async with stores.reading("papers", SPEC) as store:
        assert store.collection().average_length == 0
    draft = theirs.draft("papers", SPEC, "00c0ffee")
    draft.put_collection(draft.collection().refreshed(7.0).built())
    theirs.adopt("papers", "00c0ffee", SPEC.fingerprint)
    with pytest.raises(IndexGone):
        async with stores.reading("papers", SPEC) as store:
            store.collection()
    async with stores.reading("papers", SPEC) as store:
        assert store.collection().average_length == 7


def test_two_processes_do_not_change_a_collection_at_once(processes, settings, encoder, tmp_path):
    made = encoders(settings)
    ours, theirs = (Indexes(each, OpenStores(each), made, tmp_path / "files") for each in processes)
    order: list[str] = []
    begun = threading.Event()

    def change() -> None:
        begun.set()
        with theirs.writing_to("papers"):
            order.append("theirs")

    thread = threading.Thread(target=change)
    with ours.writing_to("papers"), theirs.writing_to("others"):
        thread.start()
        begun.wait(10)
        thread.join(0.1)
        order.append("ours")
    thread.join(10)
    made.close()
    assert order == ["ours", "theirs"]
