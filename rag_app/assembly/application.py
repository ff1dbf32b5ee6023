"""The application in this process, put together from settings."""

from dataclasses import fields
from functools import partial
from typing import Any

from data.limits import MIB
from data.parsing import Parser
from rag_app.application import Application
from rag_app.assembly import components
from rag_app.assembly.pipelines import Pipelines
from rag_app.collections.leftovers import sweep
from rag_app.collections.ownership import Ownership
from rag_app.ingestion.encoders import Encoders
from rag_app.ingestion.fetching import Fetcher
from rag_app.settings import Settings, Storage
from retrieval.index.collections import Collections
from retrieval.index.edge_collections import EdgeCollections


def open_application(
    settings: Settings, *, may_block: bool = False
) -> tuple[Application, Ownership | None]:
    """The application in this process, and its right to the storage folder.

    A Qdrant server may be shared, so there is nothing to own there. `may_block` allows an ingestion
    to end with work that stops the whole process for minutes; never where people are served.

    Raises:
        StorageInUse: another process owns the storage folder.
        SettingsError: a part that the settings name cannot be made.
    """
    ownership = Ownership(settings.storage.path) if _embedded(settings) else None
    try:
        return _application(settings, ownership, may_block), ownership
    except BaseException:  # whatever it is, the folder is given back and the error goes on
        if ownership:
            ownership.release()
        raise


def _application(settings: Settings, ownership: Ownership | None, may_block: bool) -> Application:
    used = encoders(settings)
    pipelines = Pipelines(settings, used.get)
    places = collections(settings)
    if ownership:
        sweep(settings.storage.path, places)

    async def release() -> None:
        await pipelines.close()
        used.close()
        if ownership:
            ownership.release()

    return Application(
        places,
        used,
        pipelines,
        settings.storage.path,
        release,
        settings.storage.hnsw_above if may_block else None,
        partial(Parser, components.limits(settings)),
        Fetcher(settings.ingest.hosts, components.limits(settings)),
        user_bytes=settings.limits.user_mb * MIB if settings.limits.user_mb else None,
    )


def encoders(settings: Settings) -> Encoders:
    """All encoders that these settings can make, and what ingests documents with them."""
    splitter = components.splitter(settings)
    return Encoders(
        lambda name: components.encoder(settings, name),
        settings.encoder.name,
        splitter,
        components.bm25(settings),
        partial(components.ingestor, settings, splitter),
    )


def collections(settings: Settings) -> Collections:
    """Where indexes live."""
    storage = settings.storage
    if _embedded(settings):
        return EdgeCollections(storage.path / "collections", storage.min_free_mb * MIB)
    from retrieval.index.server_collections import ServerCollections, connect
    from retrieval.index.server_options import Access, Placement

    key = storage.api_key.get_secret_value() if storage.api_key else None
    client = connect(
        storage.url,
        key,
        prefer_grpc=storage.prefer_grpc,
        grpc_port=storage.grpc_port,
        timeout=storage.timeout,
    )
    return ServerCollections(
        client, Placement(**_given(storage, Placement)), Access(**_given(storage, Access))
    )


def _given(storage: Storage, record: type[Any]) -> dict[str, Any]:
    """What is set of a record's fields; the rest is left to its defaults."""
    values = {field.name: getattr(storage, field.name) for field in fields(record)}
    return {name: value for name, value in values.items() if value is not None}


def _embedded(settings: Settings) -> bool:
    return settings.storage.engine == "embedded"
