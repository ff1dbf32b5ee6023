"""The application's own errors."""

from data.errors import RagAppError


class ApplicationError(RagAppError):
    """The application cannot do what was asked."""


class SettingsError(ApplicationError):
    """A setting is unknown, badly valued or inconsistent."""


class UnknownDocument(ApplicationError):
    """A collection holds no document of that name."""


class StorageInUse(ApplicationError):
    """Another process owns the storage folder and offers no address to work through."""
