import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from data.blocks import Loaded, Scan
from data.discovery import Found
from data.parsing import Parser
from rag_app.errors import ApplicationError
from rag_app.ingestion import engine as ingest
from rag_app.ingestion.engine import Ingestor
from rag_app.results import IngestReport, Progress
from retrieval.encoders.errors import EncoderError
from retrieval.index.base import PassageStore, Where
from retrieval.index.edge import EdgeStore
from retrieval.passages import indexed_text
from tests.encoders import HashingEncoder
from tests.rag_app.fragile import Crash, FragileStore
from tests.rag_app.support import (
    chunker,
    found,
    ingest_folder,
    new_store,
    prose,
    settled,
    spec,
    stored,
    visible,
    write,
)


@pytest.fixture
def store(tmp_path) -> Iterator[EdgeStore]:
    store = new_store(tmp_path / "shard")
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "in", {f"{name}.txt": prose(name) for name in "abc"})


@pytest.fixture
def files(tmp_path) -> Path:
    return tmp_path / "originals"


@pytest.fixture(autouse=True)
def _leaves_nothing_running() -> Iterator[None]:
    """No run may leave a thread or a child process behind, however it ends."""
    threads, children = set(threading.enumerate()), child_processes()
    yield
    left = [thread for thread in threading.enumerate() if thread not in threads]
    assert left == []
    assert child_processes() <= children


def child_processes() -> set[str]:
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("optional: this system has no /proc")
    children: set[str] = set()
    for path in tasks.glob("*/children"):
        with suppress(FileNotFoundError):  # a thread that has just ended
            children.update(path.read_text().split())
    return children


def counts(report: IngestReport) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, len(report.failures)


def jsonl(path: Path, passages: int) -> Path:
    with path.open("w") as file:
        for number in range(passages):
            file.write(json.dumps({"_id": f"p{number}", "title": "", "text": prose(number, 1)}))
            file.write("\n")
    return path


def test_a_run_counts_what_it_did(store, folder, files):
    encoder = HashingEncoder()
    report = ingest_folder(store, folder, files, encoder)
    assert counts(report) == (3, 0, 0, 0)
    assert report.passages == len(encoder.encoded) == stored(store) > 6
    assert report.seconds > 0
    write(folder, {"b.txt": prose("other"), "d.pdf": "not a PDF", "e.txt": prose("e")})
    report = ingest_folder(store, folder, files, encoder)
    assert counts(report) == (1, 1, 2, 1)
    assert [failure.source for failure in report.failures] == ["d.pdf"]
    assert report.documents == 5


def test_the_report_is_the_documents_of_the_command_line(store, folder, files):
    write(folder, {"d.pdf": "not a PDF"})
    told = ingest_folder(store, folder, files).as_dict("papers")
    assert told["collection"] == "papers"
    assert told["documents"] == {
        "added": 3,
        "updated": 0,
        "unchanged": 0,
        "removed": 0,
        "failed": 1,
    }
    assert told["passages"] == stored(store)
    assert told["failures"] == [
        {"source": "d.pdf", "reason": told["failures"][0]["reason"]},
    ]
    assert "plain text" in told["failures"][0]["reason"]


def test_a_renamed_file_is_neither_read_nor_encoded_again(store, folder, files, tmp_path):
    ingest_folder(store, folder, files)
    before = visible(store)
    (folder / "b.txt").rename(folder / "renamed.txt")
    ingestor = Ingestor(store, encoder := HashingEncoder(), chunker(), UnusedParser, files)
    report = ingestor.run(found(folder))
    assert (counts(report), encoder.encoded) == ((1, 0, 2, 0), [])
    assert visible(store) == {**before, "renamed.txt": before["b.txt"]}
    vectors = [
        sorted((p.payload["index"], *p.dense) for batch in store.dump(where=where) for p in batch)
        for where in (Where(("b.txt",)), Where(("renamed.txt",)))
    ]
    assert vectors[0] == vectors[1] != []


