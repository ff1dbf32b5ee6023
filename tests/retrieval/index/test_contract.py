"""What every store promises, run over each of them.

``edge`` is the engine in this process; ``server-grpc-shards`` and ``server-rest`` are the server's
store over a stand-in that checks every request (`qdrant_server`), its collections cut in two or
whole; ``server`` is the same store over a real Qdrant, where QDRANT_URL names one.

What enters BM25's inverse document frequency was measured on engine 0.9.0: points without a sparse
vector (the records) are not among its N, nor are passages without terms; passages that are deleted
or hidden are, until the segment is rebuilt, unless the search says what its population is.
"""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import MetadataMode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from retrieval.bm25 import average
from retrieval.fusion import Scored
from retrieval.index.base import PassageStore, Where
from retrieval.index.edge import EdgeStore
from retrieval.index.errors import (
    BadCollectionName,
    IndexInUse,
    NameTaken,
    StoreError,
    UnknownCollection,
    UnknownIndex,
)
from retrieval.index.fingerprint import differences
from retrieval.index.maintenance import refresh_lengths
from retrieval.index.records import COLLECTION_POINT, CollectionRecord, DocumentRecord, record_point
from retrieval.passages import indexed_text, passage, version_id
from retrieval.rank_bm25_reference import RankBM25Retriever
from retrieval.sparse import SparseVector
from tests.retrieval.index.places import (
    DIMENSION,
    DOT_SPEC,
    OTHER_SPEC,
    PLACES,
    SPEC,
    TEXTS,
    chunk,
    chunks,
    committed,
    embedding,
    ids,
    ingest,
    unique_name,
    vector,
)
from tests.retrieval.index.places import place as make_place

REPOSITORY = Path(__file__).resolve().parents[3]
UNKNOWN = "00000000-0000-5000-8000-000000000000"


@pytest.fixture(params=sorted(PLACES))
def kind(request):
    return request.param


@pytest.fixture
def place(kind, tmp_path):
    made = make_place(kind, tmp_path / "store")
    yield made
    made.stop()


@pytest.fixture
def name():
    return unique_name()


@pytest.fixture
def store(place, name) -> Iterator[PassageStore]:
    made = place.collections.create(name, SPEC)
    yield made
    made.close()


def reopened(place, store: PassageStore, name: str) -> PassageStore:
    store.close()
    place.restart()
    return place.collections.open(name, SPEC)


def found(store: PassageStore, query: str, limit: int = 50, where: Where = Where()) -> list[str]:  # noqa: B008
    return [passage_id for passage_id, _ in store.sparse(terms(query), limit, where)]


def terms(query: str) -> SparseVector:
    return SPEC.bm25.encode_query(query)


def visible(store: PassageStore) -> set[str]:
    return {node.node_id for batch in store.passages(batch=3) for node in batch}


HALF_PRECISION = 5e-4
"""What storing vectors in half precision may move a cosine in these few dimensions."""


def same(hits: Iterable[Scored], expected: Iterable[Scored]) -> None:
    """The same passages with the same scores, but for rounding."""
    assert dict(hits) == pytest.approx(dict(expected), rel=1e-5, abs=1e-6)


def bm25_scores(query: str, nodes: Sequence[TextNode]) -> dict[str, float]:
    """The formula, in float64 and from scratch."""
    analyzer, k1, b = SPEC.bm25.analyzer, SPEC.bm25.k1, SPEC.bm25.b
    passages = {node.node_id: analyzer(indexed_text(node)) for node in nodes}
    mean = sum(map(len, passages.values())) / len(passages)
    scores = dict.fromkeys(passages, 0.0)
    for term in analyzer(query):
        n = sum(term in words for words in passages.values())
        idf = math.log(1 + (len(passages) - n + 0.5) / (n + 0.5))
        for key, words in passages.items():
            tf = words.count(term)
            scores[key] += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(words) / mean))
    return {key: score for key, score in scores.items() if score > 0}


# --- passages ------------------------------------------------------------------------------------


def test_fetch_returns_every_part_of_what_was_added(store):
    written = passage(
        source="büro/Größe 東京 🗼.pdf",
        version=version_id("büro/Größe 東京 🗼.pdf", "1"),
        index=7,
        fingerprint=SPEC.fingerprint,
        text='naïve ﬁne\n\n 東京タワー \u202e 🗼\t"quoted" \\ end',
        page=3,
        char_start=120,
        char_end=190,
        headings=["Über uns", "§ 2 — „Türme“"],
        record_id="corpus/42",
    )
    written.embedding = embedding("anything")
    assert store.add([written]) == [written.node_id]
    (read,) = store.fetch([written.node_id])
    assert (read.node_id, read.text) == (written.node_id, written.text)
    assert read.metadata == written.metadata
    assert read.relationships[NodeRelationship.SOURCE].node_id == written.metadata["source"]


def test_fields_that_a_format_lacks_come_back_as_none(store):
    store.add([chunk("Cats.")])
    (read,) = store.fetch([chunk("Cats.").node_id])
    assert (read.metadata["page"], read.metadata["passage_id"]) == (None, None)
    assert read.metadata["headings"] == []


def test_fetch_keeps_the_order_and_leaves_out_what_is_not_stored(store):
    first, second, third = ids(ingest(store))[:3]
    assert ids(store.fetch([third, UNKNOWN, first, second])) == [third, first, second]
    assert store.fetch([]) == []


@pytest.mark.parametrize("stranger", [COLLECTION_POINT, record_point("a.txt"), "not an id", ""])
def test_fetch_leaves_out_what_is_no_passage(store, stranger):
    (known,) = ids(ingest(store, TEXTS[:1]))
    assert ids(store.fetch([stranger, known])) == [known]
    assert store.stored_terms([stranger, known]).keys() == {known}


def test_get_nodes_is_fetch_under_llama_index_name(store):
    first, second = ids(ingest(store, TEXTS[:2]))
    assert [node.node_id for node in store.get_nodes([second, first])] == [second, first]


def test_count_is_that_of_one_version(store):
    ingest(store, TEXTS[:3])
    ingest(store, TEXTS[:2], source="b.txt")
    assert store.count(version_id("a.txt", "1")) == 3
    assert store.count(version_id("b.txt", "1")) == 2
    assert store.count(version_id("b.txt", "2")) == 0


def test_stored_terms_are_the_bm25_lengths_of_what_is_stored(store):
    nodes = ingest(store)
    lengths = {node.node_id: SPEC.bm25.count(node.text).length for node in nodes}
    assert store.stored_terms([*ids(nodes), UNKNOWN]) == lengths
    assert store.stored_terms([]) == {}


