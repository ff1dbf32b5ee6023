"""When the weights are refreshed; what comes of it is in test_contract."""

from dataclasses import replace

import pytest

from retrieval.index.edge_collections import EdgeCollections
from retrieval.index.maintenance import refresh_lengths
from tests.retrieval.index.places import SPEC, TEXTS, ingest


@pytest.fixture
def store(tmp_path):
    made = EdgeCollections(tmp_path).create("docs", SPEC)
    yield made
    made.close()


def with_drift(store, share: float) -> None:
    """Make the record of the collection believe in an average that is off by `share`."""
    ingest(store)
    record = store.collection()
    store.put_collection(record.refreshed(record.average_length * (1 + share)))


@pytest.mark.parametrize(
    ("drift", "tolerance", "rewritten"),
    [(0.0, 0.0, False), (0.009, 0.01, False), (0.02, 0.01, True), (-0.02, 0.01, True)],
)
def test_weights_are_rewritten_when_the_average_has_drifted_too_far(
    store, drift, tolerance, rewritten
):
    with_drift(store, drift)
    assert refresh_lengths(store, tolerance) is rewritten


def test_a_refresh_under_way_is_finished_however_small_the_drift(store):
    ingest(store)
    store.put_collection(store.collection().refreshing(99.0))
    assert refresh_lengths(store)
    lengths = [SPEC.bm25.count(text).length for text in TEXTS]
    assert store.collection().average_length == pytest.approx(sum(lengths) / len(lengths))
    assert store.collection().refresh_to is None


def test_the_average_is_that_of_the_live_versions(store):
    ingest(store)
    ingest(store, [text * 5 for text in TEXTS], source="b.txt")
    store.put_record(replace(store.record("b.txt"), passages=0, terms=0, live=None, retired="1"))
    refresh_lengths(store)
    lengths = [SPEC.bm25.count(text).length for text in TEXTS]
    assert store.collection().average_length == pytest.approx(sum(lengths) / len(lengths))


def test_passages_added_during_a_refresh_get_the_new_average(store):
    ingest(store)
    (usual,) = ingest(store, ["whales sing"], source="b.txt")
    store.put_collection(store.collection().refreshing(1000.0))
    (during,) = ingest(store, ["whales sing"], source="c.txt")
    scores = dict(store.sparse(SPEC.bm25.encode_query("whales"), 5))
    assert scores[during.node_id] > scores[usual.node_id]  # short in relation to 1000
