"""API keys: what other programs may do here, without a person's password."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import delete, insert, select, update

from rag_app.accounts.chats.chats import FILE
from rag_app.accounts.chats.tables import CHATS, KEYS
from rag_app.accounts.database import Database, add_missing
from rag_app.errors import ApplicationError
from retrieval.index.collections import checked_name

Rights = Literal["read", "write"]
PREFIX: Final = "rag-"
BROWSER_KEY: Final = "browser.key"
"""File of the storage folder with the secret that browsers' cookies are signed with."""
_FORM: Final = re.compile(rf"{PREFIX}([0-9a-f]{{12}})-([\w-]{{43}})", re.ASCII)
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without what is secret of it.

    Attributes:
        id: names it; 12 hexadecimal digits.
        name: what it is for.
        rights: ``read``: search and ask; ``write``: change documents, too.
        collections: those that it reaches; none for all.
        created: ISO 8601 in UTC.
        owner: id of the user whose key it is, and whose role it never exceeds; empty for none.
    """

    id: str
    name: str
    rights: Rights
    collections: tuple[str, ...]
    created: str
    owner: str = ""


class Keys:
    """The keys of a storage folder; other processes may change them meanwhile.

    A key holds 256 random bits, so its plain SHA-256 is stored: nobody can guess their way back.

    Args:
        storage: the storage folder.
    """

    def __init__(self, storage: Path) -> None:
        self._database = Database(storage / FILE, CHATS)

    def create(
        self,
        name: str,
        rights: Rights = "read",
        collections: Sequence[str] = (),
        owner: str = "",
    ) -> tuple[Key, str]:
        """Make a key; returns it and its text, which is not kept.

        Raises:
            ApplicationError: the name is empty or too long, or one of a collection is not allowed.
        """
        if not 0 < len(name.strip()) <= _LONGEST:
            raise ApplicationError(
                "a key needs a name",
                cause=f"of 1 to {_LONGEST} characters",
                hint="Say what it is for",
            )
        for collection in collections:
            checked_name(collection)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        key = Key(secrets.token_hex(6), name.strip(), rights, tuple(collections), created, owner)
        text = f"{PREFIX}{key.id}-{secrets.token_urlsafe(32)}"
        row = {
            "id": key.id, "name": key.name, "hash": _hash(text), "rights": rights,
            "collections": json.dumps(key.collections), "created": created,
            "owner": owner,
        }  # fmt: skip
        with self._database.transaction() as connection:
            connection.execute(insert(KEYS).values(row))
        return key, text

    def all(self) -> list[Key]:
        """All keys, the oldest first."""
        query = select(KEYS).order_by(KEYS.c.created, KEYS.c.id)
        return self._database.where_kept(
            [], lambda on: [_key(row) for row in on.execute(query).mappings()]
        )

    def revoke(self, identity: str) -> bool:
        """Delete a key, which opens nothing from now on; False where there is none of that id."""
        revoking = delete(KEYS).where(KEYS.c.id == identity)
        return self._database.where_kept(False, lambda on: on.execute(revoking).rowcount > 0)

    def rename_collection(self, name: str, to: str) -> None:
        """Let keys for a collection reach it by its other name, and nothing by the old one."""
        self._replace(name, [to])

    def drop_collection(self, name: str) -> None:
        """Let keys for a collection reach the others of theirs alone.

        A key that was for no other is deleted: for none would mean for all.
        """
        self._replace(name, [])

    def _replace(self, name: str, by: list[str]) -> None:
        if not self._database.exists:
            return
        with self._database.transaction() as connection:
            rows = connection.execute(select(KEYS).where(KEYS.c.collections != "[]")).mappings()
            for key in [found for found in map(_key, rows.all()) if name in found.collections]:
                left = [*(one for one in key.collections if one not in (name, *by)), *by]
                of_key = KEYS.c.id == key.id
                changed = update(KEYS).where(of_key).values(collections=json.dumps(left))
                connection.execute(changed if left else delete(KEYS).where(of_key))

    def find(self, text: str) -> Key | None:
        """The key of that text, if it is one that is valid now."""
        form = _FORM.fullmatch(text)
        if not form:
            return None
        query = select(KEYS).where(KEYS.c.id == form[1])
        found = self._database.where_kept(None, lambda on: on.execute(query).mappings().first())
        if found is None or not hmac.compare_digest(found["hash"], _hash(text)):
            return None
        return _key(found)

    def add_from(self, others: "Keys") -> int:
        """Add the keys of another folder; returns how many."""
        if not others._database.exists:
            return 0
        with others._database.transaction() as source, self._database.transaction() as target:
            return add_missing(source, target, KEYS)


def is_key(text: str) -> bool:
    """Whether a text has the form of a key."""
    return _FORM.fullmatch(text) is not None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(row: Any) -> Key:
    collections = tuple(json.loads(row["collections"]))
    return Key(row["id"], row["name"], row["rights"], collections, row["created"], row["owner"])