def test_adding_nothing_is_allowed(store):
    assert store.add([]) == []
    assert store.collection().average_length == 0


def test_adding_again_changes_nothing(store):
    nodes = ingest(store)
    before = store.sparse(terms("mice at night"), 50)
    store.add(chunks(TEXTS))
    assert store.count(version_id("a.txt", "1")) == len(nodes)
    same(store.sparse(terms("mice at night"), 50), before)
    assert visible(store) == set(ids(nodes))


@pytest.mark.parametrize("wrong", [None, [1.0] * (DIMENSION - 1), [1.0] * (DIMENSION + 1)])
def test_embedding_of_another_dimension_is_refused_before_anything_is_written(store, wrong):
    good, bad = chunks(TEXTS[:2])
    bad.embedding = wrong
    with pytest.raises(ValueError, match=f"this index takes {DIMENSION}"):
        store.add([good, bad])
    assert store.fetch([good.node_id]) == []


def test_node_whose_id_no_engine_takes_is_refused(store):
    node = TextNode(id_="n1", text="Cats.", embedding=embedding("Cats."))
    with pytest.raises(ValueError, match="is no UUID"):
        store.add([node])


def test_a_batch_larger_than_one_request_is_stored_whole(store):
    rare = [f"{first}{second}" for first in "qxzj" for second in "bcdfghjklmnpqrstvwxz"]
    nodes = chunks([f"{text} {word}x" for word in rare for text in TEXTS])
    store.add(nodes)
    assert store.count(version_id("a.txt", "1")) == 640
    assert {key for batch in store.passages() for key in ids(batch)} == set(ids(nodes))
    assert len(found(store, "qbx", limit=100)) == len(TEXTS)


def test_hidden_passages_are_listed_on_request(store):
    live = ids(ingest(store))
    store.put_record(replace(store.record("a.txt"), pending="2"))
    hidden = ids(chunks(TEXTS, content="2"))
    store.add(chunks(TEXTS, content="2"))
    listed = [key for batch in store.passages(hidden=True) for key in ids(batch)]
    assert sorted(listed) == sorted([*live, *hidden])


def test_passages_come_in_batches_and_never_twice(store):
    nodes = ingest(store)
    batches = [ids(batch) for batch in store.passages(batch=3)]
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert sorted(key for batch in batches for key in batch) == sorted(ids(nodes))


# --- searching -----------------------------------------------------------------------------------


def test_dense_ranks_and_scores_by_exact_cosine(store):
    nodes = ingest(store, [f"{text} {i}" for i in range(6) for text in TEXTS])
    nodes[5].embedding = [value * 17.5 for value in nodes[5].get_embedding()]  # length is no matter
    store.add(nodes)
    query = np.random.default_rng(1).normal(size=DIMENSION).astype(np.float32) * 3
    matrix = np.asarray([node.get_embedding() for node in nodes])
    cosines = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    best = np.sort(cosines)[::-1][:20]
    exact = {node.node_id: cosine for node, cosine in zip(nodes, cosines, strict=True)}
    hits = store.dense(query, 20)
    assert [score for _, score in hits] == pytest.approx(best, abs=HALF_PRECISION)
    assert [exact[key] for key, _ in hits] == pytest.approx(best, abs=HALF_PRECISION)
    assert len(dict(hits)) == 20


def test_dense_ranks_and_scores_by_dot_product_where_length_carries_meaning(place, name):
    store = place.collections.create(name, DOT_SPEC)
    nodes = chunks([f"{text} {i}" for i in range(6) for text in TEXTS])
    for length, node in enumerate(nodes, start=1):
        node.embedding = [value * length / 8 for value in node.get_embedding()]
    store.add(nodes)
    query = np.random.default_rng(1).normal(size=DIMENSION).astype(np.float32)
    matrix = np.asarray([node.get_embedding() for node in nodes])
    products = matrix @ query
    hits = store.dense(query, len(nodes))
    expected = dict(zip(ids(nodes), products, strict=True))
    assert dict(hits) == pytest.approx(expected, rel=1e-3, abs=10 * HALF_PRECISION)
    assert hits[0][0] == nodes[int(np.argmax(products))].node_id
    cosines = products / np.linalg.norm(matrix, axis=1)
    assert np.argmax(cosines) != np.argmax(products), "the two measures must differ here"
    store.close()


def test_sparse_scores_are_those_of_the_formula(store):
    nodes = ingest(store)
    for query in ("cheese", "mice at night", "mice mice cheese", "the moon over a dark forest"):
        hits = store.sparse(terms(query), 50)
        assert dict(hits) == pytest.approx(bm25_scores(query, nodes), rel=1e-5), query
        assert [score for _, score in hits] == sorted((s for _, s in hits), reverse=True)


def test_sparse_ranks_like_rank_bm25_where_the_formulas_agree(store):
    """One idf for all terms of the query (each in two passages) makes both proportional."""
    nodes = ingest(store)
    oracle = RankBM25Retriever(nodes, SPEC.bm25.analyzer, SPEC.bm25.k1, SPEC.bm25.b, top_k=50)
    for query in ("moon forest bread", "barns moon", "hides bread bread"):
        theirs = {hit.node.node_id: hit.score for hit in oracle.retrieve(query)}
        ours = store.sparse(terms(query), 50)
        assert len(theirs) > 2
        assert ours[0][0] in [key for key, score in theirs.items() if score == max(theirs.values())]
        ratio = ours[0][1] / max(theirs.values())
        expected = {key: score * ratio for key, score in theirs.items()}
        assert dict(ours) == pytest.approx(expected, rel=1e-5)


def test_records_and_passages_without_terms_do_not_change_scores(store):
    nodes = ingest(store)
    before = store.sparse(terms("mice at night"), 50)
    for number in range(40):
        store.put_record(DocumentRecord(source=f"failed {number}", failure="encrypted"))
    store.add([chunk("…", index, source="b.txt") for index in range(40)])
    same(store.sparse(terms("mice at night"), 50), before)
    assert dict(before) == pytest.approx(bm25_scores("mice at night", nodes), rel=1e-5)


def test_scores_follow_deletion(store):
    nodes = ingest(store)
    expected = dict(store.sparse(terms("mice at night"), 50))
    ingest(store, [f"{text} Night!" for text in TEXTS[1:]], source="b.txt")
    assert dict(store.sparse(terms("mice at night"), 50)) != pytest.approx(expected, rel=1e-3)
    store.delete("b.txt")
    assert dict(store.sparse(terms("mice at night"), 50)) == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(bm25_scores("mice at night", nodes), rel=1e-5)


