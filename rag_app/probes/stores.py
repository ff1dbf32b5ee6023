"""Where vectors lie (the embedded engine or a Qdrant server), and what indexes are there."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag_app.assembly import components
from rag_app.assembly.opening import open_service
from rag_app.collections.ownership import Owner
from rag_app.probes.base import BEYOND, Problem, in_thread, shown, since
from rag_app.results import CollectionInfo, IndexInfo
from rag_app.settings import Settings, Storage
from retrieval.index.errors import StoreError
from retrieval.index.fingerprint import IndexSpec

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from retrieval.index.server_calls import Calls


def embedded(storage: Storage, owner: Owner | None) -> str:
    """The version of the engine, and who owns the folder.

    Raises:
        Problem: the engine is not installed.
    """
    try:
        engine = version("qdrant-edge-py")
    except PackageNotFoundError:
        raise Problem(
            "the embedded engine is not installed", hint="pip install qdrant-edge-py"
        ) from None
    return f"embedded, qdrant-edge {engine}, in {storage.path}; {_owned(owner)}"


def _owned(owner: Owner | None) -> str:
    if owner is None:
        return "no other process owns it"
    where = f" at {owner.address}" if owner.address else ""
    return f"process {owner.pid} ({owner.command}) owns it{where}"


def server(storage: Storage, seconds: float) -> str:
    """Version, latency over HTTP and, where it is preferred, gRPC, and what the cluster can hold.

    Raises:
        StoreError: it does not answer, or refuses the key.
        Problem: gRPC cannot be used, or the cluster is smaller than the placement asks for.
    """
    from retrieval.index.server_calls import Calls
    from retrieval.index.server_collections import connect

    key = storage.api_key.get_secret_value() if storage.api_key else None
    client = connect(
        storage.url,
        key,
        prefer_grpc=storage.prefer_grpc,
        grpc_port=storage.grpc_port,
        timeout=math.ceil(seconds * BEYOND),
        quiet=True,  # the application has said it, and `/readyz` comes here every time
    )
    with closing(client):
        calls = Calls(client, attempts=1)
        http: Any = client.http
        answer = calls(http.service_api.root)
        parts = [
            f"server {answer.version} at {shown(storage.url)}",
            f"HTTP {_timed(calls, http.aliases_api.get_collections_aliases)}",
        ]
        if storage.prefer_grpc:
            parts.append(_grpc(storage, client, calls))
        parts.append(_cluster(storage, http, calls))
    return ", ".join(parts)


def _timed(calls: "Calls", call: Callable[[], object]) -> str:
    start = time.perf_counter()
    calls(call)
    return since(start)


def _grpc(storage: Storage, client: "QdrantClient", calls: "Calls") -> str:
    where = f"{urlsplit(storage.url).hostname}:{storage.grpc_port}"
    try:
        return f"gRPC {storage.grpc_port} {_timed(calls, client.get_aliases)}"
    except StoreError as error:
        raise Problem(
            f"gRPC at {where} does not answer, though HTTP does",
            cause=error.cause,
            hint="Open that port, set RAG_APP_STORAGE__GRPC_PORT, or use HTTP alone: "
            "RAG_APP_STORAGE__PREFER_GRPC=false",
        ) from error


def _cluster(storage: Storage, http: Any, calls: "Calls") -> str:
    """How many nodes there are for the placement; keys of limited rights may not ask."""
    try:
        status = calls(http.distributed_api.cluster_status).result
    except StoreError as error:
        return f"cluster not told ({error.cause})"
    nodes = len(getattr(status, "peers", None) or {}) or 1
    copies, confirming = storage.replicas or 1, storage.write_consistency or 1
    for setting, wanted, there in (
        ("REPLICAS", copies, nodes),
        ("WRITE_CONSISTENCY", confirming, min(copies, nodes)),
    ):
        if wanted > there:
            raise Problem(
                f"storage.{setting.lower()} is {wanted}, and {shown(storage.url)} has {nodes} "
                f"node{'s' * (nodes > 1)}",
                cause=f"no more than {there} can be kept",
                hint=f"Add nodes, or set RAG_APP_STORAGE__{setting}={there}",
            )
    asked = {"shards": storage.shards, "replicas": storage.replicas, "confirm": confirming}
    placed = ", ".join(f"{name} {number}" for name, number in asked.items() if number)
    return f"cluster of {nodes} ({placed})" if nodes > 1 else "one node"


def whole(collections: Sequence[CollectionInfo]) -> str:
    """How many collections there are. Raises Problem: some are damaged."""
    damaged = [one for one in collections if one.damage]
    if damaged:
        names = ", ".join(one.name for one in damaged)
        raise Problem(
            f"{len(damaged)} of {len(collections)} collections are damaged ({names})",
            cause=damaged[0].damage,
            hint=f"`rag-app collections repair {damaged[0].name}` builds it from its originals",
        )
    return f"{len(collections)} collections"


async def indexes(settings: Settings) -> str:
    """Compare the fingerprint of these settings with those of every collection's indexes.

    Raises:
        Problem: a collection is damaged, or has no index for them.
        StorageInUse: another process owns the storage, and cannot be asked.
    """
    encoder, wanted = await in_thread(partial(_wanted, settings))
    service = await in_thread(partial(open_service, settings))
    try:
        collections = await service.collections()
        whole(collections)
        found = {c.name: await service.indexes(c.name) for c in collections}
    finally:
        await service.close()
    lacking = {name: each for name, each in found.items() if not _whole(each, wanted)}
    if lacking:
        name = min(lacking)
        raise Problem(
            f"{', '.join(sorted(lacking))}: no index for these settings ({wanted})",
            cause=f"{name} has {_listed(lacking[name])}",
            hint=_hint(name, lacking[name], wanted, encoder),
        )
    held = [each for known in found.values() for each in known if each.fingerprint == wanted]
    passages = sum(each.passages for each in held)
    late = [
        f"; {name} lacks documents: `rag-app indexes build -c {name}`"
        for name, known in found.items()
        if any(each.fingerprint == wanted and each.behind for each in known)
    ]
    return f"{len(found)} collections, {passages} passages, fingerprint {wanted}{''.join(late)}"


def _wanted(settings: Settings) -> tuple[str, str]:
    """The name of the encoder, and the fingerprint of an index built with these settings."""
    model = components.encoder(settings)
    try:
        cut, terms = components.splitter(settings).identity, components.bm25(settings)
        spec = IndexSpec(model.dimension, model.identity, cut, terms)
        return model.row.name, spec.fingerprint
    finally:
        model.close()


def _whole(indexes: Sequence[IndexInfo], wanted: str) -> bool:
    return any(each.fingerprint == wanted and (each.usable or each.active) for each in indexes)


def _listed(indexes: Sequence[IndexInfo]) -> str:
    return ", ".join(f"{each.encoder} {each.fingerprint}" for each in indexes)


def _hint(name: str, indexes: Sequence[IndexInfo], wanted: str, encoder: str) -> str:
    """Of an encoder's index with other settings, the new one takes the place; else it is added."""
    begun = any(each.fingerprint == wanted for each in indexes)
    if not begun and any(each.encoder == encoder for each in indexes):
        return f"`rag-app collections rebuild {name}`, or go back to the settings it was built with"
    return f"`rag-app indexes build --encoder {encoder} -c {name}`"
