"""Who may share a collection, or take it back, from the page."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rag_app.accounts.rights import OPERATOR, Forbidden, Person
from rag_app.accounts.users import Users
from rag_app.errors import ApplicationError
from tests.rag_app.accounts.test_guarded import asking
from ui.library_rendering import documents
from ui.sharing import owner_name, set_sharing


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(tmp_path, PasswordHasher(1, 8, 1))


@pytest.fixture
def people(users: Users) -> dict[str, Person]:
    roles = {"boss": "admin", "alice": "writer", "bob": "writer", "eve": "reader"}
    made = [users.add(name, role, "a lamp at dusk") for name, role in roles.items()]  # type: ignore[arg-type]
    users.set_owner("diary", made[1].id)
    return {one.name: Person(one.id, one.role, one.name) for one in made}


async def test_its_owner_and_admins_share_a_collection_and_only_admins_take_a_shared_one_back(
    users: Users, people: dict[str, Person]
) -> None:
    for name in ("bob", "eve"):
        with asking(people[name]):
            assert await owner_name(users, "diary") is None
            with pytest.raises(Forbidden, match="may not manage collection 'diary'"):
                await set_sharing(users, "diary", private=True)
    with asking(people["alice"]):
        assert await owner_name(users, "diary") == "alice"
        await set_sharing(users, "diary", private=False)
        assert users.owners() == {}
        with pytest.raises(Forbidden):
            await set_sharing(users, "diary", private=True)
    with asking(people["boss"]):
        assert await owner_name(users, "diary") == ""
        await set_sharing(users, "diary", private=True)
    assert users.owners() == {"diary": people["boss"].id}


async def test_what_was_a_removed_users_is_still_private(
    users: Users, people: dict[str, Person]
) -> None:
    users.remove("alice")
    with asking(people["boss"]):
        assert await owner_name(users, "diary") == "a user who was removed"


async def test_without_users_nothing_is_shown_and_nothing_changes(users: Users) -> None:
    with asking(OPERATOR):
        for nobody in (None, users):
            assert await owner_name(nobody, "diary") is None
            with pytest.raises(Forbidden):
                await set_sharing(nobody, "diary", private=True)
        users.add("boss", "admin", "a lamp at dusk")
        with pytest.raises(ApplicationError, match="private to a user only"):
            await set_sharing(users, "diary", private=True)


def test_the_list_says_whose_it_is_and_escapes_the_name() -> None:
    assert 'data-act="share"' not in documents([], "diary", exists=True)
    private = documents([], "diary", exists=True, owner="<b>")
    assert "Private to &lt;b&gt;" in private
    assert 'data-act="share"' in private
    shared = documents([], "diary", exists=True, owner="")
    assert "Shared with all users" in shared
    assert 'data-act="unshare"' in shared
