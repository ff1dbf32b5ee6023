"""The users, their log-ins, and whose a collection is: one SQLite file of the storage folder."""

import hashlib
import re
import secrets
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from filelock import FileLock, Timeout
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as insert_new

from data.text import well_formed
from rag_app.accounts.database import Database, Schema, add_missing
from rag_app.accounts.rights import ROLES, Role
from rag_app.errors import ApplicationError

FILE: Final = "users.sqlite"
FILES: Final = (FILE, f"{FILE}-wal", f"{FILE}-shm")
"""What lies in the storage folder."""
SHORTEST: Final = 8
LONGEST: Final = 1000
"""Characters of a password, at least and at most."""
SESSION_SECONDS: Final = 30 * 86_400
"""For which a browser stays logged in."""
_NAME: Final = re.compile(r"[\w.@+-]{1,64}")
_LONGEST_TYPED: Final = 4 * 64
"""Characters of a user's name before its accents are composed, of up to four characters each."""
_NO_ONE: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$N4AEmgs40SPIST5sivpDFg"
    "$5A9kRSS8wUR+8/nq9wZsc0jLvcUME71pIJtlV6Xah+I"
)
"""The hash of nobody's password, so that an unknown name costs as much as a known one."""
_METADATA = MetaData()

USERS: Final = Table(
    "users",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("name", String(collation="NOCASE"), nullable=False, unique=True),
    Column("role", String, nullable=False),
    Column("password", String, nullable=False),  # argon2id, with its salt and parameters
    Column("created", String, nullable=False),
)
SESSIONS: Final = Table(
    "sessions",
    _METADATA,
    Column("hash", String, primary_key=True),
    Column("user", String, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("begun", Integer, nullable=False),  # seconds since 1970
)
OWNERS: Final = Table(
    "owners",  # of private collections; all others are shared
    _METADATA,
    Column("collection", String, primary_key=True),
    Column("user", String, nullable=False),
)
_SCHEMA: Final = Schema("users", _METADATA, version=1)


@dataclass(frozen=True, slots=True)
class User:
    """A user, without what is secret.

    Attributes:
        id: 32 hexadecimal digits, which stay when all else changes and are never used again.
        name: for the log-in; the case of letters of ASCII makes no difference.
        role: see `rag_app.accounts.rights`.
        created: ISO 8601 in UTC.
    """

    id: str
    name: str
    role: Role
    created: str


class Users:
    """The users of a storage folder; other processes may change them meanwhile.

    Where there are users, one of them at least is an admin. Every call may raise ApplicationError.

    Args:
        storage: the storage folder.
        hasher: of passwords; RFC 9106's second recommendation by default: argon2id, 64 MiB.
    """

    def __init__(self, storage: Path, hasher: PasswordHasher | None = None) -> None:
        self._database, self._making = Database(storage / FILE, _SCHEMA), storage / "files"
        self._hasher = hasher or PasswordHasher()

    @property
    def begun(self) -> bool:
        """Whether there ever was a user; costs no reading."""
        return self._database.exists

    def exist(self) -> bool:
        """Whether there is any user."""
        query = select(exists().select_from(USERS))
        return self._database.where_kept(False, lambda on: bool(on.execute(query).scalar_one()))

    def all(self) -> list[User]:
        """All users, by name."""
        query = select(USERS).order_by(USERS.c.name)
        return self._database.where_kept([], lambda on: list(map(_user, on.execute(query))))

    def find(self, user_id: str) -> User | None:
        """The user of that id."""
        query = select(USERS).where(USERS.c.id == user_id)
        return self._database.where_kept(None, lambda on: _found(on.execute(query).first()))

    def named(self, name: str) -> User:
        """The user of that name; raises ApplicationError where there is none."""
        if row := self._database.where_kept(None, lambda on: _of_name(on, name)):
            return _user(row)
        raise _unknown(name)

    # --- changing ----------------------------------------------------------------------------

    def add(self, name: str, role: Role, password: str) -> User:
        """Make a user; the first one has to be an admin."""
        name = unicodedata.normalize("NFC", name.strip())
        if not _NAME.fullmatch(name):
            raise ApplicationError(
                f"{name!r} is no name for a user", hint="Use letters, digits and . @ + - _"
            )
        user = User(secrets.token_hex(16), name, role, _now())
        row = {"id": user.id, "name": name, "role": role, "created": user.created}
        with self._database.transaction() as connection:
            if _of_name(connection, name):
                raise ApplicationError(
                    f"there is a user {name!r} already", hint="`rag-app users list` shows them"
                )
            connection.execute(insert(USERS).values(**row, password=self._hash(password)))
            _require_admin(connection)
        return user

    def set_role(self, name: str, role: Role) -> None:
        """Give a user another role, at once."""
        self._change(name, {"role": role})

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password, which ends all sessions of theirs."""
        self._change(name, {"password": self._hash(password)}, ends_sessions=True)

    def remove(self, name: str) -> None:
        """Delete a user with their sessions; private collections of theirs stay, for admins."""
        with self._database.transaction() as connection:
            row = _of_name(connection, name)
            if row is None:
                raise _unknown(name)
            connection.execute(delete(USERS).where(USERS.c.id == row.id))
            _require_admin(connection)

    # --- logging in --------------------------------------------------------------------------

    def verify(self, name: str, password: str) -> User | None:
        """The user whose name and password these are; takes as long where there is no such user."""
        with self._database.transaction() as connection:
            row = _of_name(connection, name)
        try:
            self._hasher.verify(row.password if row else _NO_ONE, _encoded(password[:LONGEST]))
        except (VerificationError, InvalidHashError):
            return None
        return _user(row) if row else None

    def begin_session(self, user_id: str) -> str:
        """The text of a new session, of which only a hash is kept."""
        token, now = secrets.token_urlsafe(32), int(time.time())
        with self._database.transaction() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.begun < now - SESSION_SECONDS))
            connection.execute(
                insert(SESSIONS).values(hash=_digest(token), user=user_id, begun=now)
            )
        return token

    def end_session(self, token: str) -> None:
        """Let a session open nothing from now on."""
        ending = delete(SESSIONS).where(SESSIONS.c.hash == _digest(token))
        self._database.where_kept(None, lambda on: on.execute(ending))

    def of_session(self, token: str) -> User | None:
        """The user of a session that goes on."""
        goes_on = SESSIONS.c.begun > int(time.time()) - SESSION_SECONDS
        query = select(USERS).join(SESSIONS).where(SESSIONS.c.hash == _digest(token), goes_on)
        return self._database.where_kept(None, lambda on: _found(on.execute(query).first()))

    # --- whose a collection is ---------------------------------------------------------------

    def owners(self) -> dict[str, str]:
        """The ids of the owners of private collections, by the collections' names."""
        return self._database.where_kept(
            {}, lambda on: {row.collection: row.user for row in on.execute(select(OWNERS))}
        )

    def owner(self, collection: str) -> str:
        """The id of the owner of a private collection; empty where it is shared."""
        query = select(OWNERS.c.user).where(OWNERS.c.collection == collection)
        return self._database.where_kept(
            "", lambda on: str(on.execute(query).scalar_one_or_none() or "")
        )

    def claim(self, collection: str, user_id: str = "") -> bool:
        """Make a name a user's, or nobody's, who is about to make a collection of it.

        Of several who try at once, in whatever processes, one alone is told that it is theirs.
        """
        row = {"collection": collection, "user": user_id}
        with self._database.transaction() as connection:
            connection.execute(insert_new(OWNERS).values(row).on_conflict_do_nothing())
            query = select(OWNERS.c.user).where(OWNERS.c.collection == collection)
            return bool(connection.execute(query).scalar_one() == user_id)

    @contextmanager
    def makes(self, collection: str) -> Iterator[bool]:
        """Whether one piece of work alone makes a collection meanwhile, in whatever process: two of
        the same user would both hold its name, and the one that fails would give it away.
        """
        self._making.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._making / f".{collection}.making", 0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def set_owner(self, collection: str, user_id: str = "") -> None:
        """Make a collection private to a user, or shared."""
        if not (self.begun or user_id):
            return
        with self._database.transaction() as connection:
            connection.execute(delete(OWNERS).where(OWNERS.c.collection == collection))
            if user_id:
                connection.execute(insert(OWNERS).values(collection=collection, user=user_id))

    # --- for backups -------------------------------------------------------------------------

    def copy(self, folder: Path) -> None:
        """Write the users as they are at this moment to another folder, without their sessions.

        Whose a collection is stands with the collection in a backup.
        """
        if self.begun:
            self._database.copy(folder / FILE, without=(SESSIONS, OWNERS))

    def add_from(self, others: "Users") -> int:
        """Add the users of another folder, with their passwords; returns how many.

        Raises:
            ApplicationError: one has a role that there is not, or none is an admin.
        """
        if not others.begun:
            return 0
        with others._database.transaction() as source, self._database.transaction() as target:
            added = add_missing(source, target, USERS)
            if strange := set(target.execute(select(USERS.c.role)).scalars()) - set(ROLES):
                raise ApplicationError("users cannot be read", cause=f"roles {sorted(strange)}")
            _require_admin(target)
            return added

    # --- how -----------------------------------------------------------------------------------

    def _change(self, name: str, values: dict[str, str], *, ends_sessions: bool = False) -> None:
        with self._database.transaction() as connection:
            row = _of_name(connection, name)
            if row is None:
                raise _unknown(name)
            connection.execute(update(USERS).where(USERS.c.id == row.id).values(values))
            if ends_sessions:
                connection.execute(delete(SESSIONS).where(SESSIONS.c.user == row.id))
            _require_admin(connection)

    def _hash(self, password: str) -> str:
        if not SHORTEST <= len(password) <= LONGEST:
            raise ApplicationError(
                f"a password needs {SHORTEST} to {LONGEST} characters",
                cause=f"this one has {len(password)}",
            )
        return self._hasher.hash(_encoded(password))


def _of_name(connection: Connection, name: str) -> Row[Any] | None:
    if len(name) > _LONGEST_TYPED:  # before its accents are composed, which takes its time
        return None
    known = unicodedata.normalize("NFC", well_formed(name))
    return connection.execute(select(USERS).where(USERS.c.name == known)).first()


def _require_admin(connection: Connection) -> None:
    """Nobody could mend what is wrong in a page of readers."""
    roles = set(connection.execute(select(USERS.c.role)).scalars())
    if roles and ROLES[-1] not in roles:
        raise ApplicationError(
            "one user at least has to be an admin",
            hint="`rag-app users add NAME --role admin` makes one",
        )


def _found(row: Row[Any] | None) -> User | None:
    return _user(row) if row else None


def _user(row: Row[Any]) -> User:
    return User(row.id, row.name, row.role, row.created)


def _unknown(name: str) -> ApplicationError:
    return ApplicationError(
        f"there is no user {name[:64]!r}", hint="`rag-app users list` shows those that there are"
    )


def _encoded(password: str) -> bytes:
    """Composed characters, as keyboards differ in how they send them; any text has bytes."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
