"""The one table of rights, and the one function that goes by it."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.accounts.rights import METHODS, NOBODY, OPERATOR, ROLES, Person, Right, right_of
from rag_app.remote.operations import CHAT_OPERATIONS, OPERATIONS

RIGHTS: tuple[Right, ...] = get_args(Right)
rights = st.sampled_from(RIGHTS)
owners = st.sampled_from(["", "me", "you"])
people = st.builds(
    Person,
    id=st.just("me"),
    role=st.sampled_from(ROLES),
    name=st.just("me"),
    reads_only=st.booleans(),
    by_key=st.booleans(),
    collections=st.sampled_from([(), ("c",), ("d", "e")]),
)


def test_every_operation_has_its_row():
    assert {one.name for one in (*OPERATIONS, *CHAT_OPERATIONS)} <= METHODS.keys()
    assert right_of("anything_new") == "administer", "what has no row is closed"


SHARED = {
    "reader": {"read", "converse"},
    "writer": {"read", "converse", "write", "make"},
    "admin": set(RIGHTS),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_shared_collection_is_all_peoples_by_their_roles(role):
    person = Person("me", role, "me")
    assert {right for right in RIGHTS if person.may(right, "c")} == SHARED[role]


@pytest.mark.parametrize("role", ROLES)
def test_a_private_collection_is_its_owners_and_the_admins(role):
    person = Person("me", role, "me")
    of_another = {right for right in RIGHTS if person.may(right, "c", "you")}
    assert of_another == (set(RIGHTS) if role == "admin" else set())
    own = {right for right in RIGHTS if person.may(right, "c", "me")}
    assert own == SHARED[role] | ({"manage"} if role == "writer" else set())


def test_whoever_is_not_known_may_do_nothing():
    assert not any(NOBODY.may(right) or NOBODY.could(right) for right in RIGHTS)
    assert all(OPERATOR.may(right, "c", "you") for right in RIGHTS)


@given(people, rights, owners)
def test_a_key_never_exceeds_its_user(person, right, owner):
    user = replace(person, by_key=False, reads_only=False, collections=())
    assert person.may(right, "c", owner) <= user.may(right, "c", owner)
    assert not replace(person, by_key=True).may("administer", "c", owner)
    assert not replace(person, collections=("d",)).may(right, "c", owner)
    if right != "read":
        assert not replace(person, reads_only=True).may(right, "c", owner)


@given(people, rights, owners)
def test_a_higher_role_loses_nothing(person, right, owner):
    allowed = [replace(person, role=role).may(right, "c", owner) for role in ROLES]
    assert allowed == sorted(allowed)


@given(people, rights)
def test_what_a_person_may_somewhere_is_possible(person, right):
    anywhere = any(person.may(right, c, o) for c in ("", "c", "d") for o in ("", "me"))
    assert anywhere <= person.could(right)
