"""Collections on a Qdrant server: one Qdrant collection a version, an alias for the name."""

import importlib
import logging
import warnings
from collections.abc import Iterable
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from retrieval.index.collections import Collections, Version, checked_name, is_name
from retrieval.index.errors import (
    IndexInUse,
    NameTaken,
    StoreError,
    UnknownCollection,
    UnknownIndex,
)
from retrieval.index.fingerprint import IndexSpec
from retrieval.index.server_options import (
    AS_THE_SERVER_LIKES,
    ONE_SHARD,
    Access,
    Placement,
)

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from retrieval.index.server import ServerStore

_LOGGER = logging.getLogger(__name__)


def connect(
    url: str,
    api_key: str | None = None,
    *,
    prefer_grpc: bool = False,
    grpc_port: int = 6334,
    timeout: int = 30,
    quiet: bool = False,
) -> "QdrantClient":
    """A client of a Qdrant server; nothing is sent yet.

    Args:
        url: such as ``http://localhost:6333``; without a port, 6333 is taken.
        api_key: where the server asks for one.
        prefer_grpc: use gRPC (port `grpc_port`) where the client can; about half the bytes.
        grpc_port: of the same host.
        timeout: seconds that one request may take, at least 1.
        quiet: do not log what the client warns of, such as a key sent unencrypted.

    Raises:
        StoreError: the optional packages are not installed, or the address is none.
    """
    _require_extra()
    from qdrant_client import QdrantClient

    try:
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            client = QdrantClient(
                url=url,
                api_key=api_key,
                prefer_grpc=prefer_grpc,
                grpc_port=grpc_port,
                timeout=timeout,
                check_compatibility=False,  # a request at start, and a warning when it fails
            )
    except ValueError as error:
        raise StoreError(
            f"{url!r} is not the address of a Qdrant server",
            cause=str(error),
            hint="Give it as http://HOST:6333",
        ) from error
    for warning in () if quiet else noted:
        _LOGGER.warning("%s: %s", url, warning.message)
    return client


