"""Errors of the ground package `data`: what happened, why, and what to do about it."""


class DataError(Exception):
    """Something about a person's documents went wrong in a way they can act on.

    `message` names the thing, `cause` says why (no full stop), `way_out` says what to do.
    `str()` gives all three in one line: "message: cause. way out".
    """

    def __init__(self, message: str, *, cause: str = "", way_out: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.way_out = way_out

    def __str__(self) -> str:
        line = f"{self.message}: {self.cause}" if self.cause else self.message
        return f"{line}. {self.way_out}" if self.way_out else line


class UnreadableFile(DataError):
    """One file cannot be read; `cause` holds the reason, the other files are not affected."""