def test_scores_of_the_live_version_are_not_moved_by_one_that_is_being_written(store):
    ingest(store)
    expected = store.sparse(terms("mice at night"), 50)
    store.put_record(replace(store.record("a.txt"), pending="2"))
    store.add(chunks([*TEXTS, "Night mice."], content="2"))
    same(store.sparse(terms("mice at night"), 50), expected)


def test_passages_without_the_words_are_no_hits(store):
    ingest(store)
    assert found(store, "zebra") == []
    assert len(found(store, "cheese zebra")) == 3


@pytest.mark.parametrize("query", ["", "of the and", "…!?"])
def test_query_without_terms_has_no_hits(store, query):
    ingest(store)
    assert store.sparse(terms(query), 10) == []


def test_passages_without_terms_are_stored_and_found_by_vector_alone(store):
    nodes = ingest(store, ["…", "!!!", "Mice."])
    assert set(found(store, "mice …")) == {nodes[2].node_id}
    assert [key for key, _ in store.dense(vector("…"), 1)] == [nodes[0].node_id]


def test_limit_is_the_most_hits(store):
    ingest(store)
    assert len(store.dense(vector("x"), 3)) == 3
    assert found(store, "mice", limit=2) == found(store, "mice")[:2]


def test_an_empty_collection_finds_nothing(store):
    assert store.dense(vector("x"), 10) == []
    assert found(store, "mice") == []
    assert list(store.passages()) == []


def test_where_keeps_to_the_sources_named(store):
    nodes = {source: set(ids(ingest(store, source=source))) for source in ("a", "b", "ü")}
    for sources in (("a",), ("ü", "b")):
        wanted = set().union(*(nodes[source] for source in sources))
        assert {key for key, _ in store.dense(vector("x"), 50, Where(sources))} == wanted
        assert set(found(store, "mice cheese moon bread", where=Where(sources))) == wanted
    assert store.dense(vector("x"), 50, Where(("absent",))) == []
    assert len(store.dense(vector("x"), 50)) == 3 * len(TEXTS)


# --- versions ------------------------------------------------------------------------------------


def seen(store: PassageStore) -> list[set[str]]:
    """What each way of looking shows."""
    dense = {key for key, _ in store.dense(vector("x"), 50)}
    return [dense, set(found(store, "mice cheese moon bread night")), visible(store)]


def test_chunks_of_a_pending_version_are_hidden_from_the_first_on(store):
    old = set(ids(ingest(store)))
    store.put_record(replace(store.record("a.txt"), pending="2"))
    for node in chunks(TEXTS, content="2"):
        store.add([node])
        assert seen(store) == [old, old, old]
    assert store.count(version_id("a.txt", "2")) == len(TEXTS)


def test_one_record_write_puts_the_new_version_in_the_old_ones_place(store):
    ingest(store)
    new = set(ids(chunks(TEXTS, content="2")))
    store.put_record(replace(store.record("a.txt"), pending="2"))
    store.add(chunks(TEXTS, content="2"))
    store.put_record(replace(store.record("a.txt"), live="2", pending=None, retired="1"))
    assert seen(store) == [new, new, new]
    store.delete_version(version_id("a.txt", "1"))
    store.put_record(replace(store.record("a.txt"), retired=None))
    assert seen(store) == [new, new, new]
    assert store.count(version_id("a.txt", "1")) == 0


def test_what_is_hidden_stays_hidden_after_a_restart(place, store, name):
    old = set(ids(ingest(store)))
    store.put_record(replace(store.record("a.txt"), pending="2", retired="0"))
    store.add(chunks(TEXTS, content="2"))
    store.add(chunks(TEXTS, content="0"))
    again = reopened(place, store, name)
    assert seen(again) == [old, old, old]
    again.close()


def test_giving_up_a_pending_version_leaves_the_live_one(store):
    old = set(ids(ingest(store)))
    store.put_record(replace(store.record("a.txt"), pending="2"))
    store.add(chunks(TEXTS, content="2"))
    store.delete_version(version_id("a.txt", "2"))
    store.put_record(replace(store.record("a.txt"), pending=None))
    assert seen(store) == [old, old, old]


def test_hiding_one_document_leaves_the_others(store):
    kept = set(ids(ingest(store, source="b.txt")))
    ingest(store)
    store.put_record(DocumentRecord(source="a.txt", retired="1"))
    assert seen(store) == [kept, kept, kept]
    store.put_record(DocumentRecord(source="c.txt", pending="1"))
    assert seen(store) == [kept, kept, kept]


def test_delete_removes_every_version_and_the_record(store):
    kept = set(ids(ingest(store, source="b.txt")))
    ingest(store)
    store.put_record(replace(store.record("a.txt"), pending="2", retired="0"))
    store.add(chunks(TEXTS, content="2"))
    store.add(chunks(TEXTS, content="0"))
    store.delete("a.txt")
    assert [store.count(version_id("a.txt", content)) for content in "012"] == [0, 0, 0]
    assert store.record("a.txt") is None
    assert [record.source for record in store.records()] == ["b.txt"]
    assert seen(store) == [kept, kept, kept]


def test_delete_removes_passages_that_have_no_record(store):
    store.add(chunks(TEXTS))
    store.delete("a.txt")
    assert visible(store) == set()


def test_deleting_what_is_not_there_is_allowed(store):
    kept = set(ids(ingest(store)))
    store.delete("absent.txt")
    assert visible(store) == kept


class Broken(Exception):
    """The crash that a test brings about."""


@pytest.mark.parametrize("step", ["delete_source", "delete_record"])
def test_delete_cut_short_shows_nothing_of_the_document(store, step, monkeypatch):
    kept = set(ids(ingest(store, source="b.txt")))
    ingest(store)
    store.put_record(replace(store.record("a.txt"), retired="0"))
    store.add(chunks(TEXTS, content="0"))
    with monkeypatch.context() as crash:
        crash.setattr(type(store), step, crashing)
        with pytest.raises(Broken):
            store.delete("a.txt")
    assert seen(store) == [kept, kept, kept]
    store.delete("a.txt")
    assert store.record("a.txt") is None


def crashing(*_):
    raise Broken


# --- records -------------------------------------------------------------------------------------


def test_records_come_back_whole_and_by_source(store):
    full = DocumentRecord(
        source="büro/東京.pdf",
        live="a" * 64,
        pending="b" * 64,
        retired="c" * 64,
        passages=12,
        terms=345,
        size=7_890_123_456,
        suffix=".pdf",
        failure="„kaputt“",
        updated="2026-01-02T03:04:05+00:00",
        since="2026-01-02T03:04:05.678901+00:00",
    )
    bare = DocumentRecord(source="a")
    store.put_record(full)
    store.put_record(bare)
    assert store.records() == [bare, full]
    assert (store.record(full.source), store.record("a")) == (full, bare)
    assert store.record("absent") is None
    store.put_record(replace(bare, failure="empty"))
    assert store.record("a") == DocumentRecord(source="a", failure="empty")
    store.delete_record(full.source)
    assert store.records() == [DocumentRecord(source="a", failure="empty")]


