from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from llama_index.core.schema import TextNode

from rag_app.errors import ApplicationError
from rag_app.ingestion.reading import Document, Originals
from rag_app.ingestion.writing import DocumentWriter, forget_unused
from retrieval.index.base import PassageStore
from retrieval.index.edge import EdgeStore
from retrieval.index.records import DocumentRecord
from retrieval.passages import passage, version_id
from tests.encoders import DIMENSION, HashingEncoder
from tests.rag_app.fragile import Crash, FragileStore
from tests.rag_app.support import new_store, settled, spec, visible

OLD = ("red lanterns hang in the harbour", "the old lighthouse is dark")
NEW = ("green lanterns hang in the harbour", "the new lighthouse is bright", "boats come home")
HALF = ("yellow lanterns are being hung", "nobody finished this version", "it has", "four chunks")
VERSIONS = {"old": OLD, "new": NEW, "half": HALF}


def document(content: str, source: str = "a.txt") -> Document:
    return Document(source, content, 100, ".txt")


def nodes(content: str, source: str = "a.txt") -> list[TextNode]:
    made = [
        passage(
            source=source,
            version=version_id(source, content),
            index=index,
            fingerprint=spec().fingerprint,
            text=text,
        )
        for index, text in enumerate(VERSIONS[content])
    ]
    vectors = HashingEncoder().encode_passages([node.text for node in made]).vectors
    for node, vector in zip(made, vectors, strict=True):
        node.embedding = vector.tolist()
    return made


def commit(store: PassageStore, content: str, source: str = "a.txt") -> bool:
    """Take a version in, one chunk a write, as an ingestion that finds some of them stored."""
    writer = DocumentWriter(store)
    writer.begin(document(content, source))
    made = nodes(content, source)
    stored = store.stored_terms([node.node_id for node in made])
    for node in made:
        writer.passages([node], stored)
    return writer.finish(document(content, source))


def begin(store: PassageStore, content: str, chunks: int, source: str = "a.txt") -> None:
    """Start on a version and get no further than some chunks."""
    writer = DocumentWriter(store)
    writer.begin(document(content, source))
    writer.passages(nodes(content, source)[:chunks], {})


def shown(store: PassageStore, source: str = "a.txt") -> tuple[str, ...]:
    """What every kind of access sees of a document; they must agree."""
    listed = tuple(visible(store).get(source, ()))
    everything = store.dense(np.ones(DIMENSION, np.float32), 100)
    near = {node.text for node in store.fetch([chunk for chunk, _ in everything])}
    assert set(listed) <= near
    words = store.sparse(store.spec.bm25.encode_query("lanterns lighthouse four finished"), 100)
    assert {node.text for node in store.fetch([chunk for chunk, _ in words])} <= near
    assert near == {text for texts in visible(store).values() for text in texts}
    return listed


@pytest.fixture
def store(tmp_path) -> Iterator[PassageStore]:
    store = new_store(tmp_path / "shard")
    yield store
    store.close()


def test_a_document_is_seen_only_when_it_is_finished(store):
    writer = DocumentWriter(store)
    writer.begin(document("old"))
    assert shown(store) == ()
    assert writer.passages(nodes("old"), {}) == len(OLD)
    assert shown(store) == ()
    assert writer.finish(document("old")) is False
    assert shown(store) == OLD
    record = store.record("a.txt")
    assert (record.live, record.passages, record.size, record.suffix) == ("old", 2, 100, ".txt")
    assert record.terms == sum(store.stored_terms([n.node_id for n in nodes("old")]).values())
    assert record.updated.endswith("+00:00")


def test_a_new_version_takes_the_place_of_the_old_one_at_once(store):
    commit(store, "old")
    begin(store, "new", len(NEW))
    assert shown(store) == OLD
    assert commit(store, "new") is True
    assert shown(store) == NEW
    assert store.count(version_id("a.txt", "old")) == 0
    assert settled(store)


