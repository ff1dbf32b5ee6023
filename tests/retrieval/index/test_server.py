"""What only the server's store does; what all stores do is in test_contract."""

import math
from dataclasses import replace

import numpy as np
import pytest
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

from retrieval.index.base import StoredPassage
from retrieval.index.records import DocumentRecord
from retrieval.index.server import LeanVectorStore, ServerStore
from retrieval.index.server_calls import Calls
from retrieval.index.server_collections import connect
from retrieval.index.server_options import Access
from retrieval.sparse import SparseVector
from tests.retrieval.index.places import (
    PLACES,
    SPEC,
    TEXTS,
    LocalServerPlace,
    chunk,
    chunks,
    embedding,
    ids,
    ingest,
    vector,
)
from tests.retrieval.index.scripted_server import scripted_server

BATCH = "/collections/docs__0/points/query/batch"


@pytest.fixture
def place(tmp_path):
    made = LocalServerPlace(tmp_path)
    yield made
    made.stop()


def encode(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
    vectors = [SPEC.bm25.encode_query(text) for text in texts]
    return [each.indices for each in vectors], [each.values for each in vectors]


@pytest.mark.parametrize("mode", [VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.SPARSE])
def test_stock_llama_index_reads_the_collection_by_its_name(place, mode):
    nodes = ingest(place.collections.create("docs", SPEC))
    stock = QdrantVectorStore(
        "docs",
        client=place.client,
        enable_hybrid=True,
        dense_vector_name="dense",
        sparse_vector_name="bm25",
        sparse_doc_fn=encode,
        sparse_query_fn=encode,
    )
    query = VectorStoreQuery(
        query_embedding=embedding(TEXTS[6]), query_str="ships", similarity_top_k=1, mode=mode
    )
    (found,) = stock.query(query).nodes
    assert (found.node_id, found.get_content()) == (nodes[6].node_id, TEXTS[6])
    assert found.metadata["char_end"] == len(TEXTS[6])


def test_payload_holds_text_and_metadata_once(place):
    store = place.collections.create("docs", SPEC)
    (written,) = ingest(store, ["Unmistakable."])
    (point,) = place.client.retrieve("docs", [written.node_id])
    assert point.payload == {"kind": "passage", "text": "Unmistakable.", **written.metadata}


def test_the_lean_class_refuses_nodes_without_weights(place):
    place.collections.create("docs", SPEC)
    with pytest.raises(TypeError, match="BM25 weights"):
        LeanVectorStore(place.client, "docs", SPEC.bm25).add([chunk("Cats.")])


def test_what_another_process_hides_is_noticed_when_the_time_is_up(place, monkeypatch):
    ours = place.collections.create("docs", SPEC)
    theirs = place.collections.open("docs", SPEC)
    old = set(ids(ingest(ours)))
    now = 1000.0
    monkeypatch.setattr("retrieval.index.server.time.monotonic", lambda: now)
    assert {key for key, _ in theirs.dense(vector("x"), 50)} == old
    ours.put_record(replace(ours.record("a.txt"), pending="2"))
    ours.add(chunks(TEXTS, content="2"))
    now += 1
    assert {key for key, _ in theirs.dense(vector("x"), 50)} == old
    ours.put_record(replace(ours.record("a.txt"), live="2", pending=None, retired="1"))
    assert {key for key, _ in ours.dense(vector("x"), 50)}.isdisjoint(old)
    now += 1
    assert {key for key, _ in theirs.dense(vector("x"), 50)}.isdisjoint(old)


@pytest.fixture
def server():
    with scripted_server() as script:
        yield script


def scripted_store(server) -> ServerStore:
    client: QdrantClient = connect(server.url)
    store = ServerStore(client, "docs__0", SPEC, Calls(client, pause=0.001))
    server.requests.clear()
    return store


@pytest.mark.parametrize("letter", ["x", "ü", "東", "\x01"])
def test_requests_stay_under_five_megabytes(server, letter):
    nodes = chunks([letter * 100_000] * 130)
    scripted_store(server).upsert(nodes, [SparseVector([1], [0.1])] * 130)
    requests = server.bodies("PUT", "/collections/docs__0/points")
    assert max(size for size, _ in requests) < 5_000_000
    written = [point["id"] for _, body in requests for point in body["points"]]
    assert written == ids(nodes)


def test_many_small_passages_share_a_request(server):
    nodes = chunks(["small"] * 600)
    scripted_store(server).upsert(nodes, [SparseVector([1], [0.1])] * 600)
    requests = server.bodies("PUT", "/collections/docs__0/points")
    assert [len(body["points"]) for _, body in requests] == [256, 256, 88]


def test_a_write_that_fails_is_repeated_whole(server):
    store = scripted_store(server)
    server.failures = [503, 502]
    nodes = chunks(TEXTS)
    store.upsert(nodes, [SparseVector([1], [0.1])] * len(nodes))
    requests = server.bodies("PUT", "/collections/docs__0/points")
    assert [[point["id"] for point in body["points"]] for _, body in requests] == [ids(nodes)] * 3


def test_reweighing_goes_in_requests_too(server):
    nodes = chunks(["small"] * 600)
    scripted_store(server).reweigh(ids(nodes), [SparseVector([1], [0.1])] * 600)
    requests = server.bodies("PUT", "/collections/docs__0/points/vectors")
    assert [len(body["points"]) for _, body in requests] == [256, 256, 88]


def test_reweighing_long_passages_stays_under_five_megabytes(server):
    nodes = chunks(["long"] * 40)
    weights = SparseVector(list(range(20_000)), [0.123456789] * 20_000)
    scripted_store(server).reweigh(ids(nodes), [weights] * 40)
    requests = server.bodies("PUT", "/collections/docs__0/points/vectors")
    assert max(size for size, _ in requests) < 5_000_000
    assert [point["id"] for _, body in requests for point in body["points"]] == ids(nodes)


def test_restoring_and_records_go_in_requests_under_five_megabytes(server):
    store = scripted_store(server)
    passages = [
        StoredPassage(
            node.node_id,
            {"text": "\x01" * 5_000, **node.metadata},
            np.full(4096, 1 / 3, dtype=np.float32),
            SparseVector(list(range(200)), [1 / 3] * 200),
        )
        for node in chunks(["x"] * 150)
    ]
    store.restore(passages)
    store.put_records([DocumentRecord(f"{n}.txt", failure="\x01" * 20_000) for n in range(150)])
    requests = server.bodies("PUT", "/collections/docs__0/points")
    assert 2_000_000 < max(size for size, _ in requests) < 5_000_000
    written = [point for _, body in requests for point in body["points"]]
    assert [point["id"] for point in written[:150]] == [one.id for one in passages]
    assert len(written) == 300
    assert written[0]["payload"]["kind"] == "passage"


def test_what_is_dumped_is_what_the_server_scrolls(server):
    point = {
        "id": chunk("x").node_id,
        "payload": {"kind": "passage", "text": "x", "version": "v"},
        "vector": {"dense": [0.5] * 8, "bm25": {"indices": [7, 4_000_000_000], "values": [1, 2.5]}},
    }
    bare = {**point, "id": chunk("y", 1).node_id, "vector": {"dense": [0.25] * 8}}
    server.scrolled = [{"points": [point], "next_page_offset": bare["id"]}, {"points": [bare]}]
    store = scripted_store(server)
    store._hidden_until = math.inf  # else it scrolls for records first
    (first,), (second,) = store.dump(batch=1)
    assert (first.id, first.dense.tolist()) == (point["id"], [0.5] * 8)
    assert first.sparse == SparseVector([7, 4_000_000_000], [1, 2.5])
    assert second.sparse == SparseVector([], [])
    (_, one), (_, two) = server.bodies("POST", "/collections/docs__0/points/scroll")
    assert (one["with_vector"], one["limit"], two["offset"]) == (True, 1, bare["id"])


def test_idf_counts_the_passages_that_are_there_whoever_deleted_the_others(server):
    store = scripted_store(server)
    store.sparse(SPEC.bm25.encode_query("mice"), 5)
    ((_, asked),) = server.bodies("POST", BATCH)
    (asked,) = asked["searches"]
    assert asked["params"]["idf"]["corpus"]["must"] == [
        {"key": "kind", "match": {"value": "passage"}}
    ]


def test_a_cluster_is_read_and_written_as_the_settings_say(server):
    client: QdrantClient = connect(server.url)
    access = Access("majority", "strong", hnsw_ef=300)
    store = ServerStore(client, "docs__0", SPEC, Calls(client, pause=0.001), access)
    server.requests.clear()
    store.dense(vector("x"), 5)
    store.fetch(ids(chunks(["x"])))
    store.upsert(chunks(["x"]), [SparseVector([1], [0.1])])
    store.reweigh(ids(chunks(["x"])), [SparseVector([1], [0.2])])
    store.delete_version("v")
    store.delete_record("a.txt")
    asked = {(how, path): query for how, path, query in server.queries}
    for path in ("points/query/batch", "points", "points/scroll"):
        assert asked["POST", f"/collections/docs__0/{path}"]["consistency"] == ["majority"]
    for how, path in (("PUT", "points"), ("PUT", "points/vectors"), ("POST", "points/delete")):
        assert asked[how, f"/collections/docs__0/{path}"]["ordering"] == ["strong"]
    ((_, body),) = server.bodies("POST", BATCH)
    assert body["searches"][0]["params"]["hnsw_ef"] == 300


@pytest.mark.parametrize("kind", ["server-grpc-shards", "server-rest"])
def test_a_question_is_one_request_for_both_rankings_and_their_texts(kind, tmp_path):
    place = PLACES[kind](tmp_path / "server")
    try:
        store = place.collections.create("docs", SPEC)
        ingest(store)
        terms = SPEC.bm25.encode_query("mice at night")
        apart = store.dense(vector(TEXTS[1]), 3), store.sparse(terms, 3)
        store._hidden_until = math.inf  # else it asks for what is hidden once a second
        del place.server.asked[:]
        found = store.search(vector(TEXTS[1]), terms, 3)
        nodes = store.fetch_found(found, [key for key, _ in found.dense])
        asked = [one for one in place.server.asked if not one.endswith(("Count", "points/count"))]
        for together, one in zip((found.dense, found.sparse), apart, strict=True):
            assert [key for key, _ in together] == [key for key, _ in one]
            assert [score for _, score in together] == pytest.approx([s for _, s in one])
        assert nodes == store.fetch([key for key, _ in found.dense])
        assert nodes[0].text == TEXTS[1]
    finally:
        place.stop()
    assert len(asked) == 1
    assert "uery" in asked[0]


def test_a_question_without_terms_or_anything_asks_for_no_ranking_by_terms(server):
    store = scripted_store(server)
    assert store.search(None, SparseVector([], []), 5).sparse == []
    assert server.bodies("POST", BATCH) == []
    store.search(vector("x"), SparseVector([], []), 5)
    ((_, body),) = server.bodies("POST", BATCH)
    assert [one["using"] for one in body["searches"]] == ["dense"]


def test_of_a_very_long_question_the_terms_that_it_repeats_most_are_counted(tmp_path):
    place = PLACES["server-grpc-shards"](tmp_path / "server")
    try:
        store = place.collections.create("docs", SPEC)
        ingest(store)
        (mice,) = SPEC.bm25.encode_query("mice").indices
        others = [term for term in range(1, 501) if term != mice]
        long = SparseVector([*others, mice], [1.0] * len(others) + [2.0])
        del place.server.asked[:]
        hits = store.sparse(long, 8)
        counts = [one for one in place.server.asked if one.endswith("Count")]
        alone = store.sparse(SparseVector([mice], [2.0]), 8)
    finally:
        place.stop()
    assert dict(hits) == pytest.approx(dict(alone))
    assert len(counts) == 1 + 128