class ServerCollections(Collections):
    """`Collections` on a Qdrant server, shared by any number of processes.

    The version NAME__FINGERPRINT (or NAME__EDITION.FINGERPRINT, see `Version`) is a Qdrant
    collection; NAME is an alias of the one in use, so switching is one atomic call. A collection
    that is renamed gets another alias, and its versions keep their names; one that is then made
    under the old name calls its own NAME.2__FINGERPRINT.

    Args:
        client: from `connect`.
        placement: of new collections.
        access: to all.
        attempts: how often a call that finds the server busy or gone is made, in all.

    Raises:
        StoreError: the optional packages are not installed.
    """

    shared = True

    def __init__(
        self,
        client: "QdrantClient",
        placement: Placement = ONE_SHARD,
        access: Access = AS_THE_SERVER_LIKES,
        attempts: int = 5,
    ) -> None:
        _require_extra()
        from retrieval.index.server_calls import Calls
        from retrieval.index.tenants import TenantClient

        self._client = TenantClient(client) if placement.tenants else client
        self._placement, self._access = placement, access
        self._calls = Calls(client, attempts)

    def names(self) -> list[str]:
        """See `Collections.names`."""
        return sorted(self._aliases())

    def versions(self, name: str) -> list[str]:
        """See `Collections.versions`."""
        edition = self._active(name).edition
        ours = (version for version in self._versions(name) if version.edition == edition)
        return sorted(each.fingerprint for each in ours if self._is_made(self._called(name, each)))

    def open(self, name: str, spec: IndexSpec, fingerprint: str | None = None) -> "ServerStore":
        """See `Collections.open`."""
        version = self._active(name)
        if fingerprint is not None:
            self._require(name, fingerprint)
            version = Version(fingerprint, version.edition)
        return self._store(self._called(name, version), spec)

    def point(self, name: str, fingerprint: str) -> None:
        """See `Collections.point`."""
        self._require(name, fingerprint)
        self._point(name, Version(fingerprint, self._active(name).edition))

    def discard(self, name: str, fingerprint: str) -> None:
        """See `Collections.discard`."""
        self._require(name, fingerprint)
        active = self._active(name)
        if fingerprint == active.fingerprint:
            raise IndexInUse(name, fingerprint)
        self._delete(name, [Version(fingerprint, active.edition)])

    def drop(self, name: str) -> None:
        """See `Collections.drop`."""
        active = self._active(name)
        others = [version for version in self._versions(name) if version != active]
        # The last takes the alias with it, so that a crash leaves all or nothing.
        self._delete(name, [*others, active])

    def rename(self, name: str, to: str) -> None:
        """See `Collections.rename`."""
        from qdrant_client import models

        collection = self._called(name, self._active(name))
        if self._exists(to):
            raise NameTaken(to)
        create = models.CreateAlias(collection_name=collection, alias_name=to)
        operations: list[models.AliasOperations] = [
            models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name)),
            models.CreateAliasOperation(create_alias=create),
        ]
        self._calls(lambda: self._client.update_collection_aliases(operations))

    def adopt(self, name: str, edition: str, fingerprint: str) -> None:
        """See `Collections.adopt`."""
        self._point(name, Version(fingerprint, edition))
        self._delete(name, [v for v in self._versions(name) if v.edition != edition])

    def abandon(self, name: str, edition: str) -> None:
        """See `Collections.abandon`."""
        if name in self._aliases() and self._active(name).edition == edition:
            return
        self._delete(name, [v for v in self._versions(name) if v.edition == edition])

    def sweep(self) -> None:
        """See `Collections.sweep`: nothing, since other processes may be at work."""

    def _exists(self, name: str) -> bool:
        return checked_name(name) in self._aliases()

    def _active(self, name: str) -> Version:
        aliases = self._aliases()
        if checked_name(name) not in aliases:
            raise UnknownCollection(name, aliases)
        return aliases[name][1]

    def _aliases(self) -> dict[str, tuple[str, Version]]:
        """Name -> what the versions are called by and the one in use, of those that are ours.

        Aliases that somebody else has made of a collection beside its own are not.
        """
        answer = self._calls(self._client.get_aliases)
        found = {
            alias.alias_name: parsed
            for alias in answer.aliases
            if is_name(alias.alias_name) and (parsed := _parsed(alias.collection_name))
        }
        names: dict[str, str] = {}
        for name, (base, _) in sorted(found.items(), key=lambda one: (one[0] != one[1][0], one[0])):
            names.setdefault(base, name)
        return {name: found[name] for name in names.values()}

    def _base(self, name: str) -> str:
        """What the versions of a collection are called by; it need not exist yet."""
        aliases = self._aliases()
        if name in aliases:
            return aliases[name][0]
        used = {base for base, _ in aliases.values()}
        bases = chain([name], (f"{name}.{number}" for number in count(2)))
        return next(base for base in bases if base not in used)

    def _called(self, name: str, version: Version) -> str:
        """Qdrant's name of a version."""
        return f"{self._base(name)}__{version}"

    def _require(self, name: str, fingerprint: str) -> None:
        versions = self.versions(name)
        if fingerprint not in versions:
            raise UnknownIndex(name, fingerprint, versions)

    def _versions(self, name: str) -> list[Version]:
        """Of every edition, half-made ones included."""
        base, answer = self._base(name), self._calls(self._client.get_collections)
        found = (_parsed(held.name) for held in answer.collections)
        return [version for held, version in filter(None, found) if held == base]

    def _store(self, collection: str, spec: IndexSpec) -> "ServerStore":
        from retrieval.index.server import ServerStore

        return ServerStore(self._client, collection, spec, self._calls, self._access)

    def _make(self, name: str, spec: IndexSpec, version: Version) -> "ServerStore":
        """See `Collections._make`."""
        from qdrant_client import models

        from retrieval.index.records import CollectionRecord
        from retrieval.index.server import INDEXED_KEYS, TERMS

        collection = self._called(name, version)
        if version not in self._versions(name):
            self._calls(lambda: self._create(collection, spec))
        indexes: dict[str, Any] = dict.fromkeys(INDEXED_KEYS, models.PayloadSchemaType.KEYWORD)
        if self._placement.shards != 1:
            indexes[TERMS] = models.IntegerIndexParams(
                type=models.IntegerIndexType.INTEGER, lookup=True, range=False
            )
        for key, kind in indexes.items():
            self._calls(
                partial(self._client.create_payload_index, collection, key, kind, wait=True)
            )
        store = self._store(collection, spec)
        if not self._is_made(collection):
            store.put_collection(CollectionRecord(spec.fingerprint, spec.identity, building=True))
        return store

    def _is_made(self, collection: str) -> bool:
        """Whether its record is there, which is written last."""
        from retrieval.index.records import COLLECTION_POINT

        return bool(self._calls(lambda: self._client.retrieve(collection, [COLLECTION_POINT])))

    def _create(self, collection: str, spec: IndexSpec) -> None:
        from qdrant_client import models

        from retrieval.index.server import DENSE, SPARSE
        from retrieval.index.server_calls import create_once

        distances = {"cosine": models.Distance.COSINE, "dot": models.Distance.DOT}
        placement = self._placement
        small = {
            "none": None,
            "int8": models.ScalarQuantization(
                scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
            ),
            "binary": models.BinaryQuantization(
                binary=models.BinaryQuantizationConfig(always_ram=True)
            ),
        }[placement.quantization]
        on_disk = placement.on_disk or None
        dense = models.VectorParams(
            size=spec.dimension,
            distance=distances[spec.distance],
            datatype=models.Datatype.FLOAT16,
            hnsw_config=models.HnswConfigDiff(
                m=placement.hnsw_m, ef_construct=placement.hnsw_ef_construct, on_disk=on_disk
            ),
            quantization_config=small,
            on_disk=True if small else on_disk,
        )
        # In several shards the store itself weighs, see `ServerStore._weighed`.
        modifier = models.Modifier.IDF if placement.shards == 1 else models.Modifier.NONE
        sparse = models.SparseVectorParams(
            modifier=modifier, index=models.SparseIndexParams(on_disk=on_disk)
        )
        create_once(
            self._client,
            collection,
            vectors_config={DENSE: dense},
            sparse_vectors_config={SPARSE: sparse},
            shard_number=placement.shards,
            replication_factor=placement.replicas,
            write_consistency_factor=placement.write_consistency,
            on_disk_payload=on_disk,
        )

    def _point(self, name: str, version: Version) -> None:
        from qdrant_client import models

        create = models.CreateAlias(collection_name=self._called(name, version), alias_name=name)
        operations: list[models.AliasOperations] = [
            models.CreateAliasOperation(create_alias=create)
        ]
        if name in self._aliases():
            gone = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))
            operations.insert(0, gone)
        self._calls(lambda: self._client.update_collection_aliases(operations))

    def _delete(self, name: str, versions: Iterable[Version]) -> None:
        for version in versions:
            self._calls(partial(self._client.delete_collection, self._called(name, version)))


def _parsed(collection: str) -> tuple[str, Version] | None:
    """What the versions of a collection begin with, and which version this is, if it is ours."""
    base, _, rest = collection.rpartition("__")
    version = Version.parse(rest)
    return (base, version) if version and is_name(base.partition(".")[0]) else None


def _require_extra() -> None:
    """The server's packages are an extra; whoever uses the embedded store does without them."""
    try:
        for package in ("qdrant_client", "llama_index.vector_stores.qdrant"):
            importlib.import_module(package)
    except ImportError as error:
        raise StoreError(
            "the Qdrant server store needs packages that are not installed",
            cause=str(error),
            hint="pip install 'rag-app[server]'",
        ) from error
