"""The errors of finding."""

from data.errors import RagAppError


class RetrievalError(RagAppError):
    """Base of all errors that `retrieval` raises on purpose."""


class FusionError(RetrievalError):
    """Two lists of hits cannot be made into one."""
