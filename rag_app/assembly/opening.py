"""The application wherever it runs: in this process, or in the one that owns the storage folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from rag_app.assembly.application import open_application
from rag_app.assembly.encoders import choose
from rag_app.collections.ownership import HeldByAnother
from rag_app.service import Service
from rag_app.settings import Settings


def open_service(settings: Settings) -> Service:
    """The application in this process, or a connection to the one that owns the storage.

    Raises:
        StorageInUse: another process owns the storage folder, and has no address, or these settings
            ask for an engine or a recipe, which that process has chosen already.
        SettingsError: a part that the settings name cannot be made.
    """
    choose(settings).require_accepted()  # the other process would not look at it
    try:
        return open_application(settings, may_block=True)[0]
    except HeldByAnother as held:
        # the other process works by its own engine and recipe, whatever these settings say
        differs = settings.ingest.engine != "local" or settings.recipe
        if held.owner is None or not held.owner.address or differs:
            raise
        from rag_app.remote.service import RemoteService

        return cast("Service", RemoteService(held.owner.address, held.owner.token))


@asynccontextmanager
async def connect(address: str, key: str = "") -> AsyncIterator[Service]:
    """The application that runs at an address such as ``http://127.0.0.1:7860``.

    Args:
        key: its password; without it, only what everyone there may do is possible.
    """
    from rag_app.remote.service import RemoteService

    remote = RemoteService(address.rstrip("/"), key)
    try:
        yield cast("Service", remote)
    finally:
        await remote.close()
