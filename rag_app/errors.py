"""The application's own errors, and the one tuple that faces turn into messages.

Every ground folder raises its own small family (message, cause, way out). A face (command line,
server, chat) catches `EXPECTED` and shows `str(error)`; anything else is a fault of ours and keeps
its traceback.
"""

from data.errors import DataError
from generation.errors import GenerationError
from retrieval.errors import RetrievalError


class ApplicationError(Exception):
    """Something the user can put right: says what, why, and the way out."""

    def __init__(self, message: str, *, cause: str = "", way_out: str = "") -> None:
        self.message, self.cause, self.way_out = message, cause, way_out
        text = f"{message}: {cause}" if cause else message
        super().__init__(f"{text}. {way_out}" if way_out else text)


class SettingsError(ApplicationError):
    """A setting is unknown, badly valued or inconsistent."""


class StorageInUse(ApplicationError):
    """Another process owns the storage folder and offers no address to work through."""


EXPECTED = (ApplicationError, DataError, RetrievalError, GenerationError)
