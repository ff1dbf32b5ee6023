"""SQLite files: how they are opened, brought up to date and copied."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection as SQLite
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, MetaData, NullPool, Table, create_engine, delete, event, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL, Engine, RowMapping
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn

from rag_app.errors import ApplicationError

_AT_ONCE = 500
T = TypeVar("T")


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


class Database:
    """The file, made at the first write; threads and processes may share it.

    Connections are opened for one piece of work each, so nothing is left to close.

    Args:
        path: of the file; only its owner may read it.
        schema: its tables.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
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

    def where_kept(self, otherwise: T, work: Callable[[Connection], T]) -> T:
        """What the work gives; `otherwise`, and no file is made, where nothing was ever kept."""
        if not self.exists:
            return otherwise
        with self.transaction() as connection:
            return work(connection)

    def copy(self, path: Path, without: Sequence[Table] = ()) -> None:
        """Write the file as it is at one moment to a new one, in which some tables are empty.

        Others may write meanwhile. Raises ApplicationError as `transaction` does.
        """
        with self.transaction() as connection, closing(sqlite3.connect(path)) as copy:
            cast("SQLite", connection.connection.driver_connection).backup(copy)
            copy.execute("PRAGMA secure_delete = ON").close()
            for table in without:
                copy.execute(str(delete(table))).close()
            copy.commit()
            copy.execute("PRAGMA journal_mode = DELETE").close()  # one file, without a log

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


def add_missing(
    source: Connection,
    target: Connection,
    table: Table,
    which: Callable[[RowMapping], bool] = lambda _: True,
) -> int:
    """Add the rows of one database that another lacks, by their primary keys; returns how many.

    Raises:
        ApplicationError: that is no table, or a value is not of its column's type: the file may
            come from anywhere.
    """
    kind = "SELECT type FROM sqlite_master WHERE name = ?"
    if source.exec_driver_sql(kind, (table.name,)).scalar_one() != "table":
        raise ApplicationError(f"{table.name} cannot be read", cause="it is no table")
    added = 0
    for part in source.execute(select(table)).mappings().partitions(_AT_ONCE):
        rows = [dict(row) for row in part if which(row)]
        for row in rows:
            _require_types(table, row)
        if rows:
            added += target.execute(insert(table).on_conflict_do_nothing(), rows).rowcount
    return added


def _require_types(table: Table, row: dict[str, Any]) -> None:
    for column in table.columns:
        if not isinstance(row[column.name], column.type.python_type):
            raise ApplicationError(
                f"{table.name} cannot be read", cause=f"{column.name} is of another type"
            )


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
        "trusted_schema = OFF",  # of a file from a backup
    ):
        connection.execute(f"PRAGMA {pragma}").close()
