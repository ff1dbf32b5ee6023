import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from rag_app.collections.stores import OpenStores
from retrieval.index.base import PassageStore
from retrieval.index.edge_collections import EdgeCollections
from retrieval.index.errors import BadCollectionName, UnknownCollection, UnknownIndex
from retrieval.index.fingerprint import IndexSpec
from tests.encoders import HashingEncoder
from tests.rag_app.support import spec

SPEC = spec()
OTHER = spec(encoder=HashingEncoder(name="other"))


@pytest.fixture
def stores(tmp_path) -> Iterator[OpenStores]:
    stores = OpenStores(EdgeCollections(tmp_path / "collections"))
    yield stores
    stores.close()


def works(store) -> bool:
    return store.records() == []


async def test_all_readers_share_one_open_store(stores):
    created = stores.create("papers", SPEC)
    assert stores.create("papers", SPEC) is created
    assert stores.open("papers", SPEC) is created
    async with stores.reading("papers", SPEC) as one, stores.reading("papers", SPEC) as other:
        assert one is other is created


async def test_a_collection_is_opened_by_its_first_reader(stores, tmp_path):
    stores.create("papers", SPEC)
    stores.close()
    async with stores.reading("papers", SPEC) as store:
        assert works(store)


async def test_what_is_not_there_is_named(stores):
    with pytest.raises(UnknownCollection, match="papers"):
        async with stores.reading("papers", SPEC):
            pass
    with pytest.raises(UnknownCollection):
        stores.open("papers", SPEC)
    with pytest.raises(BadCollectionName):
        stores.create("../papers", SPEC)


async def test_closing_waits_for_readers_and_new_readers_wait_for_it(stores):
    stores.create("papers", SPEC)
    order: list[str] = []
    closing, go_on = threading.Event(), threading.Event()

    def replace() -> None:
        with stores.closed("papers"):
            order.append("closed")
            closing.set()
            assert go_on.wait(10)
            order.append("replaced")

    async def read_later() -> None:
        async with stores.reading("papers", SPEC) as store:
            order.append("read again")
            assert works(store)

    async with stores.reading("papers", SPEC) as store:
        replacing = asyncio.create_task(asyncio.to_thread(replace))
        await asyncio.sleep(0.1)
        assert not closing.is_set()
        late = asyncio.create_task(read_later())
        await asyncio.sleep(0.05)
        assert works(store), "whoever reads keeps an open store"
        order.append("first reader ends")
    assert await asyncio.to_thread(closing.wait, 10)
    await asyncio.sleep(0.05)
    go_on.set()
    await asyncio.gather(replacing, late)
    assert order == ["first reader ends", "closed", "replaced", "read again"]


async def test_many_waiting_readers_hold_no_threads(stores):
    stores.create("papers", SPEC)
    entered, go_on = threading.Event(), threading.Event()

    def replace() -> None:
        with stores.closed("papers"):
            entered.set()
            go_on.wait(10)

    thread = threading.Thread(target=replace)
    thread.start()
    assert await asyncio.to_thread(entered.wait, 10)

    async def read() -> bool:
        async with stores.reading("papers", SPEC) as store:
            return works(store)

    readers = [asyncio.create_task(read()) for _ in range(100)]
    await asyncio.sleep(0.05)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: True), 5)
    go_on.set()
    assert all(await asyncio.gather(*readers))
    thread.join()


async def test_those_who_read_now_are_waited_for_and_those_who_come_later_are_not(stores):
    stores.create("papers", SPEC)
    async with AsyncExitStack() as early:
        await early.enter_async_context(stores.reading("papers", SPEC))
        waiting = asyncio.create_task(
            asyncio.to_thread(stores.await_readers, "papers", SPEC.fingerprint)
        )
        await asyncio.sleep(0.05)
        assert not waiting.done()
        async with stores.reading("papers", SPEC):
            await early.aclose()
            await asyncio.wait_for(waiting, 5)
    stores.await_readers("papers", SPEC.fingerprint)