def test_more_records_than_a_page_holds_are_all_listed(store):
    for number in range(520):
        store.put_record(DocumentRecord(source=f"{number:04}"))
    assert [record.source for record in store.records()] == [f"{n:04}" for n in range(520)]


def test_a_new_collection_says_what_it_is_built_with(store):
    assert store.collection() == CollectionRecord(SPEC.fingerprint, SPEC.identity)


def test_collection_record_comes_back_whole(store):
    record = store.collection().refreshed(12.25).refreshing(13.5).built(["a", "b"])
    store.put_collection(record)
    assert store.collection() == record
    assert (record.average_length, record.refresh_to) == (12.25, 13.5)


def test_the_first_passages_fix_the_average_length(store):
    nodes = chunks(TEXTS)
    lengths = [SPEC.bm25.count(node.text).length for node in nodes]
    store.add(nodes)
    assert store.collection().average_length == average(lengths)
    store.add(chunks(["one word"], source="b.txt"))
    assert store.collection().average_length == average(lengths)


# --- LlamaIndex ----------------------------------------------------------------------------------


def ask(mode: VectorStoreQueryMode, **options) -> VectorStoreQuery:
    return VectorStoreQuery(
        query_embedding=embedding("x"),
        query_str="mice at night",
        mode=mode,
        similarity_top_k=5,
        **options,
    )


def test_query_by_default_is_dense(store):
    ingest(store)
    result = store.query(ask(VectorStoreQueryMode.DEFAULT))
    same(zip(result.ids, result.similarities, strict=True), store.dense(vector("x"), 5))
    assert [node.node_id for node in result.nodes] == result.ids
    assert all(node.text for node in result.nodes)


def test_query_can_be_sparse(store):
    ingest(store)
    result = store.query(ask(VectorStoreQueryMode.SPARSE))
    expected = store.sparse(terms("mice at night"), 5)
    same(zip(result.ids, result.similarities, strict=True), expected)


@pytest.mark.parametrize(("alpha", "side"), [(1.0, "dense"), (0.0, "sparse")])
def test_query_can_be_hybrid_with_alpha_the_dense_share(store, alpha, side):
    ingest(store)
    dense = [key for key, _ in store.dense(vector("x"), 5)]
    sparse = found(store, "mice at night", limit=5)
    result = store.query(ask(VectorStoreQueryMode.HYBRID, alpha=alpha))
    assert result.ids[0] == {"dense": dense, "sparse": sparse}[side][0]
    assert result.similarities == sorted(result.similarities, reverse=True)
    assert set(result.ids) <= {*dense, *sparse}
    both = store.query(ask(VectorStoreQueryMode.HYBRID))
    assert len(both.ids) == len(set(both.ids)) == 5


@pytest.mark.parametrize(
    "mode",
    [VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.HYBRID],
)
def test_query_filters_by_source(store, mode):
    for source in ("a.txt", "b.txt", "c.txt"):
        ingest(store, source=source)
    one = MetadataFilters(filters=[MetadataFilter(key="source", value="b.txt")])
    two = MetadataFilter(key="source", value=["a.txt", "c.txt"], operator=FilterOperator.IN)
    for filters, allowed in (
        (one, {"b.txt"}),
        (MetadataFilters(filters=[two]), {"a.txt", "c.txt"}),
    ):
        nodes = store.query(ask(mode, filters=filters)).nodes
        assert {node.metadata["source"] for node in nodes} == allowed


# --- nodes of others -----------------------------------------------------------------------------


def strange(text: str, document: str = "doc-1", /, **metadata: Any) -> TextNode:
    """A node as LlamaIndex's own splitters make it."""
    return TextNode(
        text=text,
        embedding=embedding(text),
        metadata=metadata,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)},
    )


def test_all_metadata_of_others_comes_back(store):
    given = {
        "author": "Ada", "year": 1843, "tags": ["a", "b"], "nested": {"deep": [1, None]},
        "source": "wiki", "page": "iv", "kind": "essay", "text": "t", "version": None,
    }  # fmt: skip
    node = strange("Engines weave patterns.", **given)
    node.excluded_llm_metadata_keys = ["year"]
    node.excluded_embed_metadata_keys = ["author"]
    store.add([node])
    (read,) = store.query(ask(VectorStoreQueryMode.DEFAULT)).nodes
    assert {key: read.metadata[key] for key in given} == given
    assert (read.text, read.ref_doc_id) == ("Engines weave patterns.", "doc-1")
    seen = {line.split(":")[0] for line in read.get_content(MetadataMode.LLM).splitlines()}
    assert "author" in seen
    assert not {"year", "char_start", "terms", "repeated", "index"} & seen
    assert "year: 1843" in read.get_content(MetadataMode.EMBED)
    assert "author" not in read.get_content(MetadataMode.EMBED)


def test_what_models_see_of_our_own_passages_is_for_them(store):
    (node,) = ingest(store, TEXTS[:1])
    (read,) = store.fetch([node.node_id])
    for seen in (node, read):
        assert seen.get_content(MetadataMode.LLM) == f"source: a.txt\n\n{TEXTS[0]}"
        assert seen.get_content(MetadataMode.EMBED) == TEXTS[0]


def test_metadata_beside_our_own_comes_back_too(store):
    node = chunk("Cats.")
    node.metadata["author"] = "Ada"
    store.add([node])
    (read,) = store.fetch([node.node_id])
    assert (read.metadata["author"], read.metadata["source"]) == ("Ada", "a.txt")


def test_documents_of_others_are_listed_counted_and_deleted_by_their_id(store):
    first, second = strange("Cats purr."), strange("Cats hiss.")
    store.add([first])
    store.add([second, strange("Dogs bark.", "doc-2")])
    store.add([first])
    assert {r.source: (r.passages, r.terms) for r in store.records()} == {
        "doc-1": (2, 4), "doc-2": (1, 2),
    }  # fmt: skip
    store.delete("doc-1")
    assert [record.source for record in store.records()] == ["doc-2"]
    assert found(store, "cats") == []
    assert len(found(store, "dogs")) == 1


def test_clear_leaves_an_empty_index_that_can_be_filled_again(store):
    ingest(store)
    store.add([strange("Cats purr.")])
    store.clear()
    assert (store.size(), store.records()) == (0, [])
    ingest(store, TEXTS[:2])
    assert store.size() == 2


