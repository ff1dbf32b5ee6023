"""What can go wrong between a text and its vector."""

from retrieval.errors import RetrievalError


class EncoderError(RetrievalError):
    """Base of all errors of encoders."""


class UnknownEncoderError(EncoderError):
    """A name that no row of the registry has."""


class EmptyTextError(EncoderError):
    """A text without any character to encode; it has no meaningful direction."""


class ModelMissingError(EncoderError):
    """The files of a model are not on this machine."""


class ModelMismatchError(EncoderError):
    """A file of a model is not the file that this version was built and measured with."""


class EncoderUnavailableError(EncoderError):
    """What runs the model does not answer: a server that is down, or refuses the call."""


class TextTooLongError(EncoderError):
    """A text that the model cannot read whole, where nothing may be cut."""
