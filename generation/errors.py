"""What can go wrong while an answer is written."""

from data.errors import RagAppError


class GenerationError(RagAppError):
    """An answer could not be written."""


class ReaderUnavailable(GenerationError):
    """The language model cannot be reached, refuses us, or does not answer in time."""


class QuestionTooLong(GenerationError):
    """The question alone leaves no room for an answer in the model's context window."""