LIBRARY = {
    "a": {"author": "Ada", "year": 1843, "score": 0.5, "tags": ["x", "y"]},
    "b": {"author": "Bob", "year": 1999, "score": 2.5, "tags": ["y"], "my key": "yes"},
    "c": {"year": 2020},
}


@pytest.mark.parametrize(
    ("key", "operator", "value", "wanted"),
    [
        ("author", "==", "Ada", "a"),
        ("author", "!=", "Ada", "bc"),
        ("author", "in", ["Ada", "Bob"], "ab"),
        ("author", "nin", ["Ada"], "bc"),
        ("year", "==", 1999, "b"),
        ("year", ">", 1843, "bc"),
        ("year", ">=", 1843, "abc"),
        ("year", "<", 1999, "a"),
        ("year", "<=", 1999.0, "ab"),
        ("score", "==", 2.5, "b"),
        ("tags", "contains", "x", "a"),
        ("tags", "any", ["x", "z"], "a"),
        ("tags", "all", ["x", "y"], "a"),
        ("author", "is_empty", None, "c"),
        ("my key", "==", "yes", "b"),
        ("absent", "==", "x", ""),
    ],
)
def test_filters_on_any_stored_key(store, key, operator, value, wanted):
    nodes = {name: strange(f"Mice {name}.", name, **kept) for name, kept in LIBRARY.items()}
    store.add(list(nodes.values()))
    one = MetadataFilter(key=key, value=value, operator=FilterOperator(operator))
    filters = MetadataFilters(filters=[one])
    assert {n.ref_doc_id for n in store.get_nodes(filters=filters)} == set(wanted)
    for mode in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.SPARSE):
        hits = store.query(ask(mode, filters=filters)).nodes
        assert {n.ref_doc_id for n in hits} == set(wanted)
    both = store.get_nodes([nodes["a"].node_id], filters)
    assert {n.ref_doc_id for n in both} == set(wanted) & {"a"}


def test_filters_combine(store):
    store.add([strange(f"Mice {name}.", name, **kept) for name, kept in LIBRARY.items()])
    ada = MetadataFilter(key="author", value="Ada")
    late = MetadataFilter(key="year", value=2000, operator=FilterOperator.GT)
    for filters, wanted in (
        (MetadataFilters(filters=[ada, late]), ""),
        (MetadataFilters(filters=[ada, late], condition=FilterCondition.OR), "ac"),
        (MetadataFilters(filters=[ada, late], condition=FilterCondition.NOT), "b"),
        (MetadataFilters(filters=[MetadataFilters(filters=[ada]), ada]), "a"),
        (MetadataFilters(filters=[]), "abc"),
    ):
        assert {n.ref_doc_id for n in store.get_nodes(filters=filters)} == set(wanted)


def test_filters_reach_our_own_keys_and_those_of_others_by_one_name(store):
    ingest(store, TEXTS[:1], source="wiki")
    store.add([strange("Mice.", "doc-1", source="wiki")])
    only = MetadataFilters(filters=[MetadataFilter(key="source", value="wiki")])
    assert len(store.get_nodes(filters=only)) == 2


@pytest.mark.parametrize(
    ("operator", "value"),
    [("text_match", "Ada"), (">", "1843"), (">", True), ("in", "Ada"), ("==", None)],
)
def test_filters_that_are_not_offered_are_refused(store, operator, value):
    one = MetadataFilter.model_construct(
        key="author", value=value, operator=FilterOperator(operator)
    )
    with pytest.raises(ValueError, match="author"):
        store.get_nodes(filters=MetadataFilters(filters=[one]))


def test_query_modes_that_are_not_offered_are_refused(store):
    with pytest.raises(ValueError, match="default, sparse, hybrid"):
        store.query(ask(VectorStoreQueryMode.MMR))


class ToyEmbedding(BaseEmbedding):
    """The deterministic vectors of these tests as a LlamaIndex model."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return embedding(text)


def test_llama_index_can_search_insert_and_delete_through_its_own_index(store):
    nodes = ingest(store)
    index = VectorStoreIndex.from_vector_store(store, embed_model=ToyEmbedding())
    hits = index.as_retriever(similarity_top_k=3).retrieve(TEXTS[4])
    assert hits[0].node.node_id == nodes[4].node_id
    assert hits[0].score == pytest.approx(1, abs=HALF_PRECISION)
    extra = chunk("Whales sing.", source="w.txt")
    extra.embedding = None
    index.insert_nodes([extra])
    hybrid = index.as_retriever(similarity_top_k=2, vector_store_query_mode="hybrid")
    assert hybrid.retrieve("whales sing")[0].node.node_id == extra.node_id
    index.delete_ref_doc("w.txt")
    assert found(store, "whales") == []


# --- durability ----------------------------------------------------------------------------------


def test_closing_and_opening_keeps_everything(place, store, name):
    nodes = ingest(store)
    store.put_collection(store.collection().refreshed(9.5))
    before = store.records(), store.collection()
    dense, sparse = store.dense(vector("x"), 5), store.sparse(terms("mice at night"), 50)
    store.flush()
    again = reopened(place, store, name)
    assert (again.records(), again.collection()) == before
    same(again.dense(vector("x"), 5), dense)
    same(again.sparse(terms("mice at night"), 50), sparse)
    assert [node.metadata for node in again.fetch(ids(nodes))] == [node.metadata for node in nodes]
    again.close()


def test_closing_twice_is_allowed(store):
    store.close()
    store.close()


WRITER = """
import sys
from pathlib import Path
from tests.retrieval.index.places import SPEC, TEXTS, ingest, place
there = place(sys.argv[1], Path(sys.argv[2]))
store = there.collections.create(sys.argv[3], SPEC)
for number in range(5):
    ingest(store, TEXTS, source=f"{number}.txt")
print("written", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_loses_nothing_that_it_had_added(kind, tmp_path, name):
    """Without `flush`: the write-ahead log is in the kernel's hands, or the server's."""
    where = tmp_path / "store"
    server = None if kind == "edge" else make_place(kind, where)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, kind, str(where), name],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)
    there = make_place(kind, where)
    store = there.collections.open(name, SPEC)
    sources = [f"{number}.txt" for number in range(5)]
    assert [record.source for record in store.records()] == sources
    assert [record.passages for record in store.records()] == [len(TEXTS)] * 5
    assert visible(store) == {key for source in sources for key in ids(chunks(TEXTS, source))}
    assert len(found(store, "cheese")) == 15
    store.close()
    there.stop()
    if server:
        server.stop()


