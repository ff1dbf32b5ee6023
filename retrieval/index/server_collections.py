"""Collections on a Qdrant server: one Qdrant collection a version, an alias for the name."""

import importlib
import logging
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.index.collections import checked_name
from retrieval.index.errors import IndexInUse, StoreError, UnknownCollection, UnknownIndex
from retrieval.index.fingerprint import IndexSpec

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
) -> "QdrantClient":
    """A client of a Qdrant server; nothing is sent yet.

    Args:
        url: such as ``http://localhost:6333``; without a port, 6333 is taken.
        api_key: where the server asks for one.
        prefer_grpc: use gRPC (port `grpc_port`) where the client can; about half the bytes.
        grpc_port: of the same host.
        timeout: seconds that one request may take, at least 1.

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
            way_out="Give it as http://HOST:6333",
        ) from error
    for warning in noted:  # such as: the API key goes over an unencrypted connection
        _LOGGER.warning("%s: %s", url, warning.message)
    return client


@dataclass(frozen=True, slots=True)
class Placement:
    """How a cluster keeps a collection; None leaves it to the server.

    Attributes:
        shards: parts that a collection is cut into.
        replicas: copies of each.
        write_consistency: copies that must confirm a write.
    """

    shards: int | None = None
    replicas: int | None = None
    write_consistency: int | None = None


class ServerCollections:
    """`Collections` on a Qdrant server, shared by any number of processes.

    The version NAME__FINGERPRINT is a Qdrant collection; NAME is an alias of the one in use, so
    switching is one atomic call.

    Args:
        client: from `connect`.
        placement: of new collections.
        attempts: how often a call that finds the server busy or gone is made, in all.

    Raises:
        StoreError: the optional packages are not installed.
    """

    def __init__(
        self,
        client: "QdrantClient",
        placement: Placement = Placement(),
        attempts: int = 5,
    ) -> None:
        _require_extra()
        from retrieval.index.server_calls import Calls

        self._client = client
        self._placement = placement
        self._calls = Calls(client, attempts)

    def names(self) -> list[str]:
        """See `Collections.names`."""
        return sorted(self._aliases())

    def versions(self, name: str) -> list[str]:
        """See `Collections.versions`."""
        self.active(name)
        return [held for held in self._versions(name) if self._is_made(_version(name, held))]

    def active(self, name: str) -> str:
        """See `Collections.active`."""
        aliases = self._aliases()
        if checked_name(name) not in aliases:
            raise UnknownCollection(name, aliases)
        return aliases[name].removeprefix(f"{name}__")

    def open(self, name: str, spec: IndexSpec, fingerprint: str | None = None) -> "ServerStore":
        """See `Collections.open`."""
        if fingerprint is None:
            fingerprint = self.active(name)
        else:
            self._require(name, fingerprint)
        return self._store(_version(name, fingerprint), spec)

    def create(self, name: str, spec: IndexSpec) -> "ServerStore":
        """See `Collections.create`."""
        if checked_name(name) in self._aliases():
            return self.open(name, spec)
        self._make(name, spec)
        self._point(name, spec.fingerprint)
        store = self.open(name, spec)
        store.put_collection(store.collection().built())
        return store

    def stage(self, name: str, spec: IndexSpec) -> "ServerStore":
        """See `Collections.stage`."""
        self.active(name)
        self._make(name, spec)
        return self._store(_version(name, spec.fingerprint), spec)

    def point(self, name: str, fingerprint: str) -> None:
        """See `Collections.point`."""
        self._require(name, fingerprint)
        self._point(name, fingerprint)

    def discard(self, name: str, fingerprint: str) -> None:
        """See `Collections.discard`."""
        self._require(name, fingerprint)
        if fingerprint == self.active(name):
            raise IndexInUse(name, fingerprint)
        self._delete(_version(name, fingerprint))

    def drop(self, name: str) -> None:
        """See `Collections.drop`."""
        active = self.active(name)
        for fingerprint in self._versions(name):
            if fingerprint != active:
                self._delete(_version(name, fingerprint))
        # The last takes the alias with it, so that a crash leaves all or nothing.
        self._delete(_version(name, active))

    def _aliases(self) -> dict[str, str]:
        """Name -> Qdrant collection, of those that are ours."""
        answer = self._calls(self._client.get_aliases)
        return {
            alias.alias_name: alias.collection_name
            for alias in answer.aliases
            if _is_version_of(alias.alias_name, alias.collection_name)
        }

    def _require(self, name: str, fingerprint: str) -> None:
        versions = self.versions(name)
        if fingerprint not in versions:
            raise UnknownIndex(name, fingerprint, versions)

    def _versions(self, name: str) -> list[str]:
        answer = self._calls(self._client.get_collections)
        ours = (held.name for held in answer.collections if _is_version_of(name, held.name))
        return sorted(version.removeprefix(f"{name}__") for version in ours)

    def _store(self, version: str, spec: IndexSpec) -> "ServerStore":
        from retrieval.index.server import ServerStore

        return ServerStore(self._client, version, spec, self._calls)

    def _make(self, name: str, spec: IndexSpec) -> None:
        """An empty version; each step does nothing where it is done already."""
        from qdrant_client import models

        from retrieval.index.records import CollectionRecord
        from retrieval.index.server import INDEXED_KEYS

        version = _version(name, spec.fingerprint)
        if spec.fingerprint not in self._versions(name):
            self._calls(lambda: self._create(version, spec))
        for key in INDEXED_KEYS:
            self._calls(
                lambda key=key: self._client.create_payload_index(  # type: ignore[misc]
                    version, key, models.PayloadSchemaType.KEYWORD, wait=True
                )
            )
        if not self._is_made(version):
            record = CollectionRecord(spec.fingerprint, spec.identity, building=True)
            self._store(version, spec).put_collection(record)

    def _is_made(self, version: str) -> bool:
        """Whether its record is there, which is written last."""
        from retrieval.index.records import COLLECTION_POINT

        return bool(self._calls(lambda: self._client.retrieve(version, [COLLECTION_POINT])))

    def _create(self, version: str, spec: IndexSpec) -> None:
        from qdrant_client import models
        from qdrant_client.http.exceptions import UnexpectedResponse

        from retrieval.index.server import DENSE, SPARSE

        distances = {"cosine": models.Distance.COSINE, "dot": models.Distance.DOT}
        dense = models.VectorParams(
            size=spec.dimension,
            distance=distances[spec.distance],
            datatype=models.Datatype.FLOAT16,
        )
        sparse = models.SparseVectorParams(modifier=models.Modifier.IDF)
        try:
            self._client.create_collection(
                version,
                vectors_config={DENSE: dense},
                sparse_vectors_config={SPARSE: sparse},
                shard_number=self._placement.shards,
                replication_factor=self._placement.replicas,
                write_consistency_factor=self._placement.write_consistency,
            )
        except UnexpectedResponse:
            if not self._client.collection_exists(version):  # another process may have been first
                raise

    def _point(self, name: str, fingerprint: str) -> None:
        from qdrant_client import models

        create = models.CreateAlias(collection_name=_version(name, fingerprint), alias_name=name)
        operations: list[models.AliasOperations] = [
            models.CreateAliasOperation(create_alias=create)
        ]
        if name in self._aliases():
            gone = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))
            operations.insert(0, gone)
        self._calls(lambda: self._client.update_collection_aliases(operations))

    def _delete(self, version: str) -> None:
        self._calls(lambda: self._client.delete_collection(version))


def _version(name: str, fingerprint: str) -> str:
    return f"{name}__{fingerprint}"


def _is_version_of(name: str, collection: str) -> bool:
    return re.fullmatch(re.escape(name) + "__[0-9a-f]{16}", collection) is not None


def _require_extra() -> None:
    """The server's packages are an extra; whoever uses the embedded store does without them."""
    try:
        for package in ("qdrant_client", "llama_index.vector_stores.qdrant"):
            importlib.import_module(package)
    except ImportError as error:
        raise StoreError(
            "the Qdrant server store needs packages that are not installed",
            cause=str(error),
            way_out="pip install 'rag-app[server]'",
        ) from error
