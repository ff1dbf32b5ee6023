"""What only parts of one collection do; what all collections do is in test_contract."""

import pytest
from qdrant_client import models

from retrieval.index.errors import IndexGone
from retrieval.index.server_collections import ServerCollections, connect
from retrieval.index.server_options import Placement
from retrieval.index.tenants import CATALOGUE, TENANT
from tests.retrieval.index.places import OTHER_SPEC, SPEC, TEXTS, ids, ingest, vector
from tests.retrieval.index.qdrant_server import QdrantServer

TOGETHER = Placement(tenants=True)
WHOLE = f"{CATALOGUE}__{SPEC.fingerprint}"


@pytest.fixture
def server():
    made = QdrantServer()
    yield made
    made.stop()


@pytest.fixture
def client(server):
    made = connect(server.url)
    yield made
    made.close()


@pytest.fixture
def collections(client):
    return ServerCollections(client, TOGETHER)


def everything(client) -> list[models.Record]:
    found, following = client.scroll(WHOLE, limit=1000)
    assert following is None
    return found


def test_collections_share_one_of_the_servers_and_see_only_their_own(client, collections):
    first, second = (collections.create(name, SPEC) for name in ("cats", "ships"))
    same = ingest(first)
    assert ids(ingest(second, TEXTS[:2])) == ids(same)[:2], "one document in both"
    held = {one.name for one in client.get_collections().collections}
    assert held == {CATALOGUE, WHOLE}
    assert (first.size(), second.size()) == (len(TEXTS), 2)
    found = [passage for passage, _ in second.dense(vector(TEXTS[0]), 10)]
    assert found == ids(same)[:2]
    assert {one.text for one in second.fetch(ids(same))} == set(TEXTS[:2])
    second.delete("a.txt")
    assert (first.size(), second.size()) == (len(TEXTS), 0)
    assert TENANT not in first.fetch(ids(same)[:1])[0].metadata


def test_a_word_is_as_rare_as_it_is_among_ones_own_passages(collections):
    alone = collections.create("alone", SPEC)
    ingest(alone)
    query = SPEC.bm25.encode_query("cheese at night")
    before = alone.sparse(query, 10)
    ingest(collections.create("others", SPEC), ["Cheese, cheese and cheese."] * 30)
    assert alone.sparse(query, 10) == before


def test_indexes_of_different_kinds_lie_in_different_wholes(client, collections):
    collections.create("docs", SPEC)
    collections.stage("docs", OTHER_SPEC)
    collections.point("docs", OTHER_SPEC.fingerprint)
    assert collections.versions("docs") == sorted([SPEC.fingerprint, OTHER_SPEC.fingerprint])
    collections.discard("docs", SPEC.fingerprint)
    assert not everything(client)
    assert collections.active("docs") == OTHER_SPEC.fingerprint


def test_a_name_leads_on_while_it_is_changed_and_an_old_one_can_be_taken(collections):
    ingest(collections.create("old", SPEC))
    collections.rename("old", "new")
    assert collections.names() == ["new"]
    assert collections.open("new", SPEC).size() == len(TEXTS)
    assert collections.create("old", SPEC).size() == 0
    collections.drop("new")
    assert collections.names() == ["old"]


def test_what_a_killed_drop_left_never_comes_back_and_goes_with_the_next(
    client, collections, monkeypatch
):
    ingest(collections.create("docs", SPEC))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(client, "delete", killed)
        collections.drop("docs")
    assert collections.names() == []
    assert everything(client), "the kill came before they were deleted"
    again = ServerCollections(client, TOGETHER)
    again.create("other", SPEC)
    assert again.create("docs", SPEC).size() == 0
    assert len(everything(client)) == 2, "the records of the two"


def test_another_process_that_drops_is_noticed_by_the_next_write(server, collections):
    store = collections.create("docs", SPEC)
    ingest(store)
    other = connect(server.url)
    ServerCollections(other, TOGETHER).drop("docs")
    with pytest.raises(IndexGone):
        ingest(store, ["Too late."], "b.txt")
    assert store.gone
    other.close()


def test_nothing_that_reaches_beyond_a_part_is_offered(collections):
    store = collections.create("docs", SPEC)
    with pytest.raises(AttributeError):
        store.client.query_points("docs", query=[0.0] * 8)


def test_graphs_are_built_within_parts(client, monkeypatch):
    made, indexed = {}, {}
    create, index = client.create_collection, client.create_payload_index

    def noted(name: str, **how: object) -> object:
        made[name] = how
        return create(name, **how)

    def noted_index(name: str, key: str, kind: object, **how: object) -> object:
        indexed[key] = kind
        return index(name, key, kind, **how)

    monkeypatch.setattr(client, "create_collection", noted)
    monkeypatch.setattr(client, "create_payload_index", noted_index)
    ServerCollections(client, Placement(tenants=True, hnsw_m=32)).create("docs", SPEC)
    graph = made[WHOLE]["vectors_config"]["dense"].hnsw_config
    assert (graph.m, graph.payload_m) == (0, 32)
    assert indexed[TENANT].is_tenant
