"""One process owns the storage folder; others find out who it is and where it listens."""

import errno
import json
import logging
import os
import secrets
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from data.files import write_text
from rag_app.errors import ApplicationError, StorageInUse

_LOGGER = logging.getLogger(__name__)
_MOMENT = 2.0
"""Seconds for which a lock is waited for whose owner is gone."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that owns a storage folder.

    Attributes:
        address: where its API listens; empty when it offers none.
        token: what its API asks of local callers.
    """

    pid: int
    command: str
    address: str = ""
    token: str = ""


class Ownership:
    """The right to use a storage folder, held until `release`.

    Args:
        folder: the storage folder; made if need be.

    Raises:
        StorageInUse: another process holds it. `owner` in the exception tells which.
        ApplicationError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self._note = folder / "owner.json"
        # one thread may open what another closes
        self._lock = FileLock(folder / "lock", thread_local=False)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._acquire()
            self._write(Owner(os.getpid(), _command()))
        except Timeout:
            raise HeldByAnother(folder, _read(self._note)) from None
        except OSError as error:
            self._lock.release()
            raise ApplicationError(
                f"storage folder {folder} cannot be used",
                cause=(error.strerror or str(error)).lower(),
                hint="Set RAG_APP_STORAGE__PATH to a folder that you may write",
            ) from error

    def announce(self, address: str) -> str:
        """Let others work through the API at `address`; returns the token they will send."""
        token = secrets.token_urlsafe(32)
        self._write(Owner(os.getpid(), _command(), address, token))
        return token

    def withdraw(self) -> None:
        """Take the note back, before a process ends whose threads still work on the folder."""
        self._note.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the folder back; a second call does nothing."""
        if self._lock.is_locked:
            self.withdraw()
            self._lock.release()

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            # Who was killed while it started a parser leaves the lock with that for a moment.
            owner = _read(self._note)
            if owner and _is_alive(owner.pid):
                raise
            self._lock.acquire(timeout=_MOMENT, poll_interval=0.01)

    def _write(self, owner: Owner) -> None:
        """Leave the note. On a full disk others are told of no owner, and searches go on."""
        try:
            write_text(self._note, json.dumps(asdict(owner)))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._note.unlink(missing_ok=True)  # that of an owner who is gone
            _LOGGER.warning("%s cannot be written: %s", self._note, error.strerror)


class HeldByAnother(StorageInUse):
    """`StorageInUse` that knows the owner, where the owner has left a note."""

    def __init__(self, folder: Path, owner: Owner | None) -> None:
        self.owner = owner
        who = f"process {owner.pid} ({owner.command})" if owner else "another process"
        super().__init__(
            f"storage folder {folder} is in use",
            cause=f"{who} owns it",
            hint="Wait until it ends or stop it, or use another RAG_APP_STORAGE__PATH",
        )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _command() -> str:
    return " ".join(["rag-app", *sys.argv[1:2]])


def _read(note: Path) -> Owner | None:
    try:
        return Owner(**json.loads(note.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
