"""The server's store over gRPC, which settings prefer: the same calls, another way."""

from dataclasses import replace

import grpc
import numpy as np
import pytest
from qdrant_client import grpc as qdrant

from retrieval.index.base import StoredPassage
from retrieval.index.errors import StoreError
from retrieval.index.records import DocumentRecord
from retrieval.index.server import ServerStore
from retrieval.index.server_calls import Calls
from retrieval.index.server_collections import ServerCollections, connect
from retrieval.index.server_options import Placement
from retrieval.sparse import SparseVector
from tests.retrieval.index.places import SPEC, TEXTS, chunks, ids, vector
from tests.retrieval.index.scripted_grpc import scripted_grpc


@pytest.fixture
def server():
    with scripted_grpc() as script:
        yield script


@pytest.fixture
def client(server):
    made = connect("http://127.0.0.1:1", prefer_grpc=True, grpc_port=server.port, timeout=5)
    yield made
    made.close()


@pytest.fixture
def store(server, client) -> ServerStore:
    made = ServerStore(client, "docs__0", SPEC, Calls(client, pause=0.001))
    server.requests.clear()
    return made


def stored(count: int, letters: int, terms: int = 300) -> list[StoredPassage]:
    """Like those of the largest encoders."""
    draw = np.random.default_rng(3)
    return [
        StoredPassage(
            node.node_id,
            {"text": "ü" * letters, **node.metadata},
            draw.normal(size=4096).astype(np.float32),
            SparseVector(list(range(terms)), draw.random(terms).tolist()),
        )
        for node in chunks(["x"] * count)
    ]


def test_every_call_of_a_store_goes_over_grpc(server, store):
    nodes = chunks(TEXTS)
    weights = [SparseVector([1], [0.1])] * len(nodes)
    store.upsert(nodes, weights)
    store.reweigh(ids(nodes), weights)
    store.restore(stored(1, 10))
    store.put_records([DocumentRecord("a.txt", pending="1")])
    store.dense(vector("x"), 5)
    store.sparse(SPEC.bm25.encode_query("mice"), 5)
    store.delete_version("gone")
    assert (store.count("v"), store.size()) == (3, 3)
    assert list(store.passages()) == list(store.dump()) == store.fetch(ids(nodes)) == []
    called = {method.partition("/")[2] for method, _ in server.requests}
    assert called == {"Upsert", "UpdateVectors", "QueryBatch", "Scroll", "Get", "Count", "Delete"}


def test_the_population_of_idf_is_named_over_grpc_too(server, store):
    store.delete_version("gone")
    store.sparse(SPEC.bm25.encode_query("mice"), 5)
    (body,) = server.bodies("Points/QueryBatch")
    (asked,) = qdrant.QueryBatchPoints.FromString(body).query_points
    assert asked.params.idf.corpus.must[0].field.match.keyword == "passage"


def test_requests_stay_under_five_megabytes(server, store):
    passages = stored(150, 20_000)
    store.restore(passages)
    store.reweigh(
        [one.id for one in passages], [SparseVector([*range(20_000)], [0.5] * 20_000)] * 150
    )
    store.put_records([DocumentRecord(f"{n}.txt", failure="ü" * 50_000) for n in range(90)])
    sizes = [len(body) for method, body in server.requests]
    assert max(sizes) < 5_000_000
    written = [qdrant.UpsertPoints.FromString(body) for body in server.bodies("Points/Upsert")]
    keys = [point.id.uuid for request in written for point in request.points]
    assert keys[:150] == [one.id for one in passages]
    assert len(keys) == 240
    assert all(request.wait for request in written)
    changed = server.bodies("Points/UpdateVectors")
    assert sum(len(qdrant.UpdatePointVectors.FromString(body).points) for body in changed) == 150


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL],
)
def test_a_write_that_a_busy_server_refuses_is_repeated_whole(server, store, code):
    server.failures = [code, code]
    passages = stored(2, 10)
    store.restore(passages)
    bodies = server.bodies("Points/Upsert")
    assert len(bodies) == 3
    assert len(set(bodies)) == 1


def test_what_the_server_refuses_for_good_is_not_repeated(server, store):
    server.failures = [grpc.StatusCode.INVALID_ARGUMENT]
    with pytest.raises(StoreError, match="refused a request: no"):
        store.restore(stored(1, 10))
    assert len(server.requests) == 1


def test_a_server_that_asks_for_a_pause_gets_it(server, store, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    server.failures, server.retry_after = [grpc.StatusCode.RESOURCE_EXHAUSTED], 7
    store.restore(stored(1, 10))
    assert pauses == [7]


def test_every_collection_is_placed_as_the_settings_say(server, client):
    placement = Placement(shards=6, replicas=3, write_consistency=2)
    collections = ServerCollections(client, placement)
    collections.draft("docs", SPEC, "00c0ffee")
    (body,) = server.bodies("Collections/Create")
    made = qdrant.CreateCollection.FromString(body)
    assert made.collection_name == f"docs__00c0ffee.{SPEC.fingerprint}"
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (6, 3, 2)


def test_a_collection_that_another_process_made_first_is_taken(server, client):
    server.failures = [grpc.StatusCode.INVALID_ARGUMENT]  # how a server says that it exists
    collections = ServerCollections(client)
    collections._create("docs__0", replace(SPEC))
    assert server.bodies("Collections/CollectionExists")
