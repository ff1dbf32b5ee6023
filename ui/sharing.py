"""Whose a collection is, and how a person changes that; nothing where there are no users."""

import asyncio

from rag_app.accounts.rights import CURRENT, forbidden
from rag_app.accounts.users import Users
from rag_app.errors import ApplicationError

_GONE = "a user who was removed"


async def owner_name(users: Users | None, collection: str) -> str | None:
    """Whom a collection is private to; empty where it is shared.

    None where the person who asks may not change that, or there are no users.
    """
    if users is None or not users.begun:
        return None
    owner = (await asyncio.to_thread(users.owners)).get(collection, "")
    if not CURRENT.get().may("manage", collection, owner):
        return None
    user = await asyncio.to_thread(users.find, owner) if owner else None
    return user.name if user else owner and _GONE


async def set_sharing(users: Users | None, collection: str, *, private: bool) -> None:
    """Share a collection with all users, or make it private to the person who asks.

    Raises:
        Forbidden: it is neither theirs nor are they an admin.
        ApplicationError: they are no user, to whom something could be private.
    """
    person = CURRENT.get()
    if users is None or await owner_name(users, collection) is None:
        raise forbidden(person, "manage", collection)
    if private and not person.name:
        raise ApplicationError(
            "a collection can be private to a user only", hint="Log in as one of the users"
        )
    await asyncio.to_thread(users.set_owner, collection, person.id if private else "")
