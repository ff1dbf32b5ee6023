"""Who may do what: one table of rights, and the one function that goes by it.

The reasons for this design stand in docs/decisions/0020-people-and-rights.md.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal, get_args

from rag_app.accounts.chats import EVERYONE
from rag_app.errors import ApplicationError

Role = Literal["reader", "writer", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Each may do what those before it may, and more."""
Right = Literal["read", "converse", "write", "make", "manage", "administer"]

RIGHTS: Final[Mapping[Right, Role]] = {
    "read": "reader",  # search, ask, read documents
    "converse": "reader",  # rename, rate and delete one's own conversations
    "write": "writer",  # add and delete documents, evaluate
    "make": "writer",  # a collection, which is private to the user who makes it
    "manage": "admin",  # delete, rebuild and repair a collection, and its indexes
    "administer": "admin",  # models, backups, files of this machine by their paths
}
"""The least role that has a right. A private collection is closed to all but its owner and admins;
its owner, being a writer, manages it, too.
"""

METHODS: Final[Mapping[str, Right]] = {
    "collections": "read",
    "documents": "read",
    "document": "read",
    "original": "read",
    "indexes": "read",
    "context": "read",
    "page_picture": "read",
    "passages": "read",
    "search": "read",
    "ask": "read",
    "encoders": "read",
    "embed": "read",
    "rerank": "read",
    "conversations": "read",
    "conversation": "read",
    "rated_answers": "read",
    "votes": "read",
    "rename_conversation": "converse",
    "choose_model": "converse",
    "delete_conversation": "converse",
    "rate_answer": "converse",
    "add_document": "write",
    "delete_document": "write",
    "add_address": "write",
    "ingest": "write",
    "reingest": "write",
    "create_collection": "make",
    "drop_collection": "manage",
    "rename_collection": "manage",
    "rebuild_collection": "manage",
    "repair_collection": "manage",
    "build_index": "manage",
    "use_index": "manage",
    "drop_index": "manage",
    "backup": "administer",
    "restore": "administer",
}
"""What each method of the service and of its conversations needs; any other needs `administer`."""


class Forbidden(ApplicationError):
    """The person who asks has no right to it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever sends a request.

    Attributes:
        id: names whose uploads, conversations and runs it reaches; empty for who may only look.
        role: None for who may do nothing at all.
        name: of a user; empty where there are none, and for the storage folder's owner.
        reads_only: whether nothing may be changed, whatever the role.
        by_key: whether it is a program with an API key, which never administers.
        collections: those that the key reaches; none for all.
    """

    id: str = ""
    role: Role | None = None
    name: str = ""
    reads_only: bool = False
    by_key: bool = False
    collections: tuple[str, ...] = ()

    def may(self, right: Right, collection: str = "", owner: str = "") -> bool:
        """Whether this person has a right.

        Args:
            right: the right.
            collection: where; empty for a right that is about no collection, or not yet.
            owner: whose collection that is; empty where it is shared.
        """
        if self.role is None or (self.reads_only and right != "read"):
            return False
        if (self.by_key and right == "administer") or not self.reaches(collection):
            return False
        owns = bool(owner) and owner == self.id
        if owner and not owns and self.role != "admin":
            return False
        least: Role = "writer" if owns and right == "manage" else RIGHTS[right]
        return ROLES.index(self.role) >= ROLES.index(least)

    def reaches(self, collection: str) -> bool:
        """Whether an API key, if it carries one, is for a collection."""
        return not (collection and self.collections) or collection in self.collections

    def could(self, right: Right) -> bool:
        """Whether this person has a right in some collection."""
        return self.may(right, owner=self.id)


NOBODY: Final = Person()
OPERATOR: Final = Person(EVERYONE, "admin")
"""Whoever holds the storage folder: this user's own commands."""
CURRENT: Final[ContextVar[Person]] = ContextVar("person", default=NOBODY)
"""Who sent the request at hand; background work that it begins inherits it."""


def right_of(method: str) -> Right:
    """What a method needs."""
    return METHODS.get(method, "administer")


def forbidden(person: Person, right: Right, collection: str = "") -> Forbidden:
    """The refusal of what a person has no right to."""
    if not person.id:
        return Forbidden(
            "this browser may read, but not change anything",
            hint="Open the whole address that rag-app printed at its start, or log in",
        )
    where = f" collection {collection!r}" if collection else ""
    who = "an API key" if person.by_key else f"a {person.role}"
    return Forbidden(f"{who} may not {right}{where}", hint="Ask an admin")
