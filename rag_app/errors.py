"""The application's own errors."""

from data.errors import RagAppError


class ApplicationError(RagAppError):
    """The application cannot do what was asked."""


class SettingsError(ApplicationError):
    """A setting is unknown, badly valued or inconsistent."""


class UnknownDocument(ApplicationError):
    """A collection holds no document of that name, or it has no such page."""

    @classmethod
    def of(cls, collection: str, source: str) -> "UnknownDocument":
        """There is none of that name."""
        return cls(
            f"collection {collection!r} holds no document {source!r}",
            hint="`rag-app documents list` shows their names",
        )


class UnknownModel(ApplicationError):
    """There is no model of that name, or none that is in use."""


class CollectionBusy(ApplicationError):
    """Other work makes, renames or deletes the collection; trying again may help."""


class RerankerUnavailable(ApplicationError):
    """The reranker has not graded all that it was given."""


class StorageInUse(ApplicationError):
    """Another process owns the storage folder and offers no address to work through."""
