"""Who owns the storage folder, told without keeping it."""

from pathlib import Path

from rag_app.collections.ownership import HeldByAnother, Owner, Ownership
from rag_app.errors import ApplicationError

_UNKNOWN = Owner(0, "another process")


def custodian(folder: Path) -> Owner | None:
    """The process that owns the folder; None where none does, or it cannot be told."""
    try:
        Ownership(folder).release()
    except HeldByAnother as held:
        return held.owner or _UNKNOWN
    except ApplicationError:  # the probe of the folder says why
        return None
    return None
