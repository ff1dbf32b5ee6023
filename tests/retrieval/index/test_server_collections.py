"""What only collections on a server do; what all do is in test_contract."""

import logging
from importlib import import_module

import pytest
from qdrant_client import models

from retrieval.index.errors import StoreError
from retrieval.index.server_collections import ServerCollections, connect
from retrieval.index.server_options import Placement
from tests.retrieval.index.places import DOT_SPEC, OTHER_SPEC, SPEC, TEXTS, LocalServerPlace, ingest
from tests.retrieval.index.scripted_server import scripted_server


@pytest.fixture
def place(tmp_path):
    made = LocalServerPlace(tmp_path)
    yield made
    made.stop()


def test_name_is_an_alias_of_the_version_in_use(place):
    place.collections.create("docs", SPEC)
    place.collections.stage("docs", OTHER_SPEC)
    (alias,) = place.client.get_aliases().aliases
    assert (alias.alias_name, alias.collection_name) == ("docs", f"docs__{SPEC.fingerprint}")
    place.collections.point("docs", OTHER_SPEC.fingerprint)
    (alias,) = place.client.get_aliases().aliases
    assert alias.collection_name == f"docs__{OTHER_SPEC.fingerprint}"


def test_collections_of_others_are_left_alone(place):
    config = models.VectorParams(size=2, distance=models.Distance.DOT)
    for foreign in ("theirs", "docs__notes", "docsx__0123456789abcdef"):
        place.client.create_collection(foreign, vectors_config=config)
    alias = models.CreateAlias(collection_name="theirs", alias_name="their-alias")
    place.client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    place.collections.create("docs", SPEC)
    assert place.collections.names() == ["docs"]
    place.collections.drop("docs")
    left = {held.name for held in place.client.get_collections().collections}
    assert left == {"theirs", "docs__notes", "docsx__0123456789abcdef"}


def test_creating_is_finished_where_a_crash_left_it(place):
    place.client.create_collection(
        f"docs__{SPEC.fingerprint}",
        vectors_config={"dense": models.VectorParams(size=8, distance=models.Distance.COSINE)},
        sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    assert place.collections.names() == []
    place.collections.create("docs", OTHER_SPEC)
    only = [OTHER_SPEC.fingerprint]
    assert place.collections.versions("docs") == only, "half a version is none"
    store = place.collections.stage("docs", SPEC)
    assert store.collection().fingerprint == SPEC.fingerprint
    assert len(ingest(store)) == len(TEXTS)


def test_a_cluster_is_told_shards_replicas_and_consistency():
    with scripted_server() as server:
        placement = Placement(shards=6, replicas=3, write_consistency=2)
        collections = ServerCollections(connect(server.url), placement)
        collections._create("docs__0", SPEC)
        ((_, body),) = server.bodies("PUT", "/collections/docs__0")
    assert body["shard_number"] == 6
    assert (body["replication_factor"], body["write_consistency_factor"]) == (3, 2)
    assert body["sparse_vectors"] == {"bm25": {"modifier": "none", "index": {}}}
    assert body["vectors"]["dense"] == {
        "size": 8, "distance": "Cosine", "datatype": "float16", "hnsw_config": {},
    }  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), [("int8", "scalar"), ("binary", "binary")])
def test_small_vectors_are_searched_in_memory_and_whole_ones_lie_on_disk(name, kind):
    with scripted_server() as server:
        placement = Placement(quantization=name, hnsw_m=32, hnsw_ef_construct=200)
        ServerCollections(connect(server.url), placement)._create("docs__0", SPEC)
        ((_, body),) = server.bodies("PUT", "/collections/docs__0")
    assert body["shard_number"] == 1, "else a server with several nodes cuts"
    assert body["sparse_vectors"]["bm25"]["modifier"] == "idf"
    dense = body["vectors"]["dense"]
    assert dense["quantization_config"][kind]["always_ram"] is True
    assert (dense["on_disk"], "on_disk" in dense["hnsw_config"]) == (True, False)
    assert (dense["hnsw_config"]["m"], dense["hnsw_config"]["ef_construct"]) == (32, 200)


def test_what_is_larger_than_the_memory_is_kept_on_disk():
    with scripted_server() as server:
        ServerCollections(connect(server.url), Placement(on_disk=True))._create("docs__0", SPEC)
        ((_, body),) = server.bodies("PUT", "/collections/docs__0")
    assert body["on_disk_payload"] is True
    assert body["vectors"]["dense"]["on_disk"] is True
    assert body["vectors"]["dense"]["hnsw_config"]["on_disk"] is True
    assert body["sparse_vectors"]["bm25"]["index"]["on_disk"] is True


def test_a_server_is_told_to_compare_by_dot_product_where_length_carries_meaning():
    with scripted_server() as server:
        ServerCollections(connect(server.url))._create("docs__0", DOT_SPEC)
        ((_, body),) = server.bodies("PUT", "/collections/docs__0")
    assert body["vectors"]["dense"]["distance"] == "Dot"


def test_connecting_sends_nothing_and_the_key_goes_along_later(caplog):
    with scripted_server() as server, caplog.at_level(logging.WARNING):
        client = connect(server.url, "secret")
        assert server.requests == []
        client.get_aliases()
    assert "insecure" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("url", ["not a url", "ftp://x:y"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(StoreError, match="http://HOST:6333"):
        connect(url)


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch):
    module = import_module("retrieval.index.server_collections")

    def missing(name: str, *_: object) -> object:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(StoreError, match=r"pip install 'rag-app\[server\]'"):
        connect("http://127.0.0.1:6333")


def test_staged_versions_and_drafts_are_placed_as_the_first(place, monkeypatch):
    placed: list[dict[str, object]] = []
    create = place.client.create_collection

    def noted(name: str, **more: object) -> object:
        placed.append({key: more[key] for key in more if "vectors" not in key})
        return create(name, **more)

    monkeypatch.setattr(place.client, "create_collection", noted)
    collections = ServerCollections(place.client, Placement(6, 3, 2))
    collections.create("docs", SPEC)
    collections.stage("docs", OTHER_SPEC)
    collections.draft("docs", DOT_SPEC, "00c0ffee")
    assert placed == 3 * [
        {
            "shard_number": 6,
            "replication_factor": 3,
            "write_consistency_factor": 2,
            "on_disk_payload": None,
        }
    ]
