"""The service as each person may use it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from argon2 import PasswordHasher

from data.errors import RagAppError
from rag_app.accounts import guarded
from rag_app.accounts.guarded import guard
from rag_app.accounts.rights import CURRENT, NOBODY, OPERATOR, Forbidden, Person
from rag_app.accounts.users import Users
from rag_app.errors import CollectionBusy
from rag_app.service import QueryOptions
from retrieval.index.errors import UnknownCollection
from tests.rag_app.support import prose, write


@contextmanager
def asking(person: Person) -> Iterator[None]:
    token = CURRENT.set(person)
    try:
        yield
    finally:
        CURRENT.reset(token)


@pytest.fixture
def users(settings) -> Users:
    users = Users(settings.storage.path, PasswordHasher(1, 8, 1))
    users.add("boss", "admin", "a lamp at dusk")
    return users


@pytest.fixture
def people(users) -> dict[str, Person]:
    roles = {"alice": "writer", "bob": "writer", "eve": "reader"}
    made = [users.add(name, role, "a lamp at dusk") for name, role in roles.items()]
    return {one.name: Person(one.id, one.role, one.name) for one in (*made, users.named("boss"))}


@pytest.fixture
def service(application, users):
    return guard(application, users)


async def ingest(service, collection: str, folder) -> None:
    await service.ingest(collection, [write(folder / collection, {"a.txt": prose("a", 40)})])


async def names(service) -> list[str]:
    return [one.name for one in await service.collections()]


async def test_what_a_user_makes_is_private_until_it_is_given_away(
    service, people, users, tmp_path
):
    with asking(OPERATOR):
        await ingest(service, "shared", tmp_path)
    with asking(people["alice"]):
        await ingest(service, "alices", tmp_path)
        assert await names(service) == ["alices", "shared"]
    for name in ("bob", "eve"):
        with asking(people[name]):
            assert await names(service) == ["shared"]
            with pytest.raises(UnknownCollection) as refused:
                await service.search("alices", "lantern")
            assert "known: shared." in str(refused.value), "no list of others' names"
            with pytest.raises(UnknownCollection) as unknown:
                await service.search("nothing", "lantern")
            assert str(unknown.value) == str(refused.value).replace("alices", "nothing")
            with pytest.raises(UnknownCollection):
                async for _ in service.ask("alices", "lantern"):
                    pass
    with asking(people["boss"]):
        assert await names(service) == ["alices", "shared"]
    users.set_owner("alices")
    with asking(people["eve"]):
        assert (await service.search("alices", "lantern")).hits
        with pytest.raises(Forbidden, match="a reader may not write collection 'alices'"):
            await service.delete_document("alices", "a.txt")


async def test_private_collections_stay_so_when_others_ask_or_they_are_renamed(
    service, people, tmp_path
):
    with asking(OPERATOR):
        await ingest(service, "shared", tmp_path)
    with asking(people["alice"]):
        await ingest(service, "alices", tmp_path)
        both = QueryOptions(also=("alices",))
        found = await service.search("shared", "lantern", both)
        assert {hit.collection for hit in found.hits} == {"shared"}  # equal passages
        await service.rename_collection("alices", "mine")
        assert await names(service) == ["mine", "shared"]
        with pytest.raises(Forbidden):
            await service.rename_collection("shared", "hers")
    for name in ("bob", "eve"):
        with asking(people[name]):
            assert await names(service) == ["shared"]
            for other in ("alices", "mine"):
                with pytest.raises(UnknownCollection):
                    await service.search("shared", "lantern", QueryOptions(also=(other,)))
                with pytest.raises(UnknownCollection):
                    async for _ in service.ask("shared", "x", (), QueryOptions(also=(other,))):
                        pass
            with pytest.raises(RagAppError):
                await service.rename_collection("mine", "theirs")
    with asking(people["bob"]):
        await ingest(service, "alices", tmp_path)  # the old name is anyone's
        with pytest.raises(RagAppError):
            await service.rename_collection("alices", "mine")
    with asking(people["alice"]):
        assert await names(service) == ["mine", "shared"]


async def test_each_role_does_what_it_is_for(service, people, tmp_path):
    with asking(OPERATOR):
        await ingest(service, "shared", tmp_path)
    with asking(people["eve"]):
        for work in (
            lambda: ingest(service, "shared", tmp_path), lambda: service.create_collection("new"),
            lambda: ingest(service, "new", tmp_path), lambda: service.drop_collection("shared"),
        ):  # fmt: skip
            with pytest.raises(Forbidden):
                await work()
    with asking(people["bob"]):
        assert await service.delete_document("shared", "a.txt")
        for work in (
            lambda: service.drop_collection("shared"),
            lambda: service.rebuild_collection("shared"),
            lambda: anext(service.backup(["shared"])),
        ):
            with pytest.raises(Forbidden):
                await work()
        await service.create_collection("bobs")
        await service.drop_collection("bobs")
    with asking(people["alice"]):
        await service.create_collection("bobs")
        await service.drop_collection("bobs")
    with asking(people["boss"]):
        await service.drop_collection("shared")
        assert await names(service) == []


async def test_a_name_is_made_by_one_alone(service, people, users):
    async def make(name: str) -> str:
        with asking(people[name]):
            try:
                await service.create_collection("new")
            except RagAppError:
                return ""
        return name

    (made,) = {one for one in await asyncio.gather(*map(make, ("alice", "bob"))) if one}
    assert users.owners() == {"new": people[made].id}


async def test_a_name_is_made_by_one_alone_of_several_processes(
    application, users, people, settings
):
    doors = [guard(application, Users(settings.storage.path)) for _ in range(2)]

    async def make(door, name: str) -> str:
        with asking(people[name]):
            try:
                await door.create_collection("new")
            except RagAppError:
                return ""
        return name

    tries = zip(doors, ("alice", "bob"), strict=True)
    (made,) = {one for one in await asyncio.gather(*(make(*one) for one in tries)) if one}
    assert users.owners() == {"new": people[made].id}


async def test_what_fails_in_one_process_gives_away_nothing_that_its_user_makes_in_another(
    application, users, people, settings, monkeypatch
):
    monkeypatch.setattr(guarded, "PATIENCE", 0)
    one, other = (guard(application, Users(settings.storage.path)) for _ in range(2))
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        begun.set()
        await goes_on.wait()
        yield prose("a", 40).encode()

    async def broken() -> AsyncIterator[bytes]:
        raise RagAppError("the client has left")
        yield b""

    with asking(people["alice"]):
        first = asyncio.ensure_future(one.add_document("new", "a.txt", slow()))
        await begun.wait()
        with pytest.raises(CollectionBusy):
            await other.add_document("new", "b.txt", broken())
        goes_on.set()
        await first
    assert users.owners() == {"new": people["alice"].id}


async def bytes_of(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


async def upload(service, person: Person, number: int) -> None:
    with asking(person):
        await service.add_document("new", f"{number}.txt", bytes_of(prose(f"a{number}", 40)))


async def test_first_uploads_of_one_user_at_once_all_come_in(service, people, users):
    alice = people["alice"]
    await asyncio.gather(*(upload(service, alice, number) for number in range(4)))
    assert users.owners() == {"new": alice.id}
    with asking(alice):
        assert len(await service.documents("new")) == 4


async def test_first_uploads_to_what_is_shared_all_come_in(service, people, users):
    both = (OPERATOR, people["boss"], people["alice"], people["bob"])
    tasks = [asyncio.ensure_future(upload(service, OPERATOR, 0))]
    while not users.owners():  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0)
    tasks += [asyncio.ensure_future(upload(service, one, n)) for n, one in enumerate(both, 1)]
    await asyncio.gather(*tasks)
    assert users.owners() == {}
    with asking(OPERATOR):
        assert len(await service.documents("new")) == 5


async def test_whoever_waited_for_anothers_private_collection_is_not_let_in(service, people, users):
    first = asyncio.ensure_future(upload(service, people["alice"], 0))
    while not users.owners():  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0)
    with pytest.raises(UnknownCollection):
        await upload(service, people["bob"], 1)
    await first
    with asking(people["alice"]):
        assert [one.source for one in await service.documents("new")] == ["0.txt"]


async def test_waiting_for_a_name_ends_with_the_reason(service, people, users, monkeypatch):
    monkeypatch.setattr(guarded, "PATIENCE", 0.2)
    users.claim("new", people["alice"].id)  # as another process does that makes it
    with pytest.raises(CollectionBusy, match="'new' is being made or deleted"):
        await upload(service, people["bob"], 0)
    assert users.owners() == {"new": people["alice"].id}


async def test_what_waited_to_be_dropped_may_be_anothers_by_then(
    application, service, people, users, monkeypatch
):
    monkeypatch.setattr(guarded, "_PAUSE", 0.5)
    begun, goes_on, drop = asyncio.Event(), asyncio.Event(), application.drop_collection

    async def drop_slowly(name: str) -> None:
        begun.set()
        await goes_on.wait()
        await drop(name)

    monkeypatch.setattr(application, "drop_collection", drop_slowly)
    with asking(people["alice"]):
        await service.create_collection("new")
        first = asyncio.ensure_future(service.drop_collection("new"))
        await begun.wait()
        second = asyncio.ensure_future(service.drop_collection("new"))
        await asyncio.sleep(0.1)
    goes_on.set()
    await first
    with asking(people["bob"]):
        await service.create_collection("new")
        with pytest.raises(UnknownCollection):
            await second
        assert await names(service) == ["new"]


async def test_a_name_that_nothing_came_of_is_anyones(service, people, users, tmp_path):
    with asking(people["alice"]), pytest.raises(RagAppError):
        await service.ingest("new", [tmp_path / "nothing"])
    assert users.owners() == {}
    with asking(people["bob"]):
        await service.create_collection("new")
    assert users.owners() == {"new": people["bob"].id}


async def test_whoever_is_not_known_gets_nothing(service, tmp_path):
    with asking(OPERATOR):
        await ingest(service, "shared", tmp_path)
    with asking(NOBODY):
        assert await names(service) == []
        with pytest.raises(UnknownCollection):
            await service.documents("shared")
        with pytest.raises(Forbidden):
            await service.embed(["a"])


async def test_a_model_alone_needs_no_collection(service, people, users):
    users.set_owner("default", people["alice"].id)
    with asking(people["eve"]):
        alone = QueryOptions(retriever="none")
        assert [one async for one in service.ask("default", "q", (), alone)]
        with pytest.raises(UnknownCollection):
            await service.search("default", "q")


async def test_where_there_are_no_users_nothing_is_anyones(application, tmp_path):
    for service in (
        guard(application, None),
        guard(application, Users(tmp_path / "none")),
    ):
        with asking(Person("b" * 32, "admin")):
            await ingest(service, "c", tmp_path)
        with asking(Person("", "reader", reads_only=True)):
            assert await names(service) == ["c"]
            with pytest.raises(Forbidden, match="printed at its start"):
                await service.drop_collection("c")
        assert not (tmp_path / "none").exists()
