"""The errors of measuring."""

from rag_app.errors import ApplicationError


class EvalError(ApplicationError):
    """Base of all errors that `eval` raises on purpose."""


class DatasetError(EvalError):
    """A data set is missing or is not what it should be."""