def test_chunks_that_are_stored_are_counted_but_not_written_again(store):
    begin(store, "new", 2)
    writer = DocumentWriter(store)
    writer.begin(document("new"))
    made = nodes("new")
    stored = store.stored_terms([node.node_id for node in made])
    assert len(stored) == 2
    for node in made[:2]:
        node.embedding = None  # what an interrupted run has stored is not encoded again
    assert writer.passages(made, stored) == 1
    writer.finish(document("new"))
    whole = store.record("a.txt")
    store.delete("a.txt")
    commit(store, "new")
    again = store.record("a.txt")
    assert (again.passages, again.terms) == (whole.passages, whole.terms)


def test_remains_of_an_interrupted_version_go_when_another_is_begun(store):
    begin(store, "half", 3)
    commit(store, "new")
    assert shown(store) == NEW
    assert store.count(version_id("a.txt", "half")) == 0


def test_remains_go_when_the_live_content_is_back(store):
    commit(store, "old")
    begin(store, "half", 3)
    DocumentWriter(store).unchanged(document("old"))
    assert shown(store) == OLD
    assert store.count(version_id("a.txt", "half")) == 0
    assert settled(store)


def test_a_failure_that_is_over_is_forgotten(store):
    commit(store, "old")
    DocumentWriter(store).fail(document("new"), "broken")
    assert store.record("a.txt").failure == "broken"
    DocumentWriter(store).unchanged(document("old"))
    assert store.record("a.txt").failure == ""
    DocumentWriter(store).fail(document("new"), "broken")
    commit(store, "new")
    assert store.record("a.txt").failure == ""


def test_taking_in_what_is_live_already_loses_nothing(store):
    commit(store, "new")
    assert commit(store, "new") is True
    assert shown(store) == NEW
    assert settled(store)


def test_failing_half_way_keeps_the_old_version_and_nothing_of_the_new(store):
    commit(store, "old")
    writer = DocumentWriter(store)
    writer.begin(document("new"))
    writer.passages(nodes("new")[:1], {})
    writer.fail(document("new"), "page 7 is damaged")
    assert shown(store) == OLD
    assert store.count(version_id("a.txt", "new")) == 0
    record = store.record("a.txt")
    assert (record.live, record.failure, record.settled) == ("old", "page 7 is damaged", True)


@pytest.mark.parametrize("content", ["", "new"])
def test_failing_to_open_a_file_does_not_show_what_an_interrupted_run_left(store, content):
    begin(store, "half", 3)
    DocumentWriter(store).fail(document(content), "not readable")
    assert shown(store) == ()
    assert store.count(version_id("a.txt", "half")) == 0
    assert store.record("a.txt").failure == "not readable"


def test_an_incomplete_version_is_not_shown(store):
    commit(store, "old")
    writer = DocumentWriter(store)
    writer.begin(document("new"))
    writer.passages(nodes("new"), {nodes("new")[1].node_id: 3})
    with pytest.raises(ApplicationError, match=r"holds 2 passages of a\.txt, 3 were written"):
        writer.finish(document("new"))
    assert shown(store) == OLD


def test_the_same_content_under_two_names_is_two_documents(store):
    commit(store, "old")
    commit(store, "old", "b.txt")
    assert shown(store) == shown(store, "b.txt") == OLD
    assert DocumentWriter(store).delete("a.txt")
    assert visible(store) == {"b.txt": list(OLD)}


def test_deleting_takes_every_version_and_says_whether_there_was_one(store):
    commit(store, "old")
    begin(store, "half", 3)
    assert DocumentWriter(store).delete("a.txt") is True
    assert DocumentWriter(store).delete("a.txt") is False
    assert shown(store) == ()
    assert store.record("a.txt") is None
    assert store.count(version_id("a.txt", "half")) == 0


def test_originals_are_kept_while_any_document_needs_them(store, tmp_path):
    originals = Originals(tmp_path / "files")
    originals.folder.mkdir()
    for content in VERSIONS:
        originals.path(content, ".txt").write_text(content)

    def kept() -> set[str]:
        forget_unused(originals, [store])
        return {path.stem for path in originals.folder.iterdir()}

    commit(store, "old")
    commit(store, "old", "b.txt")
    begin(store, "half", 1)
    assert kept() == {"old", "half"}
    DocumentWriter(store).delete("a.txt")
    assert kept() == {"old"}, "the other document has the same content"
    DocumentWriter(store).delete("b.txt")
    assert kept() == set()