def test_a_long_file_is_left_in_the_middle(store, folder, files):
    write(folder, {"b.txt": prose("long", 20_000)})

    class Enough(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.source.startswith("b.txt"):
            raise Enough

    with pytest.raises(Enough):
        ingest_folder(store, folder, files, on_progress=stop)
    assert "b.txt" not in visible(store)


def test_a_file_under_another_ending_is_read_anew(store, folder, files):
    ingest_folder(store, folder, files)
    (folder / "b.txt").rename(folder / "b.md")
    ingest_folder(store, folder, files, encoder := HashingEncoder())
    assert encoder.encoded


def test_a_copy_of_a_document_that_changes_meanwhile_is_read_anew(store, folder, files):
    ingest_folder(store, folder, files)
    text = (folder / "a.txt").read_text()
    write(folder, {"a.txt": prose("changed"), "z.txt": text})
    report = ingest_folder(store, folder, files)
    assert counts(report) == (1, 1, 2, 0)
    assert " ".join(visible(store)["z.txt"]).startswith(text[:20])
    assert settled(store)


class UnusedParser(Parser):
    """A parser for which nothing may be left to do."""

    def parse(
        self, path: Path, name: str = "", on_scan: Callable[[Scan], None] = lambda _: None
    ) -> Iterator[Loaded]:
        raise AssertionError(f"{name} is read again from {path}")


def test_running_again_changes_and_encodes_nothing(store, folder, files):
    ingest_folder(store, folder, files)
    before, records = visible(store), store.records()
    encoder = HashingEncoder()
    report = ingest_folder(store, folder, files, encoder)
    assert (counts(report), report.passages, encoder.encoded) == ((0, 0, 3, 0), 0, [])
    assert (visible(store), store.records()) == (before, records)


def test_chunks_are_those_of_the_chunker_in_order(store, folder, files):
    ingest_folder(store, folder, files)
    with Parser() as parser:
        for each in found(folder):
            expected = [chunk.text for chunk in chunker().split(parser.parse(each.path))]
            assert visible(store)[each.source] == expected


def test_a_changed_file_leaves_nothing_of_its_old_content(store, folder, files):
    ingest_folder(store, folder, files)
    write(folder, {"a.txt": prose("completely different")})
    ingest_folder(store, folder, files)
    assert stored(store) == sum(len(texts) for texts in visible(store).values())
    assert "completely different" in visible(store)["a.txt"][0].lower()
    assert settled(store)


def test_three_thousand_passages_are_stored_whole_and_in_batches(store, tmp_path, files):
    folder = tmp_path / "in"
    folder.mkdir()
    jsonl(folder / "corpus.jsonl", 3000)
    report = ingest_folder(store, folder, files)
    assert counts(report) == (1, 0, 0, 0)
    assert report.passages == stored(store) == store.record("corpus.jsonl").passages == 3000
    nodes = [node for batch in store.passages() for node in batch]
    assert {node.metadata["passage_id"] for node in nodes} == {f"p{n}" for n in range(3000)}
    assert {node.metadata["index"] for node in nodes} == set(range(3000))


def test_the_average_length_is_the_true_one_after_a_run(store, folder, files, tmp_path):
    ingest_folder(store, folder, files)
    assert store.collection().average_length == pytest.approx(true_average(store))
    shutil.rmtree(folder)
    folder.mkdir()
    jsonl(folder / "short.jsonl", 200)
    ingest_folder(store, folder, files)
    assert store.collection().average_length == pytest.approx(true_average(store))
    assert store.collection().refresh_to is None


def true_average(store: PassageStore) -> float:
    lengths = [
        store.spec.bm25.count(indexed_text(node)).length
        for batch in store.passages()
        for node in batch
    ]
    return sum(lengths) / len(lengths)


def test_truncated_chunks_are_counted(store, tmp_path, files):
    long = " ".join(f"word{n}" for n in range(100))
    record = json.dumps({"_id": "1", "text": long}) + "\n" + json.dumps({"_id": "2", "text": "hi"})
    folder = write(tmp_path / "in", {"a.jsonl": record})
    assert ingest_folder(store, folder, files).truncated == 1


@pytest.mark.parametrize("batch", [1, 3, 256])
def test_progress_only_grows_and_ends_at_one(store, folder, files, batch, monkeypatch):
    monkeypatch.setattr(ingest, "BATCH", batch)
    write(folder, {"d.pdf": "not a PDF"})
    news: list[Progress] = []
    report = ingest_folder(store, folder, files, on_progress=news.append)
    shares = [each.done for each in news]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert shares[-1] == 1
    assert len({*shares}) > 3
    assert [each.passages for each in news] == sorted(each.passages for each in news)
    assert (news[-1].documents, news[-1].passages) == (4, report.passages)
    assert {each.total_documents for each in news} == {4}
    assert news[-1].rate > 0
    assert news[-1].eta == 0


def test_progress_of_an_empty_run_is_done(store, files, tmp_path):
    news: list[Progress] = []
    (tmp_path / "in").mkdir()
    report = ingest_folder(store, tmp_path / "in", files, on_progress=news.append)
    assert counts(report) == (0, 0, 0, 0)
    assert news[-1].done == 1
    assert Progress(0, 1, 0, 0.0, 0.0, "").eta is None
    assert Progress(0, 1, 0, 0.0, 0.0, "").rate == 0


def test_files_that_vanish_after_discovery_fail_and_the_rest_goes_on(store, folder, files):
    listed = found(folder)
    (folder / "b.txt").unlink()
    ingestor = Ingestor(store, HashingEncoder(), chunker(), Parser, files)
    report = ingestor.run(listed)
    assert counts(report) == (2, 0, 0, 1)
    assert report.failures[0].reason == "not readable: No such file or directory"
    assert set(visible(store)) == {"a.txt", "c.txt"}


def test_a_file_that_fails_now_keeps_what_was_taken_in_before(store, folder, files):
    ingest_folder(store, folder, files)
    before = visible(store)
    (folder / "b.txt").write_bytes(b"\x00\x01\x02\xff" * 100)
    report = ingest_folder(store, folder, files)
    assert counts(report) == (0, 0, 2, 1)
    assert visible(store) == before
    assert store.record("b.txt").failure


def test_one_name_in_two_files_is_one_document(store, folder, files):
    listed = [Found(folder / "a.txt", "a.txt"), Found(folder / "b.txt", "a.txt")]
    Ingestor(store, HashingEncoder(), chunker(), Parser, files).run(listed)
    assert list(visible(store)) == ["a.txt"]
    assert settled(store)
    assert stored(store) == len(visible(store)["a.txt"])


def test_an_encoder_that_fails_ends_the_run_and_the_next_goes_on_from_there(
    store, folder, files, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 4)
    first = HashingEncoder(fail_at=9)
    with pytest.raises(EncoderError, match=r"the encoder went away\. Start it again"):
        ingest_folder(store, folder, files, first)
    interrupted = stored(store)
    assert 0 < interrupted <= 9
    second = HashingEncoder()
    report = ingest_folder(store, folder, files, second)
    assert counts(report)[0] + counts(report)[2] == 3
    assert report.passages == len(second.encoded)
    assert interrupted + len(second.encoded) == stored(store), "no stored chunk is encoded again"
    assert settled(store)
    assert set(visible(store)) == {"a.txt", "b.txt", "c.txt"}


class Interrupt(BaseException):
    """Like Ctrl-C, which is no Exception either."""


@pytest.mark.parametrize("after", [0, 1, 5])
def test_an_interrupted_run_stops_its_threads_and_its_child(
    store, folder, files, after, monkeypatch
):
    monkeypatch.setattr(ingest, "BATCH", 2)
    jsonl(folder / "corpus.jsonl", 2000)
    news: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        news.append(progress)
        if len(news) > after:
            raise Interrupt

    encoder = HashingEncoder()
    with pytest.raises(Interrupt):
        ingest_folder(store, folder, files, encoder, interrupt)
    assert len(encoder.encoded) < 100, "what had been read ahead is not encoded any more"
    report = ingest_folder(store, folder, files)
    assert report.failures == []
    assert set(visible(store)) == {"a.txt", "b.txt", "c.txt", "corpus.jsonl"}


def test_an_interrupted_run_does_not_read_the_files_that_are_left(store, tmp_path, files):
    folder = write(tmp_path / "in", {f"{n:03}.txt": prose(n, 1) for n in range(300)})
    ingest_folder(store, folder, files)
    opened: list[str] = []

    class Watched(type(store)):
        def record(self, source):
            opened.append(source)
            return super().record(source)

    store.close()
    watched = Watched(tmp_path / "shard", spec())

    def interrupt(_: Progress) -> None:
        raise Interrupt

    # More batches than the queue and the threads around it hold, so that reading must wait in them.
    write(folder, {"000.txt": prose("changed", 2 * ingest.BATCH * 9)})
    try:
        with pytest.raises(Interrupt):
            ingest_folder(watched, folder, files, on_progress=interrupt)
        assert len(set(opened)) < 300
    finally:
        watched.close()


def test_a_parser_that_cannot_start_ends_the_run(store, folder, files):
    def broken() -> Parser:
        raise OSError(12, "Cannot allocate memory")

    ingestor = Ingestor(store, HashingEncoder(), chunker(), broken, files)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        ingestor.run(found(folder))


def test_a_store_that_lost_chunks_is_noticed(store, folder, files, tmp_path):
    class Forgetful(EdgeStore):
        def upsert(self, nodes, weights):
            super().upsert(nodes[1:], weights[1:])

    store.close()
    forgetful = Forgetful(tmp_path / "shard", spec())
    try:
        with pytest.raises(ApplicationError, match=r"the store holds \d+ passages of a\.txt"):
            ingest_folder(forgetful, folder, files)
        assert visible(forgetful) == {}
    finally:
        forgetful.close()


@pytest.mark.slow
def test_a_crash_before_any_write_is_finished_by_the_next_run(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "BATCH", 4)
    first = write(tmp_path / "first", {"a.txt": prose("a", 8), "b.txt": prose("b", 2)})
    second = write(
        tmp_path / "second",
        {"a.txt": prose("a longer name", 8), "b.txt": prose("b", 2), "c.txt": prose("c", 6)},
    )
    store = new_store(tmp_path / "expected")
    ingest_folder(store, first, tmp_path / "files")
    old = visible(store)
    ingest_folder(store, second, tmp_path / "files")
    new, length = visible(store), store.collection().average_length
    store.close()
    for write_number in range(60):
        path = tmp_path / f"shard{write_number}"
        store = new_store(path)
        ingest_folder(store, first, tmp_path / "files")
        store.close()
        fragile = FragileStore(path, spec()).crash_before(write_number)
        try:
            ingest_folder(fragile, second, tmp_path / "files")
        except Crash:
            for source, texts in visible(fragile).items():
                assert texts in (old.get(source), new[source])
        crashed = fragile.crashed
        fragile.close()
        store = EdgeStore(path, spec())
        report = ingest_folder(store, second, tmp_path / "files")
        assert report.failures == []
        assert visible(store) == new
        assert stored(store) == sum(len(texts) for texts in new.values())
        assert settled(store)
        assert store.collection().average_length == pytest.approx(length, rel=0.011)
        store.close()
        if not crashed:
            break
    assert write_number > 10


@pytest.mark.skipif(os.geteuid() == 0, reason="optional: root may read everything")
def test_a_folder_of_originals_that_cannot_be_written_fails_each_file(store, folder, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    report = ingest_folder(store, folder, locked / "files")
    assert counts(report) == (0, 0, 0, 3)
    assert "Permission denied" in report.failures[0].reason
