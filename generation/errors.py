"""What can go wrong while an answer is written, in words that say what to do about it."""


class GenerationError(Exception):
    """An answer could not be written.

    Args:
        message: What failed, naming the thing (the model, the address, the question).
        cause: Why it failed, if known.
        way_out: What the reader of the message can do about it.

    ``str()`` joins the three into one line: ``message: cause. way out``.
    """

    def __init__(self, message: str, *, cause: str = "", way_out: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.way_out = way_out

    def __str__(self) -> str:
        line = f"{self.message}: {self.cause}" if self.cause else self.message
        return f"{line.rstrip('.')}. {self.way_out}" if self.way_out else line


class ReaderUnavailable(GenerationError):
    """The language model cannot be reached, refuses us, or does not answer in time."""


class QuestionTooLong(GenerationError):
    """The question alone leaves no room for an answer in the model's context window."""
