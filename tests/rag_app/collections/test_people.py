"""A backup brings back conversations, users and keys, and writes over none that are there."""

import json
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rag_app.accounts.chats import EVERYONE
from rag_app.accounts.chats.votes import Vote
from rag_app.accounts.keys import Keys
from rag_app.accounts.users import User, Users
from rag_app.application import Application
from rag_app.assembly import application as assembly
from rag_app.collections.archive import DamagedBackup
from rag_app.errors import ApplicationError
from rag_app.settings import override
from rag_app.web.access import stored_secret
from tests.rag_app.accounts.chats.talk import a_turn
from tests.rag_app.collections.test_backup import backed_up, closed, opened, pieces
from tests.rag_app.support import prose, write

PASSWORD = "a lamp at dusk"


def people(storage: Path) -> Users:
    """With hashes that cost nothing."""
    return Users(storage, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


async def talk(application: Application, owner: str) -> str:
    turn = a_turn()
    made = await application.chats.begin(owner, "", turn)
    await application.chats.finish(owner, made, turn)
    await application.chats.rate_answer(owner, made, 1, "up", "so it is")
    return made


@pytest.fixture
async def anne(application, settings, tmp_path) -> User:
    """A user with a private collection, a conversation, a vote, and a key."""
    storage = settings.storage.path
    users = people(storage)
    users.add("boss", "admin", PASSWORD)
    anne = users.add("anne", "writer", PASSWORD)
    await application.ingest("c", [write(tmp_path / "in", {"a.txt": prose("a")})])
    users.set_owner("c", anne.id)
    await talk(application, anne.id)
    await application.chats.keep_vote(anne.id, Vote("q?", "c", ["bm25", "dense"], "bm25"))
    Keys(storage).create("a script", owner=anne.id)
    return anne


@pytest.fixture
async def other(settings, encoder, tmp_path) -> AsyncIterator[Application]:
    """An application on another storage folder."""
    made, _ = assembly.open_application(override(settings, {"storage": {"path": tmp_path / "b"}}))
    yield made
    await made.close()


async def test_a_person_finds_all_of_theirs_again(application, anne, other, settings, tmp_path):
    here, there = settings.storage.path, tmp_path / "b"
    secret, session = stored_secret(here), people(here).begin_session(anne.id)
    tar, written = await backed_up(application)
    assert (written.conversations, written.users, written.keys) == (1, 2, 1)
    report = await other.restore(pieces(tar))
    assert (report.conversations, report.users, report.keys, report.left_out) == (1, 2, 1, [])
    users = people(there)
    assert users.all() == people(here).all()
    assert users.verify("anne", PASSWORD) == anne
    assert users.of_session(session) is None, "a session ends with its machine"
    assert users.owners() == {"c": anne.id}
    assert Keys(there).all() == Keys(here).all()
    [info] = await other.chats.conversations(anne.id)
    again = await other.chats.conversation(anne.id, info.id)
    assert again == await application.chats.conversation(anne.id, info.id)
    assert again.turns[0].rating == "up"
    assert await other.chats.votes(anne.id) == await application.chats.votes(anne.id)
    assert stored_secret(there) == secret, "a browser that nobody logs in from is known, too"
    files = [path for path in there.iterdir() if path.suffix == ".sqlite"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert not list(there.glob(".people-*"))


async def test_what_is_there_stays_and_nobody_comes_back_unnoticed(
    application, anne, settings, tmp_path
):
    storage = settings.storage.path
    users, keys, chats = people(storage), Keys(storage), application.chats
    tar, _ = await backed_up(application)
    [info] = await chats.conversations(anne.id)
    await chats.rename_conversation(anne.id, info.id, "Another title")
    deleted = await talk(application, anne.id)
    kept, _ = await backed_up(application)
    await chats.delete_conversation(anne.id, deleted)
    for key in keys.all():
        keys.revoke(key.id)
    users.remove("anne")
    users.set_owner("c")
    report = await application.restore(pieces(kept), replace=True)
    assert (report.conversations, report.users, report.keys) == (1, 0, 0)
    assert report.left_out == ["2 users", "1 keys"]
    assert [user.name for user in users.all()] == ["boss"]
    assert keys.all() == []
    assert users.owners() == {"c": anne.id}, "what was private is nobody else's now"
    found = {one.id: one.title for one in await chats.conversations(EVERYONE)}
    assert found[info.id] == "Another title"
    assert deleted in found
    again = await application.restore(pieces(tar), replace=True)
    assert again.conversations == 0


async def test_collections_that_are_named_bring_their_owner_and_no_people(
    application, anne, other, tmp_path
):
    whole, _ = await backed_up(application)
    named, report = await backed_up(application, "c")
    assert (report.conversations, report.users, report.keys) == (0, 0, 0)
    assert not [name for name in opened(named) if "sqlite" in name]
    await other.restore(pieces(whole), ["c"])
    assert people(tmp_path / "b").all() == []
    assert await other.chats.conversations(EVERYONE) == []
    await other.restore(pieces(named), replace=True)
    assert people(tmp_path / "b").owners() == {"c": anne.id}


async def test_a_backup_of_the_form_before_has_no_people(application, anne, other, tmp_path):
    tar, _ = await backed_up(application)
    old = {
        name: content
        for name, content in opened(tar).items()
        if not name.endswith((".sqlite", ".key"))
    }
    old["backup.json"] = old["backup.json"].replace(b'"format":2', b'"format":1')
    collection = json.loads(old["collections/c/collection.json"])
    del collection["owner"]
    old["collections/c/collection.json"] = json.dumps(collection).encode()
    report = await other.restore(pieces(closed(old)))
    assert [one.name for one in report.collections] == ["c"]
    assert (report.conversations, report.users, report.left_out) == (0, 0, [])
    assert not (tmp_path / "b" / "users.sqlite").exists()


FORGERIES = {
    "no database": "",
    "nobody is an admin": "UPDATE users SET role = 'reader'",
    "a role that there is not": "UPDATE users SET role = 'root' WHERE name = 'anne'",
    "a value of another type": "UPDATE users SET password = x'00'",
    "a view": "ALTER TABLE users RENAME TO u; CREATE VIEW users AS SELECT * FROM u",
    "a newer version": "PRAGMA user_version = 99",
}


async def test_users_that_are_none_change_nothing(application, anne, other, tmp_path):
    tar, _ = await backed_up(application)
    for forgery, statements in FORGERIES.items():
        contents, file = opened(tar), tmp_path / f"{forgery}.sqlite"
        file.write_bytes(contents["users.sqlite"])
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(statements).close()
        contents["users.sqlite"] = file.read_bytes() if statements else b"Dear Sir" * 999
        with pytest.raises(DamagedBackup):
            await other.restore(pieces(closed(contents)))
        assert await other.collections() == [], forgery
        assert await other.chats.conversations(EVERYONE) == [], forgery
        assert people(tmp_path / "b").all() == [], forgery
    assert not list((tmp_path / "b").glob(".people-*"))


async def test_an_owner_is_the_id_of_a_user(application, anne, other):
    tar, _ = await backed_up(application)
    contents = opened(tar)
    manifest = contents["collections/c/collection.json"]
    contents["collections/c/collection.json"] = manifest.replace(anne.id.encode(), b"../boss")
    with pytest.raises(ApplicationError, match="damaged"):
        await other.restore(pieces(closed(contents)))
