"""Records say what may be seen, and survive the form they are stored in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.index.records import COLLECTION_POINT, CollectionRecord, DocumentRecord, record_point
from retrieval.passages import version_id

HASHES = st.none() | st.sampled_from("123")
DOCUMENTS = st.builds(
    DocumentRecord,
    source=st.text(min_size=1),
    live=HASHES,
    pending=HASHES,
    retired=HASHES,
    passages=st.integers(0, 2**40),
    terms=st.integers(0, 2**40),
    size=st.integers(0, 2**50),
    suffix=st.text(),
    failure=st.text(),
    updated=st.text(),
    since=st.text(),
)


@given(DOCUMENTS)
def test_a_document_record_survives_json(record):
    assert DocumentRecord.of(json.loads(json.dumps(record.payload()))) == record


@given(DOCUMENTS)
def test_the_live_version_is_never_hidden(record):
    assert record.version not in record.hidden
    assert len(record.hidden) <= 2


@given(DOCUMENTS)
def test_a_settled_document_hides_nothing(record):
    if record.settled:
        assert record.hidden == frozenset()


def test_what_is_written_and_what_is_deleted_is_hidden():
    record = DocumentRecord("a", live="2", pending="3", retired="1")
    assert record.hidden == {version_id("a", "3"), version_id("a", "1")}
    assert record.version == version_id("a", "2")


def test_writing_the_live_content_again_hides_nothing():
    assert DocumentRecord("a", live="2", pending="2").hidden == frozenset()


def test_a_document_that_was_never_whole_has_no_version():
    assert DocumentRecord("a", pending="1").version is None


def test_keys_of_other_versions_of_the_program_are_passed_over():
    payload = {**DocumentRecord("a", passages=3).payload(), "later": 1}
    del payload["suffix"]
    assert DocumentRecord.of(payload) == DocumentRecord("a", passages=3)


def test_points_of_records_differ_by_source_and_stay_the_same():
    assert record_point("a") == record_point("a") == DocumentRecord("a").point
    assert len({record_point("a"), record_point("b"), COLLECTION_POINT}) == 3


def test_a_collection_record_survives_json():
    identity = {"encoder": {"dimension": 8}}
    record = CollectionRecord("f" * 16, identity, 12.5, 13.5, True, ("a", "b"))
    assert CollectionRecord.of(json.loads(json.dumps(record.payload()))) == record


def test_a_refresh_is_noted_before_and_cleared_after():
    record = CollectionRecord("f", {}, average_length=10)
    under_way = record.refreshing(12)
    assert (under_way.average_length, under_way.refresh_to) == (10, 12)
    assert under_way.refreshed(12) == CollectionRecord("f", {}, average_length=12)


def test_a_version_that_is_built_may_have_others_to_replace():
    record = CollectionRecord("f", {}, building=True)
    assert record.built(["a"]) == CollectionRecord("f", {}, replaces=("a",))
    assert record.built() == CollectionRecord("f", {})


def test_a_record_of_an_older_program_is_that_of_a_whole_version():
    payload = CollectionRecord("f", {}).payload()
    del payload["building"], payload["replaces"]
    assert not CollectionRecord.of(payload).building


@pytest.mark.parametrize("record", [DocumentRecord("a"), CollectionRecord("f", {})])
def test_payloads_tell_their_kind(record):
    assert record.payload()["kind"] in {"document", "collection"}
