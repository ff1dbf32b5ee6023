"""The stand-in for a server refuses what a server would, and has its traps."""

import json
from typing import Any

import grpc
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as qdrant

from tests.retrieval.index.places import SPEC, TEXTS, chunk, chunks
from tests.retrieval.index.qdrant_server import (
    Missing,
    QdrantServer,
    Refused,
    Shards,
    answer_rest,
    parsed,
)

DENSE = models.VectorParams(size=8, distance=models.Distance.COSINE)


@pytest.fixture
def shards():
    made = Shards()
    sparse = models.SparseVectorParams(modifier=models.Modifier.IDF)
    made.create(
        "docs",
        models.CreateCollection(
            vectors={"dense": DENSE}, sparse_vectors={"bm25": sparse}, shard_number=2
        ),
    )
    yield made
    made.close()


def post(shards: Shards, path: str, body: Any, method: str = "POST") -> Any:
    return answer_rest(shards, method, f"/collections/docs/{path}", json.dumps(body).encode())


def point(**changes: Any) -> dict[str, Any]:
    return {"id": chunk("x").node_id, "vector": {"dense": [0.5] * 8}, "payload": {}} | changes


def test_what_is_right_is_taken(shards):
    post(shards, "points?wait=true&ordering=strong", {"points": [point()]}, "PUT")
    assert post(shards, "points/count", {"exact": True}) == {"count": 1}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("points/count", {"exactly": True}),
        ("points/count", {"exact": "yes"}),
        ("points/count", {"filter": {"must": [{"key": "kind", "match": {"valu": "x"}}]}}),
        ("points/query", {"query": [0.5] * 8, "using": "dense", "limit": "5"}),
        ("points/query", {"query": [0.5] * 8, "using": "dense", "params": {"ef": 3}}),
        ("points/query", {"query": [0.5] * 8, "using": "denser"}),
        ("points/query", {"query": [0.5] * 7, "using": "dense"}),
        ("points/delete", {"points": ["no uuid"]}),
        ("points/query/batch", {"searches": [{"query": [0.5] * 8, "use": "dense"}]}),
        ("points/count?exact=true", {}),
    ],
)
def test_what_a_server_would_refuse_by_rest_is_refused(shards, path, body):
    with pytest.raises(ValueError, match=r".") as error:
        post(shards, path, body)
    assert not isinstance(error.value, Missing)


@pytest.mark.parametrize(
    "changes",
    [
        {"payloads": {}},
        {"id": "one"},
        {"id": -1},
        {"vector": {"dense": "0.5"}},
        {"vector": {"sparse": [0.5] * 8}},
    ],
)
def test_points_of_another_form_are_refused(shards, changes):
    with pytest.raises(ValueError, match=r"."):
        post(shards, "points", {"points": [point(**changes)]}, "PUT")


def test_what_is_not_there_or_not_offered_is_missing(shards):
    for path in ("collections/other/points/count", "collections/docs/points/recommend"):
        with pytest.raises(Missing):
            answer_rest(shards, "POST", f"/{path}", b"{}")


def test_messages_of_other_definitions_are_refused():
    right = qdrant.CountPoints(collection_name="docs", exact=True).SerializeToString()
    assert parsed("Points/Count", right).exact is True
    unknown_field = right + b"\xf8\x3f\x01"  # number 1023
    with pytest.raises(Refused, match="unknown field"):
        parsed("Points/Count", unknown_field)
    inner = qdrant.Filter(must=[qdrant.Condition()]).SerializeToString()
    assert parsed("Points/Count", b"\x12" + bytes([len(inner)]) + inner)
    inner += b"\xf8\x3f\x01"
    with pytest.raises(Refused, match="Filter has an unknown field"):
        parsed("Points/Count", b"\x12" + bytes([len(inner)]) + inner)
    ordering = qdrant.WriteOrdering(type=7)  # of 0 to 2
    with pytest.raises(Refused, match="no value 7"):
        parsed("Points/Upsert", qdrant.UpsertPoints(ordering=ordering).SerializeToString())
    with pytest.raises(Refused):
        parsed("Points/Count", b"\x0a\xff")


def test_refusals_reach_clients_of_both_protocols():
    server = QdrantServer()
    for prefer in (False, True):
        client = QdrantClient(
            server.url, grpc_port=server.grpc_port, prefer_grpc=prefer, check_compatibility=False
        )
        with pytest.raises((grpc.RpcError, Exception), match="docs"):
            client.count("docs")
        client.close()
    server.stop()


def test_idf_is_counted_in_each_shard_by_itself_as_servers_do(shards):
    """The trap for which collections of several shards are weighed by the store."""
    points = []
    for node in chunks([*TEXTS, *TEXTS[1:3]]):
        weights = SPEC.bm25.weigh(SPEC.bm25.count(node.text), 8.0)
        sparse = models.SparseVector(indices=weights.indices, values=weights.values)
        vector = {"dense": node.embedding, "bm25": sparse}
        points.append(models.PointStruct(id=node.node_id, vector=vector, payload={}))
    shards.upsert("docs", points)
    query = SPEC.bm25.encode_query("mice")
    asked = models.QueryRequest(
        query=models.SparseVector(indices=query.indices, values=query.values),
        using="bm25", limit=20,
    )  # fmt: skip
    hits = {str(hit.id): hit.score for hit in shards.query("docs", asked)}
    weights_of = {str(point.id): point.vector["bm25"] for point in points}
    idf = set()
    for key, score in hits.items():
        held = weights_of[key]
        idf.add(round(score / held.values[held.indices.index(query.indices[0])], 4))
    assert len(idf) == 2, "one for each shard"
