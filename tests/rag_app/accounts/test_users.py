"""The users of a storage folder: what is kept of them, and when their sessions end."""

import stat
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from data.errors import RagAppError
from rag_app.accounts import users as module
from rag_app.accounts.users import FILE, Users

PASSWORD = "a lamp at dusk"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    """With one admin, and hashes that cost nothing."""
    users = Users(tmp_path, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    users.add("boss", "admin", PASSWORD)
    return users


def test_nothing_is_made_before_the_first_user(tmp_path):
    users = Users(tmp_path)
    assert (users.exist(), users.all(), users.owners()) == (False, [], {})
    assert users.find("0" * 32) is users.of_session("token") is None
    users.end_session("token")
    users.set_owner("c")
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_claimed_by_one_alone(users, tmp_path):
    barrier, ids = threading.Barrier(8), [f"{number:032}" for number in range(8)]

    def claim(user_id: str) -> bool:
        other = Users(tmp_path)  # as another process has it
        barrier.wait()
        return other.claim("c", user_id)

    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(claim, ids))
    assert sum(claimed) == 1
    winner = ids[claimed.index(True)]
    assert users.owner("c") == winner
    assert users.claim("c", winner), "it is theirs"
    assert not users.claim("c"), "and not everybody's"
    assert users.owner("d") == ""


def test_a_password_is_kept_as_argon2id_alone_in_a_file_of_its_owner(tmp_path):
    users = Users(tmp_path)
    users.add("boss", "admin", PASSWORD)
    token = users.begin_session(users.named("boss").id)
    file = tmp_path / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"$argon2id$v=19$m=65536,t=3,p=4$" in kept
    assert PASSWORD.encode() not in kept
    assert token.encode() not in kept


def test_an_unknown_name_costs_as_much_as_a_known_one(users):
    assert not PasswordHasher().check_needs_rehash(module._NO_ONE)


def test_name_and_password_have_to_be_right(users):
    assert users.verify("boss", PASSWORD) == users.named("boss")
    assert users.verify("BOSS", PASSWORD), "the case of a name is no secret"
    for name, password in (
        ("boss", PASSWORD.upper()), ("boss", ""), ("bos", PASSWORD), ("", ""), ("\ud800", "\udc80"),
        ("boss' OR 1=1 --", PASSWORD),
    ):  # fmt: skip
        assert users.verify(name, password) is None


def test_a_letter_with_its_accent_apart_is_the_same_letter(users):
    users.add("Zoe\u0308", "reader", "pa\u0308sswort")
    assert users.verify("Zo\u00eb", "p\u00e4sswort")


def test_a_name_that_is_too_long_for_anyone_takes_no_time(users):
    marks = "a" + "\N{COMBINING ACUTE ACCENT}\N{COMBINING DOT BELOW}" * 100_000
    begun = time.process_time()
    assert users.verify(marks, PASSWORD) is None
    assert time.process_time() - begun < 5  # with the square of the marks it is half a minute
    longest = "\N{LATIN SMALL LETTER E WITH CIRCUMFLEX AND ACUTE}" * 64
    users.add(longest, "reader", PASSWORD)
    assert users.verify(unicodedata.normalize("NFD", longest), PASSWORD)


def test_a_session_ends_at_log_out_with_another_password_and_with_its_user(users):
    alice = users.add("alice", "writer", PASSWORD)
    first, second = (users.begin_session(alice.id) for _ in range(2))
    assert users.of_session(first) == users.of_session(second) == alice
    users.end_session(first)
    assert users.of_session(first) is None
    assert users.of_session(second) == alice
    users.set_password("alice", "another lamp")
    assert users.of_session(second) is None
    third = users.begin_session(alice.id)
    users.remove("alice")
    assert users.of_session(third) is None
    assert users.add("alice", "writer", PASSWORD).id != alice.id, "nothing of the old one's is hers"
    assert users.of_session(third) is None


def test_a_session_ends_by_itself(users, monkeypatch):
    token = users.begin_session(users.named("boss").id)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert users.of_session(token) is None


def test_a_role_changes_at_once(users):
    alice = users.add("alice", "reader", PASSWORD)
    token = users.begin_session(alice.id)
    users.set_role("alice", "writer")
    found = users.of_session(token)
    assert found
    assert found.role == "writer"


def test_where_there_are_users_one_is_an_admin(tmp_path, users):
    with pytest.raises(RagAppError, match="has to be an admin"):
        Users(tmp_path / "other").add("alice", "writer", PASSWORD)
    assert not Users(tmp_path / "other").exist()
    users.add("alice", "writer", PASSWORD)
    for change in (lambda: users.set_role("boss", "reader"), lambda: users.remove("boss")):
        with pytest.raises(RagAppError, match="has to be an admin"):
            change()
    assert users.named("boss").role == "admin"
    users.remove("alice")
    users.remove("boss")
    assert not users.exist(), "the last one may go: then there are no users"


@pytest.mark.parametrize("name", ["", " ", "a b", "a:b", "a/b", "x" * 65, "a\nb", "\ud800", "<b>"])
def test_what_is_no_name_is_refused(users, name):
    with pytest.raises(RagAppError, match="is no name"):
        users.add(name, "reader", PASSWORD)


@pytest.mark.parametrize("password", ["", "7 chars", "x" * 1001])
def test_what_is_no_password_is_refused(users, password):
    with pytest.raises(RagAppError, match="8 to 1000"):
        users.add("a", "reader", password)
    with pytest.raises(RagAppError, match="8 to 1000"):
        users.set_password("boss", password)
    assert users.verify("boss", PASSWORD)


def test_whom_there_is_not_cannot_be_changed(users):
    with pytest.raises(RagAppError, match="already"):
        users.add("Boss", "reader", PASSWORD)
    for change in (
        lambda: users.set_role("x", "admin"), lambda: users.set_password("x", PASSWORD),
        lambda: users.remove("x"), lambda: users.named("x"),
    ):  # fmt: skip
        with pytest.raises(RagAppError, match="there is no user 'x'"):
            change()


def test_a_collection_is_private_until_it_is_shared(users):
    boss = users.named("boss")
    users.set_owner("c", boss.id)
    users.set_owner("d", boss.id)
    users.set_owner("c", "f" * 32)
    assert users.owners() == {"c": "f" * 32, "d": boss.id}
    users.set_owner("c")
    assert users.owners() == {"d": boss.id}


def test_a_damaged_file_is_an_error_and_no_open_door(users, tmp_path):
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    for path in tmp_path.glob("*-wal"):
        path.unlink()
    for look in (users.exist, users.all, users.owners, lambda: users.of_session("token")):
        with pytest.raises(RagAppError, match=r"users in .* cannot be read"):
            look()
