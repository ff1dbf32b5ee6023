"""The base of every error that is raised on purpose: what happened, why, and how to mend it."""


class RagAppError(Exception):
    """Something that a person can act on; a face shows `str(error)`, never a traceback.

    Args:
        message: what could not be done, naming the thing.
        cause: why, in words a user understands; may be empty.
        hint: the way to mend it; may be empty.
    """

    def __init__(self, message: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.cause, self.hint = message, cause, hint

    def __str__(self) -> str:
        """One line: ``message: cause. hint``, leaving out what is empty."""
        line = f"{self.message}: {self.cause}" if self.cause else self.message
        return f"{line.rstrip('.')}. {self.hint}" if self.hint else line


class DataError(RagAppError):
    """Something about a person's documents went wrong."""


class UnreadableFile(DataError):
    """One file cannot be read; `cause` holds the reason, the other files are not affected."""