def test_threads_may_write_and_search_at_once(kind, store):
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for content in "123":
                ingest(store, TEXTS, source=f"{number}.txt", content=content)
                store.dense(vector("x"), 5)
                found(store, "mice")
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [record.source for record in store.records()] == [f"{number}.txt" for number in range(4)]
    assert store.count(version_id("3.txt", "3")) == len(TEXTS)


# --- collections ---------------------------------------------------------------------------------


def test_two_collections_are_independent(place, store, name):
    other_name = unique_name()
    other = place.collections.create(other_name, SPEC)
    ingest(store)
    ingest(other, TEXTS[:2])
    store.delete("a.txt")
    assert len(visible(other)) == 2
    assert {name, other_name} <= set(place.collections.names())
    store.close()
    place.collections.drop(name)
    assert len(visible(other)) == 2
    other.close()


def test_names_are_sorted_and_follow_creating_and_dropping(place):
    names = [f"{unique_name()}{letter}" for letter in "ba"]
    for each in names:
        place.collections.create(each, SPEC).close()
    mine = [each for each in place.collections.names() if each in names]
    assert mine == sorted(names)
    place.collections.drop(names[0])
    assert names[0] not in place.collections.names()
    assert names[1] in place.collections.names()


def test_creating_what_exists_opens_it(place, store, name):
    ingest(store)
    store.close()
    again = place.collections.create(name, SPEC)
    assert len(visible(again)) == len(TEXTS)
    again.close()


@pytest.mark.parametrize(
    ("act", "arguments"),
    [
        ("open", (SPEC,)), ("stage", (SPEC,)), ("versions", ()), ("active", ()), ("drop", ()),
        ("point", (SPEC.fingerprint,)), ("discard", (SPEC.fingerprint,)),
    ],
)  # fmt: skip
def test_unknown_collection_is_named_with_those_there_are_and_the_hint(
    place, store, name, act, arguments
):
    with pytest.raises(UnknownCollection) as caught:
        getattr(place.collections, act)("nowhere", *arguments)
    for part in ("'nowhere'", name, "rag-app ingest PATH --collection nowhere"):
        assert part in str(caught.value)


@pytest.mark.parametrize("bad", ["", ".hidden", "../up", "a/b", "a b", "ä", "x" * 65, "a\n"])
def test_names_that_could_be_paths_are_refused(place, bad):
    there = place.collections
    for act in (there.create, there.open, there.stage):
        with pytest.raises(BadCollectionName, match="letters, digits"):
            act(bad, SPEC)
    for act in (there.point, there.discard):
        with pytest.raises(BadCollectionName):
            act(bad, SPEC.fingerprint)
    for act in (there.versions, there.active, there.drop):
        with pytest.raises(BadCollectionName):
            act(bad)


def test_a_version_says_what_it_was_built_with_whatever_it_is_opened_with(place, store, name):
    store.close()
    other = place.collections.open(name, OTHER_SPEC)
    assert other.stored_fingerprint == SPEC.fingerprint
    lines = differences(other.collection().identity, OTHER_SPEC.identity)
    assert lines == ["encoder.model_id: stored 'toy', wanted 'other toy'"]
    assert other.spec is OTHER_SPEC
    other.follow(SPEC)
    assert other.spec is SPEC
    other.close()


def test_versions_lie_beside_each_other_and_the_name_points_at_one(place, store, name):
    old = ids(ingest(store))
    staged = place.collections.stage(name, OTHER_SPEC)
    assert staged.stored_fingerprint == OTHER_SPEC.fingerprint
    ingest(staged, TEXTS[:2], source="new.txt")
    assert visible(store) == set(old)
    both = sorted([SPEC.fingerprint, OTHER_SPEC.fingerprint])
    assert place.collections.versions(name) == both == place.versions(name)
    assert place.collections.active(name) == SPEC.fingerprint
    staged.close()
    store.close()
    place.collections.point(name, OTHER_SPEC.fingerprint)
    place.restart()
    assert place.collections.active(name) == OTHER_SPEC.fingerprint
    after = place.collections.open(name, OTHER_SPEC)
    assert after.stored_fingerprint == OTHER_SPEC.fingerprint
    assert [record.source for record in after.records()] == ["new.txt"]
    assert len(visible(after)) == 2
    before = place.collections.open(name, SPEC, SPEC.fingerprint)
    assert before.stored_fingerprint == SPEC.fingerprint
    assert visible(before) == set(old)
    before.close()
    after.close()
    assert place.collections.names().count(name) == 1


def test_only_a_version_beside_others_is_marked_as_being_built_until_it_is_not(place, store, name):
    assert not store.collection().building
    staged = place.collections.stage(name, OTHER_SPEC)
    assert staged.collection().building
    staged.put_collection(staged.collection().built([SPEC.fingerprint]))
    staged.close()
    again = place.collections.stage(name, OTHER_SPEC)
    assert not again.collection().building
    assert again.collection().replaces == (SPEC.fingerprint,)
    again.close()


def test_staging_in_a_collection_that_does_not_exist_makes_none(place, name):
    with pytest.raises(UnknownCollection):
        place.collections.stage(name, SPEC)
    assert name not in place.collections.names()
    assert place.versions(name) == []


def test_staging_is_resumed_where_it_stopped(place, store, name):
    staged = place.collections.stage(name, OTHER_SPEC)
    ingest(staged, TEXTS[:2])
    staged.close()
    place.restart()
    again = place.collections.stage(name, OTHER_SPEC)
    assert len(visible(again)) == 2
    again.close()


def test_a_discarded_version_is_gone_and_the_others_are_as_they_were(place, store, name):
    ingest(store)
    staged = place.collections.stage(name, OTHER_SPEC)
    ingest(staged, TEXTS[:2])
    staged.close()
    place.collections.discard(name, OTHER_SPEC.fingerprint)
    assert place.versions(name) == [SPEC.fingerprint]
    assert len(visible(store)) == len(TEXTS)
    fresh = place.collections.stage(name, OTHER_SPEC)
    assert visible(fresh) == set()
    fresh.close()


def test_the_version_that_the_name_points_at_is_not_discarded(place, store, name):
    ingest(store)
    place.collections.stage(name, OTHER_SPEC).close()
    with pytest.raises(IndexInUse, match=f"{SPEC.fingerprint}.*rag-app indexes use"):
        place.collections.discard(name, SPEC.fingerprint)
    assert len(visible(store)) == len(TEXTS)
    assert len(place.versions(name)) == 2


