"""One fingerprint means the same vectors; any part that changes them changes it."""

import json
from dataclasses import replace

import pytest

from retrieval.analysis import Analyzer
from retrieval.bm25 import BM25
from retrieval.index.fingerprint import IndexSpec, StoredSpec, differences

SPEC = IndexSpec(8, {"model_id": "m", "revision": "1"}, {"tokens": 256}, BM25(Analyzer("none")))


def test_equal_parts_make_one_fingerprint_whatever_their_order():
    other = IndexSpec(
        8, {"revision": "1", "model_id": "m"}, {"tokens": 256}, BM25(Analyzer("none"))
    )
    assert other.fingerprint == SPEC.fingerprint
    assert len(SPEC.fingerprint) == 16
    assert int(SPEC.fingerprint, 16) >= 0


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"dimension": 9}, "encoder.dimension: stored 8, wanted 9"),
        (
            {"encoder": {"model_id": "m", "revision": "2"}},
            "encoder.revision: stored '1', wanted '2'",
        ),
        ({"encoder": {"model_id": "m"}}, "encoder.revision: stored '1', wanted None"),
        ({"chunker": {"tokens": 128}}, "chunker.tokens: stored 256, wanted 128"),
        ({"bm25": BM25(Analyzer("none"), b=0.5)}, "bm25.b: stored 0.75, wanted 0.5"),
        (
            {"bm25": BM25(Analyzer("german"))},
            "bm25.language: stored 'none', wanted 'german'",
        ),
    ],
)
def test_every_change_is_another_fingerprint_and_is_named(change, line):
    other = replace(SPEC, **change)
    assert other.fingerprint != SPEC.fingerprint
    assert differences(SPEC.identity, other.identity) == [line]


@pytest.mark.parametrize(
    ("identity", "distance"),
    [({}, "cosine"), ({"normalise": True}, "cosine"), ({"normalise": False}, "dot")],
)
def test_vectors_that_are_not_normalised_are_compared_by_dot_product(identity, distance):
    assert replace(SPEC, encoder=identity).distance == distance


def test_equal_identities_have_no_differences():
    assert differences(SPEC.identity, SPEC.identity) == []


def test_differences_are_sorted_and_name_new_parts():
    lines = differences({"b": {"x": 1}}, {"a": {"y": 2}})
    assert lines == ["a.y: stored None, wanted 2", "b.x: stored 1, wanted None"]


def test_a_stored_identity_makes_the_spec_that_it_came_from():
    long = replace(SPEC, encoder={"model_id": "m", "normalise": False})
    for spec in (SPEC, long):
        read = json.loads(json.dumps(spec.identity))
        again = StoredSpec.of(read, SPEC.bm25)
        assert again.identity == spec.identity
        assert (again.fingerprint, again.dimension) == (spec.fingerprint, spec.dimension)
        assert again.distance == spec.distance


@pytest.mark.parametrize("lost", ["encoder", "chunker"])
def test_an_identity_that_lacks_a_part_makes_none(lost):
    identity = {part: keys for part, keys in SPEC.identity.items() if part != lost}
    with pytest.raises(ValueError, match=lost):
        StoredSpec.of(identity, SPEC.bm25)
