"""Where the contract's stores live, and the passages that its tests write into them."""

import hashlib
import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.schema import TextNode
from qdrant_client import QdrantClient, models

from retrieval.analysis import Analyzer
from retrieval.bm25 import BM25
from retrieval.index.base import PassageStore
from retrieval.index.collections import Collections
from retrieval.index.edge_collections import EdgeCollections
from retrieval.index.fingerprint import IndexSpec
from retrieval.index.records import DocumentRecord
from retrieval.index.server_collections import ServerCollections, connect
from retrieval.index.server_options import Placement
from retrieval.index.tenants import TenantClient
from retrieval.passages import indexed_text, passage, version_id
from tests.retrieval.index.qdrant_server import QdrantServer

DIMENSION = 8
PREFIX = f"test-{os.getpid()}-"
SPEC = IndexSpec(DIMENSION, {"model_id": "toy"}, {"tokens": 16}, BM25(Analyzer("english")))
OTHER_SPEC = replace(SPEC, encoder={"model_id": "other toy"})
DOT_SPEC = replace(SPEC, encoder={"model_id": "long toy", "normalise": False})

TEXTS = (
    "Cats chase mice at night, and mice hide from cats.",
    "Mice eat cheese; mice like cheese.",
    "The moon is bright at night.",
    "Owls hunt mice in the dark forest at night, without a sound, above fields and barns.",
    "Bread and cheese make a meal.",
    "A forest burns; the smoke hides the moon.",
    "Ships carry cheese.",
    "Barns keep bread dry.",
)


class EdgePlace:
    """A folder of embedded collections."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.collections: Collections = EdgeCollections(root)

    def restart(self) -> None:
        self.collections = EdgeCollections(self.root)

    def stop(self) -> None:
        pass

    def versions(self, name: str) -> list[str]:
        """Fingerprints of the versions that lie on the disk."""
        return sorted(path.name for path in self.root.glob(f"{name}/*") if path.is_dir())


class QuietLocalClient(QdrantClient):
    """The client's local mode, which has no payload indexes and warns whoever asks for one."""

    def create_payload_index(self, *_: Any, **__: Any) -> models.UpdateResult:
        return models.UpdateResult(status=models.UpdateStatus.COMPLETED)


def versions(client: QdrantClient | TenantClient, name: str) -> list[str]:
    """Fingerprints of the versions of a collection that a server holds."""
    found = (held.name for held in client.get_collections().collections)
    return sorted(each.removeprefix(f"{name}__") for each in found if each.startswith(name))


class LocalServerPlace:
    """The stand-in for a server: the same client calls, answered by numpy and sqlite."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.client = self.connect()
        self.collections: Collections = ServerCollections(self.client)

    def connect(self) -> QdrantClient:
        return QuietLocalClient(path=str(self.root))

    def restart(self) -> None:
        self.client.close()
        self.client = self.connect()
        self.collections = ServerCollections(self.client)

    def stop(self) -> None:
        self.client.close()

    def versions(self, name: str) -> list[str]:
        return versions(self.client, name)


class StandInPlace:
    """A server on loopback that checks what it is asked; see `qdrant_server`.

    The first that opens a folder starts it, and writes there where others find it.
    """

    grpc, shards, tenants = True, 2, False

    def __init__(self, root: Path) -> None:
        self.server: QdrantServer | None = None
        address = root / "address"
        if not address.exists():
            self.server = QdrantServer()
            root.mkdir(parents=True)
            address.write_text(f"{self.server.url} {self.server.grpc_port}")
        url, port = address.read_text().split()
        self.connect = partial(connect, url, prefer_grpc=self.grpc, grpc_port=int(port), timeout=20)
        self.restart()

    def restart(self) -> None:
        """The application's: the server goes on."""
        if hasattr(self, "client"):
            self.client.close()
        self.client = self.connect()
        self.collections: Collections = ServerCollections(
            self.client, Placement(shards=self.shards, tenants=self.tenants)
        )

    def stop(self) -> None:
        self.client.close()
        if self.server:
            self.server.stop()

    def versions(self, name: str) -> list[str]:
        return versions(TenantClient(self.client) if self.tenants else self.client, name)


class RestPlace(StandInPlace):
    """The same by REST, its collections whole."""

    grpc, shards = False, 1


class TenantPlace(StandInPlace):
    """The same, its collections parts of one of the server's."""

    shards, tenants = 1, True


class ServerPlace(LocalServerPlace):
    """A real server, at QDRANT_URL; what the tests make there is dropped afterwards."""

    def connect(self) -> QdrantClient:
        return connect(os.environ["QDRANT_URL"], os.environ.get("QDRANT_API_KEY"))

    def stop(self) -> None:
        for held in self.client.get_collections().collections:
            if held.name.startswith(PREFIX):
                self.client.delete_collection(held.name)
        super().stop()


Place = EdgePlace | LocalServerPlace | StandInPlace
PLACES: dict[str, type[Place]] = {
    "edge": EdgePlace,
    "server-grpc-shards": StandInPlace,
    "server-rest": RestPlace,
    "server-tenants": TenantPlace,
}
if os.environ.get("QDRANT_URL"):
    PLACES["server"] = ServerPlace


def place(kind: str, root: Path) -> Place:
    return PLACES[kind](root)


def embedding(text: str) -> list[float]:
    """A unit vector that depends on the text alone."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    vector = np.random.default_rng(seed).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).tolist()


def chunk(text: str, index: int = 0, source: str = "a.txt", content: str = "1") -> TextNode:
    """A passage as ingestion makes it."""
    made = passage(
        source=source,
        version=version_id(source, content),
        index=index,
        fingerprint=SPEC.fingerprint,
        text=text,
    )
    made.embedding = embedding(text)
    return made


def chunks(texts: Sequence[str], source: str = "a.txt", content: str = "1") -> list[TextNode]:
    return [chunk(text, index, source, content) for index, text in enumerate(texts)]


def committed(source: str, content: str, nodes: Sequence[TextNode]) -> DocumentRecord:
    """The record of a document whose chunks are all stored."""
    terms = sum(SPEC.bm25.count(indexed_text(node)).length for node in nodes)
    return DocumentRecord(source=source, live=content, passages=len(nodes), terms=terms)


def ingest(
    store: PassageStore, texts: Sequence[str] = TEXTS, source: str = "a.txt", content: str = "1"
) -> list[TextNode]:
    """Write a document the way ingestion does: hidden, whole, then visible by one record."""
    nodes = chunks(texts, source, content)
    before = store.record(source) or DocumentRecord(source=source)
    store.put_record(replace(before, pending=content))
    store.add(nodes)
    store.put_record(committed(source, content, nodes))
    return nodes


def ids(nodes: Sequence[TextNode]) -> list[str]:
    return [node.node_id for node in nodes]


def vector(text: str) -> np.ndarray:
    return np.asarray(embedding(text), dtype=np.float32)


def unique_name() -> str:
    return f"{PREFIX}{uuid.uuid4().hex[:12]}"
