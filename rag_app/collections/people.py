"""What a backup holds of people: their conversations and votes, the users, and the keys.

    chats.sqlite     conversations, votes, and API keys as hashes
    users.sqlite     users, with the hashes of their passwords; without sessions
    browser.key      what signs the cookies of browsers, which own conversations without users

What is there is never overwritten by a restore. Conversations and votes that are missing are added.
Users and keys come back only where there are none of either, since one who was removed must not
come back unnoticed; `browser.key` only where there is none.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rag_app.accounts import users
from rag_app.accounts.chats import chats
from rag_app.accounts.chats.chats import Chats
from rag_app.accounts.keys import BROWSER_KEY, Keys
from rag_app.accounts.users import Users
from rag_app.collections.archive import ArchiveWriter, DamagedBackup, Member
from rag_app.collections.leftovers import SCRATCH
from rag_app.errors import ApplicationError
from rag_app.results import BackupReport

MEMBERS: Final = (chats.FILE, users.FILE, BROWSER_KEY)
"""In this order, behind the header and before the collections."""


class People:
    """The people of a storage folder, as backups take them along.

    Args:
        storage: the storage folder.
    """

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self._chats, self._keys, self._users = Chats(storage), Keys(storage), Users(storage)

    def owners(self) -> dict[str, str]:
        """See `Users.owners`."""
        return self._users.owners()

    def set_owner(self, collection: str, user_id: str) -> None:
        """See `Users.set_owner`."""
        self._users.set_owner(collection, user_id)

    def write(self, archive: ArchiveWriter, report: BackupReport) -> Iterator[bytes]:
        """The members of an archive, each as it is at one moment."""
        with self.scratch() as folder:
            self._chats.copy(folder)
            self._users.copy(folder)
            with suppress(FileNotFoundError):
                shutil.copyfile(self._storage / BROWSER_KEY, folder / BROWSER_KEY)
            People(folder)._count(report)
            for path in (folder / name for name in MEMBERS):
                if path.exists():
                    yield from archive.file(path.name, path)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A storage folder for a moment, whose people are on their way."""
        folder = self._storage / f"{SCRATCH}{secrets.token_hex(8)}"
        folder.mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def take(self, member: Member, folder: Path) -> None:
        """Keep a member of an archive in a scratch folder."""
        try:
            with (folder / member.name).open("xb") as file:
                for piece in member.pieces():
                    file.write(piece)
        except OSError as error:
            raise ApplicationError(
                f"{member.name} of the backup cannot be kept", cause=error.strerror or str(error)
            ) from error

    def adopt(self, folder: Path, report: BackupReport) -> None:
        """Add what a scratch folder holds; the report says what came, and what was left out.

        Raises:
            DamagedBackup: its files are not what this program writes.
        """
        restored = People(folder)
        try:
            offered = BackupReport()
            restored._count(offered)
            if self._users.exist() or self._keys.all():
                left = {"users": offered.users, "keys": offered.keys}
                report.left_out += [f"{number} {kind}" for kind, number in left.items() if number]
            else:
                report.users = self._users.add_from(restored._users)
                report.keys = self._keys.add_from(restored._keys)
            report.conversations = self._chats.add_from(restored._chats)
        except ApplicationError as error:
            raise DamagedBackup(str(error)) from error
        with suppress(FileNotFoundError, FileExistsError):
            os.link(folder / BROWSER_KEY, self._storage / BROWSER_KEY)

    def _count(self, report: BackupReport) -> None:
        report.conversations = self._chats.count()
        report.users, report.keys = len(self._users.all()), len(self._keys.all())
