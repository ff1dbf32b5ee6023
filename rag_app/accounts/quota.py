"""How much of the storage folder the documents of one user may take."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from data.limits import MIB
from rag_app.accounts.users import Users
from rag_app.errors import ApplicationError


class QuotaExceeded(ApplicationError):
    """A user's documents would take more than they may."""


class Quota:
    """Bounds the original files of each user's private collections; shared ones are nobody's.

    Args:
        users: know whose a collection is.
        originals: folder of the original files, a folder a collection.
        most: bytes for each user.
    """

    def __init__(self, users: Users, originals: Path, most: int) -> None:
        self._users, self._originals, self._most = users, originals, most

    def require_room(self, collection: str, growth: int) -> None:
        """Raise QuotaExceeded where so many bytes more are too many for the collection's owner."""
        owner = self._users.owner(collection)
        if not owner or growth <= 0:
            return
        owned = [name for name, one in self._users.owners().items() if one == owner]
        used = sum(size for name in owned for size in _sizes(self._originals / name))
        if used + growth > self._most:
            raise QuotaExceeded(
                f"the quota of {_megabytes(self._most)} for each user would be exceeded",
                cause=f"{_megabytes(used)} are used, and {_megabytes(growth)} would be added",
                hint="Delete documents, or let an admin raise RAG_APP_LIMITS__USER_MB",
            )


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # deleted meanwhile
            yield path.stat().st_size


def _megabytes(size: int) -> str:
    return f"{size / MIB:,.1f} MB"