async def test_a_cancelled_reader_does_not_hold_the_collection(stores):
    stores.create("papers", SPEC)
    stores.close()

    async def read() -> None:
        async with stores.reading("papers", SPEC):
            await asyncio.sleep(60)

    for wait in (0, 0.001, 0.1):
        task = asyncio.create_task(read())
        await asyncio.sleep(wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    done = threading.Event()

    def close() -> None:
        with stores.closed("papers"):
            done.set()

    await asyncio.wait_for(asyncio.to_thread(close), 5)
    assert done.is_set()


async def test_readers_come_and_go_while_a_collection_is_replaced_again_and_again(stores):
    stores.create("papers", SPEC)
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            with stores.closed("papers"):
                pass

    thread = threading.Thread(target=replace)
    thread.start()

    async def read() -> None:
        for _ in range(10):
            async with stores.reading("papers", SPEC) as store:
                assert await asyncio.to_thread(works, store)

    try:
        await asyncio.wait_for(asyncio.gather(*(read() for _ in range(8))), 30)
    finally:
        stop.set()
        thread.join()


# --- several indexes of one collection --------------------------------------------------------


def whole(stores: OpenStores, spec: IndexSpec) -> PassageStore:
    """A second index, ready to be searched."""
    store = stores.stage("papers", spec)
    store.put_collection(store.collection().built())
    return store


async def test_whoever_asks_with_a_spec_gets_its_index_once_it_is_whole(stores):
    first = stores.create("papers", SPEC)
    staged = stores.stage("papers", OTHER)
    assert stores.stage("papers", OTHER) is staged
    assert stores.open("papers", OTHER) is first
    async with stores.reading("papers", OTHER) as store:
        assert store is first, "nobody searches half an index"
    whole(stores, OTHER)
    assert stores.open("papers", OTHER) is staged
    async with stores.reading("papers", OTHER) as other, stores.reading("papers", SPEC) as store:
        assert (other, store) == (staged, first)
    async with stores.reading_all("papers", OTHER) as every:
        assert every == [staged, first]
    async with stores.reading_all("papers", SPEC) as every:
        assert every == [first, staged]


def test_an_index_that_was_opened_to_be_listed_goes_on_with_its_own_spec(stores):
    stores.create("papers", SPEC)
    whole(stores, OTHER)
    stores.close()
    listed = stores.open("papers", SPEC, OTHER.fingerprint)
    assert listed.spec is SPEC
    assert stores.open("papers", OTHER) is listed
    assert listed.spec is OTHER
    assert stores.open("papers", SPEC, OTHER.fingerprint).spec is OTHER, "it is not lost again"


async def test_closing_one_index_leaves_readers_of_the_others_alone(stores):
    first = stores.create("papers", SPEC)
    assert stores.open("papers", SPEC) is first
    whole(stores, OTHER)
    async with stores.reading("papers", SPEC) as store:
        with stores.closed("papers", OTHER.fingerprint):
            assert works(store)
            async with stores.reading("papers", SPEC) as again:
                assert again is first


async def test_reading_all_indexes_while_the_collection_is_closed_blocks_nobody(stores):
    stores.create("papers", SPEC)
    whole(stores, OTHER)
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            with stores.closed("papers"):
                pass
            with stores.closed("papers", OTHER.fingerprint):
                pass

    thread = threading.Thread(target=replace)
    thread.start()

    async def read() -> None:
        for _ in range(10):
            async with stores.reading_all("papers", SPEC) as every:
                assert [works(store) for store in every] == [True, True]

    try:
        await asyncio.wait_for(asyncio.gather(*(read() for _ in range(4))), 60)
    finally:
        stop.set()
        thread.join()


def test_an_index_that_does_not_exist_is_named(stores):
    stores.create("papers", SPEC)
    with pytest.raises(UnknownIndex, match=OTHER.fingerprint):
        stores.open("papers", OTHER, OTHER.fingerprint)