# --- a crash at every instant -----------------------------------------------------------------


def nothing(_: PassageStore, source: str) -> None:
    """A collection that has never heard of the document."""


def old(store: PassageStore, source: str) -> None:
    commit(store, "old", source)


def old_and_half(store: PassageStore, source: str) -> None:
    commit(store, "old", source)
    begin(store, "half", 3, source)


def new_and_retired(store: PassageStore, source: str) -> None:
    """A crash between the switch and the deletion of what it replaced."""
    commit(store, "half", source)
    begin(store, "old", 2, source)
    record = store.record(source)
    store.put_record(replace(record, live="old", pending=None, retired="half", passages=2))


def failed(store: PassageStore, source: str) -> None:
    commit(store, "old", source)
    DocumentWriter(store).fail(document("new", source), "broken")


def half_of_it(store: PassageStore, source: str) -> None:
    begin(store, "new", 2, source)


STATES = (nothing, old, old_and_half, new_and_retired, failed, half_of_it)


def opened(path: Path) -> FragileStore:
    return FragileStore(path, spec())


def stored(store: PassageStore, source: str) -> int:
    return sum(store.count(version_id(source, content)) for content in VERSIONS)


@pytest.mark.parametrize("prepare", STATES)
def test_a_crash_at_any_write_leaves_the_old_version_or_the_new_and_running_again_finishes(
    tmp_path, prepare
):
    path = tmp_path / "shard"
    new_store(path).close()
    crashed, write = True, -1
    while crashed:
        write += 1
        source = f"{write}.txt"  # a document for every instant
        store = opened(path)
        prepare(store, source)
        before = shown(store, source)
        store.crash_before(write)
        with suppress(Crash):
            commit(store, "new", source)
        crashed = store.crashed
        assert shown(store, source) in {before, NEW}
        store.close()
        store = opened(path)
        assert shown(store, source) in {before, NEW}, "a restart shows what the crash left"
        commit(store, "new", source)
        assert shown(store, source) == NEW
        assert settled(store)
        assert stored(store, source) == len(NEW)
        store.close()
    assert write >= 3


@pytest.mark.parametrize("prepare", [old_and_half, new_and_retired])
@pytest.mark.parametrize("act", ["unchanged", "fail", "delete"])
def test_a_crash_while_tidying_up_shows_nothing_that_was_hidden(tmp_path, prepare, act):
    def tidy(store: EdgeStore, source: str) -> None:
        writer = DocumentWriter(store)
        if act == "unchanged":
            writer.unchanged(document("old", source))
        elif act == "fail":
            writer.fail(document("", source), "not readable")
        else:
            writer.delete(source)

    path = tmp_path / "shard"
    new_store(path).close()
    crashed, write = True, -1
    while crashed:
        write += 1
        source = f"{write}.txt"
        store = opened(path)
        prepare(store, source)
        store.crash_before(write)
        with suppress(Crash):
            tidy(store, source)
        crashed = store.crashed
        assert shown(store, source) in ({OLD, ()} if act == "delete" else {OLD})
        store.close()
        store = opened(path)
        assert shown(store, source) in ({OLD, ()} if act == "delete" else {OLD})
        tidy(store, source)
        assert shown(store, source) == (() if act == "delete" else OLD)
        assert stored(store, source) == (0 if act == "delete" else len(OLD))
        assert settled(store)
        store.close()
    assert write >= 2


def test_a_fragile_store_really_stops_before_the_write(tmp_path):
    new_store(tmp_path / "shard").close()
    store = opened(tmp_path / "shard").crash_before(1)
    store.put_record(DocumentRecord("a.txt"))
    with pytest.raises(Crash):
        store.put_record(DocumentRecord("b.txt"))
    assert [record.source for record in store.records()] == ["a.txt"]
    store.close()
