"""SQLite files: how they are opened and brought up to date; and the tables of conversations."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection as SQLite
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn

from rag_app.errors import ApplicationError


@dataclass(frozen=True)
class Schema:
    """The tables of a file.

    Attributes:
        content: what they hold, for messages.
        metadata: the tables.
        version: of them, written to the file. A change of the tables raises it: new tables and
            columns are then added to older files, columns with their `server_default`.
    """

    content: str
    metadata: MetaData
    version: int


_METADATA = MetaData()

CONVERSATIONS: Final = Table(
    "conversations",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("created", String, nullable=False),
    Column("updated", String, nullable=False),
    Column("model", Text, nullable=False, server_default=""),  # empty for that of the settings
    Index("conversations_of_owner", "owner", "updated"),
)
TURNS: Final = Table(
    "turns",
    _METADATA,
    Column(
        "conversation",
        String,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True),
    Column("question", Text, nullable=False),
    Column("stand_alone", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("error", Text, nullable=False),
    Column("asked", String, nullable=False),
    Column("milliseconds", Float, nullable=False),
    Column("rating", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: all else of a turn
)
VOTES: Final = Table(
    "votes",
    _METADATA,
    Column("owner", String, primary_key=True),
    Column("collection", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    Column("voted", String, nullable=False),
    Column("winner", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: all else of a vote
)
KEYS: Final = Table(
    "keys",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", String, nullable=False),
    Column("rights", String, nullable=False),
    Column("collections", Text, nullable=False),  # JSON: their names; none for all
    Column("created", String, nullable=False),
    Column("owner", String, nullable=False, server_default=""),  # a user's id; empty for none
)
CHATS: Final = Schema("conversations", _METADATA, version=5)


class Database:
    """The file, made at the first write; threads and processes may share it.

    Connections are opened for one piece of work each, so nothing is left to close.

    Args:
        path: of the file; only its owner may read it.
        schema: its tables.
    """

    def __init__(self, path: Path, schema: Schema = CHATS) -> None:
        self._path, self._schema, self._lock = path, schema, threading.Lock()
        self._engine: Engine | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept."""
        return self._path.exists()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose changes hold together.

        Raises:
            ApplicationError: the file is damaged, of a newer version, locked, or the disk is full.
        """
        try:
            with self._opened().begin() as connection:
                yield connection
        except (DBAPIError, OSError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error.strerror
            raise ApplicationError(
                f"{self._schema.content} in {self._path} cannot be read or kept",
                cause=str(cause),
                hint="Free space or mend the file; moved away, a new one is begun",
            ) from error

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None or not self.exists:  # it may be moved away at any time
                self._make()
                engine = create_engine(
                    URL.create("sqlite", database=str(self._path)), poolclass=NullPool
                )
                event.listen(engine, "connect", _prepare)
                self._bring_up_to_date(engine)
                self._engine = engine
            return self._engine

    def _make(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        os.fchmod(file, 0o600)  # SQLite's log files get the same mode
        os.close(file)

    def _bring_up_to_date(self, engine: Engine) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # or two would make the tables at once
            found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            schema, known = self._schema, self._schema.version
            if found > known:
                raise ApplicationError(
                    f"{schema.content} in {self._path} cannot be read",
                    cause=f"a newer rag-app has written them (version {found}, known: {known})",
                    hint="Update rag-app, or move the file away",
                )
            schema.metadata.create_all(connection)
            if 0 < found < known:
                _add_columns(connection, schema.metadata)
            connection.exec_driver_sql(f"PRAGMA user_version = {known}")


def _add_columns(connection: Connection, metadata: MetaData) -> None:
    """Add the columns that older files lack."""
    for table in metadata.sorted_tables:
        present = connection.exec_driver_sql(f"PRAGMA table_info({table.name})").mappings()
        names = {row["name"] for row in present}
        for column in table.columns:
            if column.name not in names:
                definition = CreateColumn(column).compile(connection)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")


def _prepare(connection: SQLite, _: Any) -> None:
    connection.create_function("folded", 1, str.casefold, deterministic=True)
    for pragma in (
        "busy_timeout = 5000",
        "journal_mode = WAL",  # readers and a writer do not wait for one another
        "foreign_keys = ON",
        "secure_delete = ON",  # what was deleted is overwritten
    ):
        connection.execute(f"PRAGMA {pragma}").close()
