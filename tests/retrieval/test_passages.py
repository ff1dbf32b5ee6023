"""Passages are known by what they are made of."""

import uuid

from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.schema import NodeRelationship

from retrieval.passages import METADATA_KEYS, indexed_text, node, node_id, passage, version_id


def made(**changes):
    parts = {"source": "a.txt", "version": "v", "index": 0, "fingerprint": "f", "text": "words"}
    return passage(**{**parts, **changes})


def test_the_same_parts_make_the_same_id():
    assert made().node_id == made(text="other words", page=3).node_id
    assert str(uuid.UUID(made().node_id)) == made().node_id


def test_another_version_position_or_fingerprint_makes_another_id():
    others = [made(version="w"), made(index=1), made(fingerprint="g")]
    assert len({made().node_id, *(other.node_id for other in others)}) == 4


@given(st.lists(st.text(), min_size=4, max_size=4))
def test_versions_are_told_apart_by_source_and_content(parts):
    first, second = tuple(parts[:2]), tuple(parts[2:])
    separable = all("\0" not in part for part in parts)
    if separable and first != second:
        assert version_id(*first) != version_id(*second)
    assert version_id(*first) == version_id(*first)


def test_kinds_of_ids_do_not_mix():
    assert version_id("a", "0") != node_id("a", 0, "")


def test_metadata_has_the_keys_that_are_stored():
    assert {*made().metadata, "terms"} == set(METADATA_KEYS)


def test_the_end_follows_from_the_start_where_it_is_not_given():
    assert made(char_start=10).metadata["char_end"] == 15
    assert made(char_start=10, char_end=99).metadata["char_end"] == 99


def test_the_source_is_the_document_llama_index_knows():
    assert made().relationships[NodeRelationship.SOURCE].node_id == "a.txt"
    assert made().ref_doc_id == "a.txt"


def test_headings_are_indexed_above_the_words():
    assert indexed_text(made(headings=("Part", "Chapter"))) == "Part Chapter words"
    assert indexed_text(made()) == "words"
    assert indexed_text(node(str(uuid.uuid4()), "words", {"source": "a"})) == "words"
