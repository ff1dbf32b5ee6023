from collections.abc import Iterator

import pytest

from rag_app.ingestion.batches import Batch, BatchWriter
from rag_app.ingestion.reading import Begin, Document, Failed, Finish, Unchanged
from rag_app.results import Progress
from retrieval.index.edge import EdgeStore
from retrieval.passages import indexed_text, passage
from tests.encoders import HashingEncoder
from tests.rag_app.support import found, new_store, visible, write

CONTENT = "ab" * 32


@pytest.fixture
def store(tmp_path) -> Iterator[EdgeStore]:
    store = new_store(tmp_path / "shard")
    yield store
    store.close()


def chunk(document: Document, index: int, text: str):
    node = passage(
        source=document.source, version=document.version, index=index, fingerprint="f", text=text
    )
    node.embedding = HashingEncoder().encode_passages([indexed_text(node)]).vectors[0].tolist()
    return node


def test_batches_may_begin_and_end_amid_a_document(store, tmp_path):
    files = found(write(tmp_path / "in", {"a.txt": "x" * 100, "b.txt": "y" * 60, "c.txt": "z"}))
    a, b = Document("a", CONTENT, 100, ".txt"), Document("b", CONTENT, 60, ".txt")
    texts = ["first words", "second words", "third words"]
    nodes = [chunk(a, index, text) for index, text in enumerate(texts)]
    news: list[Progress] = []
    report = BatchWriter(store, lambda: None, files, news.append).write(
        [
            Batch([Begin(a), nodes[0]], truncated=1),
            Batch([nodes[1]]),
            Batch([nodes[2], Finish(a), Begin(b), Failed(b, "torn")], truncated=2),
        ]
    )
    assert (report.added, report.passages, report.truncated) == (1, 3, 3)
    assert [(failure.source, failure.reason) for failure in report.failures] == [("b", "torn")]
    assert visible(store) == {"a": texts}
    assert (news[-1].done, news[-1].documents, news[-1].total_documents) == (1, 2, 3)
    again = BatchWriter(store, lambda: None, files, None).write([Batch([Unchanged(a)])])
    assert (again.unchanged, again.passages, again.documents) == (1, 0, 1)


def test_chunks_that_are_stored_are_not_written_but_count(store, tmp_path):
    a = Document("a", CONTENT, 10, ".txt")
    files = found(write(tmp_path / "in", {"a": "x"}))
    nodes = [chunk(a, 0, "some words"), chunk(a, 1, "more words")]
    store.add(nodes[:1])
    held = store.stored_terms([node.node_id for node in nodes])
    nodes[0].embedding = None
    batches = [Batch([Begin(a), *nodes, Finish(a)], held)]
    assert BatchWriter(store, lambda: None, files, None).write(batches).passages == 1
    assert store.record("a").passages == 2


def test_a_batch_without_items_tells_that_the_run_goes_on(store):
    class Stop(Exception):
        pass

    def stop(_: Progress) -> None:
        raise Stop

    with pytest.raises(Stop):
        BatchWriter(store, lambda: None, [], stop).write([Batch([])])
