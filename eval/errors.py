"""The errors of judging: every one names the thing, the reason and the way out."""


class EvalError(Exception):
    """Base of all errors that `eval` raises on purpose.

    Args:
        message: what could not be done, naming the thing.
        cause: why, in words a user understands; may be empty.
        way_out: what to do about it; may be empty.
    """

    def __init__(self, message: str, *, cause: str = "", way_out: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.way_out = way_out

    def __str__(self) -> str:
        """One line: ``message: cause. way out``, leaving out what is empty."""
        line = f"{self.message}: {self.cause}" if self.cause else self.message
        return f"{line}. {self.way_out}" if self.way_out else line


class DatasetError(EvalError):
    """A data set is missing, incomplete or not in the expected form."""