@pytest.mark.parametrize("act", ["open", "point", "discard"])
def test_an_unknown_version_is_named_with_those_there_are_and_changes_nothing(
    place, store, name, act
):
    ingest(store)
    unknown = (OTHER_SPEC, "0" * 16) if act == "open" else ("0" * 16,)
    with pytest.raises(UnknownIndex, match=f"no index {'0' * 16}: it has {SPEC.fingerprint}"):
        getattr(place.collections, act)(name, *unknown)
    assert place.collections.active(name) == SPEC.fingerprint
    assert len(visible(store)) == len(TEXTS)


def test_dropping_leaves_no_version(place, store, name):
    ingest(store)
    place.collections.stage(name, OTHER_SPEC).close()
    store.close()
    place.collections.drop(name)
    assert name not in place.collections.names()
    assert place.versions(name) == []
    fresh = place.collections.create(name, SPEC)
    assert visible(fresh) == set()
    fresh.close()


# --- copying to another store --------------------------------------------------------------------

EDITION, OTHER_EDITION = "00c0ffee", "0000beef"


def copy(source: PassageStore, target: PassageStore) -> None:
    for passages in source.dump(batch=3):
        target.restore(passages)
    target.put_records(source.records())
    target.put_collection(source.collection())


@pytest.mark.parametrize("spec", [SPEC, DOT_SPEC])
@pytest.mark.parametrize("target_kind", sorted(PLACES))
def test_a_copy_in_any_store_finds_the_same_with_the_same_scores(
    place, name, target_kind, spec, tmp_path
):
    store = place.collections.create(name, spec)
    nodes = ingest(store, [f"{text} {number}" for number in range(4) for text in TEXTS])
    store.add([chunk("…", 90, source="b.txt")])  # no terms
    other = make_place(target_kind, tmp_path / "other")
    target = other.collections.create(unique_name(), spec)
    copy(store, target)
    assert target.size() == store.size() == len(nodes) + 1
    for text in TEXTS:
        dense = [dict(each.dense(vector(f"{text}?"), 50)) for each in (store, target)]
        sparse = [dict(each.sparse(terms(text), 50)) for each in (store, target)]
        assert dense[1] == pytest.approx(dense[0], abs=HALF_PRECISION)
        assert sparse[1] == pytest.approx(sparse[0], rel=1e-6)
    texts = [sorted((n.text, n.metadata["index"]) for n in s.fetch(ids(nodes)))
             for s in (store, target)]  # fmt: skip
    assert texts[0] == texts[1]
    assert [n.metadata for n in target.fetch(ids(nodes))] == [n.metadata for n in nodes]
    assert target.records() == store.records()
    assert target.collection() == store.collection()
    store.close()
    target.close()
    other.stop()


def test_no_vector_of_an_encoders_length_changes_on_its_journey(place, name):
    """Normalised and rounded again, it stays what it was; else each copy would blur it more."""
    spec = replace(SPEC, dimension=384)
    store = place.collections.create(name, spec)
    draw = np.random.default_rng(7)
    nodes = chunks([f"Mice {number}." for number in range(300)])
    for node in nodes:
        node.embedding = (draw.normal(size=384) * draw.exponential()).tolist()
    store.add(nodes)
    target = place.collections.create(unique_name(), spec)
    copy(store, target)
    first, second = [{one.id: one for batch in s.dump() for one in batch} for s in (store, target)]
    assert first.keys() == second.keys() == set(ids(nodes))
    exactly = {"rel": 0, "abs": 0 if isinstance(store, EdgeStore) else 1e-6}
    for key, one in first.items():
        assert one.dense.dtype == np.float32
        assert second[key].dense == pytest.approx(one.dense, **exactly)
        weights = [dict(zip(each.sparse.indices, each.sparse.values, strict=True))
                   for each in (one, second[key])]  # fmt: skip
        assert weights[0] == weights[1]
        assert one.payload == second[key].payload
    query = draw.normal(size=384).astype(np.float32)
    hits = [dict(each.dense(query, 50)) for each in (store, target)]
    assert hits[1] == pytest.approx(hits[0], **exactly)
    store.close()
    target.close()


def test_only_what_searches_see_is_dumped(store):
    live = ids(ingest(store))
    store.put_record(replace(store.record("a.txt"), pending="2"))
    store.add(chunks(TEXTS, content="2"))
    assert sorted(one.id for batch in store.dump(batch=3) for one in batch) == sorted(live)
    assert store.size() == 2 * len(TEXTS)


def test_restoring_twice_does_no_harm(store):
    ingest(store)
    before = store.dense(vector("x"), 50)
    for passages in list(store.dump()):
        store.restore(passages)
        store.restore(passages)
    assert store.size() == len(TEXTS)
    same(store.dense(vector("x"), 50), before)


def test_records_may_be_written_together(store):
    records = [DocumentRecord(f"{n:03}.txt", live=None, failure="encrypted") for n in range(300)]
    store.put_records(records)
    assert store.records() == records
    store.put_records([])


def test_a_renamed_collection_keeps_all_and_its_old_name_is_free(place, store, name):
    written = ids(ingest(store))
    other = place.collections.stage(name, OTHER_SPEC)
    other.put_collection(other.collection().built())
    for each in (store, other):
        each.close()
    new = unique_name()
    place.collections.rename(name, new)
    assert name not in place.collections.names()
    assert place.collections.versions(new) == sorted([SPEC.fingerprint, OTHER_SPEC.fingerprint])
    assert place.collections.active(new) == SPEC.fingerprint
    with pytest.raises(UnknownCollection):
        place.collections.open(name, SPEC)

    again = place.collections.create(name, SPEC)  # under the name, and of the spec, of the first
    assert visible(again) == set()
    kept = place.collections.open(new, SPEC)
    assert visible(kept) == set(written)
    for each in (again, kept):
        each.close()
    for taken in (new, name):
        with pytest.raises(NameTaken):
            place.collections.rename(name, taken)
    with pytest.raises(UnknownCollection):
        place.collections.rename(unique_name(), unique_name())
    with pytest.raises(BadCollectionName):
        place.collections.rename(new, "../x")
    place.collections.drop(new)
    assert place.collections.names() == [name]
    assert place.collections.versions(name) == [SPEC.fingerprint]


def test_a_draft_is_seen_by_nobody_until_it_takes_the_place_of_all(place, store, name):
    old = set(ids(ingest(store)))
    place.collections.stage(name, OTHER_SPEC).close()
    draft = place.collections.draft(name, SPEC, EDITION)
    assert draft.size() == 0, "the same fingerprint, yet another version"
    new = set(ids(ingest(draft, TEXTS[:2], source="new.txt")))
    both = sorted([SPEC.fingerprint, OTHER_SPEC.fingerprint])
    assert place.collections.versions(name) == both
    assert visible(store) == old
    draft.close()
    store.close()
    place.collections.adopt(name, EDITION, SPEC.fingerprint)
    place.restart()
    assert place.collections.names().count(name) == 1
    assert place.collections.active(name) == SPEC.fingerprint
    assert place.collections.versions(name) == [SPEC.fingerprint]
    assert len(place.versions(name)) == 1, "nothing of the old edition is left"
    after = place.collections.open(name, SPEC)
    assert visible(after) == new
    after.close()


