"""Answers kept across runs, under keys that hold everything that matters."""

import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.closing import ClosedOnExit
from eval.errors import EvalError

_LOG = logging.getLogger(__name__)
_TOGETHER = 0.5
"""Seconds of answers that are written in one go: a killed run loses no more of the cache."""


def key_of(parts: Mapping[str, Any]) -> str:
    """SHA-256 of canonical JSON: equal parts give one key, whatever order they were named in."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class ResponseCache(ClosedOnExit):
    """A table of answers in a SQLite file, which several processes may use at once.

    It only ever saves work: if it cannot be written any more, it says so once and stays silent.

    Raises:
        EvalError: the file cannot be opened, or is none of ours.
    """

    def __init__(self, path: Path) -> None:
        self._waiting: dict[str, str] = {}
        self._written = time.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=10)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")  # a cache may lose its end
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"
                " WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise EvalError(
                f"the response cache {path} cannot be used",
                cause=str(error),
                hint="Delete it, or go without it by --no-cache",
            ) from None

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer kept under a key, if there is one."""
        kept = self._waiting.get(key)
        if kept is None:
            try:
                row = self._database.execute(
                    "SELECT answer FROM answers WHERE key = ?", (key,)
                ).fetchone()
            except sqlite3.Error as error:
                _LOG.warning("the response cache could not be read: %s", error)
                return None
            kept = row[0] if row else None
        return dict(json.loads(kept)) if kept is not None else None

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer."""
        self._waiting[key] = json.dumps(answer)
        if time.monotonic() - self._written > _TOGETHER:
            self._write()

    def close(self) -> None:
        """Write what is left."""
        if self._waiting:
            self._write()
        self._database.close()

    def _write(self) -> None:
        answers, self._waiting = self._waiting, {}
        self._written = time.monotonic()
        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?)", answers.items()
                )
        except sqlite3.Error as error:
            _LOG.warning("the response cache could not be written: %s", error)
