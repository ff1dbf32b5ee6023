"""A user's documents take no more of the disk than they may; those of all are nobody's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.limits import MIB
from rag_app.accounts.quota import Quota, QuotaExceeded
from rag_app.accounts.users import Users
from rag_app.assembly import application as assembly
from rag_app.settings import load_settings, override
from tests.rag_app.support import prose, write

ALICE, BOB = "a" * 32, "b" * 32


@pytest.fixture
def users(tmp_path) -> Users:
    users = Users(tmp_path / "storage")
    for name, owner in {"c": ALICE, "d": ALICE, "e": BOB}.items():
        users.set_owner(name, owner)
    return users


@pytest.fixture
def fill(tmp_path) -> Callable[[str, int], None]:
    def put(collection: str, size: int) -> None:
        write(tmp_path / "storage" / "files" / collection, {f"{size}.txt": "x" * size})

    return put


def test_all_collections_of_a_user_count_and_no_others(users, fill, tmp_path):
    quota = Quota(users, tmp_path / "storage" / "files", 2 * MIB)
    fill("c", MIB)
    fill("d", MIB // 2)
    fill("e", 5 * MIB)
    fill("shared", 5 * MIB)
    quota.require_room("c", MIB // 2)
    said = r"2\.0 MB for each user.*1\.5 MB are used, and 0\.5 MB.*USER_MB"
    with pytest.raises(QuotaExceeded, match=said):
        quota.require_room("d", MIB // 2 + 1)
    quota.require_room("c", 0)
    with pytest.raises(QuotaExceeded):
        quota.require_room("e", 1)
    quota.require_room("e", -1)
    quota.require_room("shared", 99 * MIB)


async def test_what_is_too_much_is_refused_before_it_is_copied(settings, encoder, users, tmp_path):
    settings = override(settings, {"limits": {"user_mb": 1}})
    application, _ = assembly.open_application(settings)
    text = prose("a", 40)
    large = text + " " * (MIB * 9 // 10 - len(text))
    folder = write(tmp_path / "in", {"a.txt": large})
    try:
        await application.ingest("c", [folder])
        assert (await application.ingest("c", [folder])).unchanged == 1, "what is there counts once"
        second = write(tmp_path / "more", {"b.txt": large + "!"})
        with pytest.raises(QuotaExceeded):
            await application.ingest("d", [second])
        assert not (Path(settings.storage.path) / "files" / "d").exists()
        await application.ingest("shared", [second])
        await application.delete_document("c", "a.txt")
        assert (await application.ingest("d", [second])).added == 1
    finally:
        await application.close()


def test_there_is_no_quota_unless_one_is_set():
    assert load_settings().limits.user_mb is None