def test_an_edition_may_hold_several_versions(place, store, name):
    store.close()
    for spec in (SPEC, OTHER_SPEC):
        place.collections.draft(name, spec, EDITION).close()
    place.collections.adopt(name, EDITION, OTHER_SPEC.fingerprint)
    both = sorted([SPEC.fingerprint, OTHER_SPEC.fingerprint])
    assert (place.collections.versions(name), place.collections.active(name)) == (
        both, OTHER_SPEC.fingerprint,
    )  # fmt: skip


def test_life_goes_on_in_an_edition_as_in_the_first(place, store, name):
    store.close()
    place.collections.draft(name, SPEC, EDITION).close()
    place.collections.adopt(name, EDITION, SPEC.fingerprint)
    again = place.collections.create(name, SPEC)
    ingest(again)
    staged = place.collections.stage(name, OTHER_SPEC)
    ingest(staged, TEXTS[:2])
    staged.close()
    again.close()
    place.collections.point(name, OTHER_SPEC.fingerprint)
    place.collections.discard(name, SPEC.fingerprint)
    place.restart()
    assert place.collections.versions(name) == [OTHER_SPEC.fingerprint]
    left = place.collections.open(name, OTHER_SPEC)
    assert len(visible(left)) == 2
    left.close()
    place.collections.draft(name, SPEC, OTHER_EDITION).close()
    place.collections.adopt(name, OTHER_EDITION, SPEC.fingerprint)
    assert place.collections.versions(name) == [SPEC.fingerprint]
    place.collections.drop(name)
    assert name not in place.collections.names()
    assert place.versions(name) == []


def test_an_abandoned_draft_leaves_no_trace(place, store, name):
    ingest(store)
    before = place.versions(name)
    place.collections.draft(name, SPEC, EDITION).close()
    place.collections.draft(name, OTHER_SPEC, EDITION).close()
    place.collections.abandon(name, EDITION)
    assert place.versions(name) == before
    assert len(visible(store)) == len(TEXTS)


def test_a_draft_may_be_of_a_collection_that_does_not_exist(place, name):
    place.collections.draft(name, SPEC, EDITION).close()
    assert name not in place.collections.names()
    place.collections.abandon(name, EDITION)
    assert place.versions(name) == []
    place.collections.draft(name, SPEC, EDITION).close()
    place.collections.adopt(name, EDITION, SPEC.fingerprint)
    assert name in place.collections.names()
    place.collections.abandon(name, EDITION)
    assert name in place.collections.names(), "what was adopted is no draft any more"


def test_what_was_not_drafted_is_not_adopted(place, store, name):
    ingest(store)
    with pytest.raises((UnknownIndex, StoreError, ValueError)):
        place.collections.adopt(name, EDITION, SPEC.fingerprint)
    assert place.collections.active(name) == SPEC.fingerprint
    assert len(visible(store)) == len(TEXTS)


# --- keeping the average length true -------------------------------------------------------------

LONG = [f"{text} {text} {text}" for text in TEXTS]


def drifted(store: PassageStore) -> list[TextNode]:
    """Short passages fix the average, long ones move it."""
    return [*ingest(store, TEXTS[:2], "a.txt"), *ingest(store, LONG, "b.txt")]


def test_refreshed_weights_are_those_of_a_fresh_index(place, store):
    nodes = drifted(store)
    expected = bm25_scores("mice at night", nodes)
    assert dict(store.sparse(terms("mice at night"), 50)) != pytest.approx(expected, rel=1e-3)
    assert refresh_lengths(store)
    assert dict(store.sparse(terms("mice at night"), 50)) == pytest.approx(expected, rel=1e-5)
    mean = average([SPEC.bm25.count(node.text).length for node in nodes])
    assert store.collection().average_length == pytest.approx(mean)
    assert store.collection().refresh_to is None
    assert not refresh_lengths(store)
    fresh = place.collections.create(unique_name(), SPEC)
    fresh.put_collection(fresh.collection().refreshed(mean))
    drifted(fresh)
    for query in ("cheese", "mice mice moon", "bread in barns"):
        same(store.sparse(terms(query), 50), fresh.sparse(terms(query), 50))
    fresh.close()


def test_refreshing_keeps_vectors_texts_and_metadata(store):
    nodes = drifted(store)
    before = store.dense(vector("x"), 50)
    refresh_lengths(store)
    same(store.dense(vector("x"), 50), before)
    assert [node.metadata for node in store.fetch(ids(nodes))] == [node.metadata for node in nodes]


def test_refreshing_cut_short_is_finished_by_the_next(place, store, name, monkeypatch):
    nodes = drifted(store)
    whole = type(store).passages

    def cut_short(self, batch=512, hidden=False):
        yield next(whole(self, 4, hidden))
        raise Broken

    with monkeypatch.context() as crash:
        crash.setattr(type(store), "passages", cut_short)
        with pytest.raises(Broken):
            refresh_lengths(store)
    store = reopened(place, store, name)
    assert store.collection().refresh_to is not None
    late = ingest(store, TEXTS[2:4], "c.txt")
    assert refresh_lengths(store)
    expected = bm25_scores("mice at night", [*nodes, *late])
    assert dict(store.sparse(terms("mice at night"), 50)) == pytest.approx(expected, rel=1e-5)
    assert not refresh_lengths(store)
    store.close()


def test_a_version_that_is_being_written_is_refreshed_with_the_others(store):
    drifted(store)
    store.put_record(DocumentRecord("c.txt", pending="1"))
    late = chunks(["Whales sing."], source="c.txt")
    store.add(late)
    refresh_lengths(store)
    store.put_record(committed("c.txt", "1", late))
    ((_, before),) = store.sparse(terms("whales"), 5)
    store.add(late)
    ((_, after),) = store.sparse(terms("whales"), 5)
    assert before == pytest.approx(after)


def test_small_drift_is_let_pass(store):
    nodes = ingest(store)
    assert not refresh_lengths(store)
    store.put_record(replace(committed("a.txt", "1", nodes), terms=1_000))
    assert not refresh_lengths(store, tolerance=100)
    assert store.collection().refresh_to is None


def test_an_empty_collection_needs_no_refresh(store):
    assert not refresh_lengths(store)
