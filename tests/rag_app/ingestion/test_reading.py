import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from llama_index.core.schema import TextNode

from data.blocks import Table
from data.discovery import Found
from data.errors import UnreadableFile
from data.limits import Limits
from data.parsing import Parser
from data.splitting import Passage, Splitter
from data.tables import table_block
from rag_app.ingestion import reading
from rag_app.ingestion.reading import (
    Begin,
    Document,
    DocumentReader,
    Failed,
    Finish,
    Originals,
    Unchanged,
    bounded,
    sha256,
)
from retrieval.index.base import PassageStore
from retrieval.index.records import DocumentRecord
from tests.rag_app.support import chunker, found, new_store, prose, write


@pytest.fixture
def store(tmp_path) -> Iterator[PassageStore]:
    store = new_store(tmp_path / "shard")
    yield store
    store.close()


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as parser:
        yield parser


@pytest.fixture
def originals(tmp_path) -> Originals:
    return Originals(tmp_path / "originals")


@pytest.fixture
def intake(store, parser, originals) -> DocumentReader:
    return DocumentReader(store, chunker(), parser, originals)


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "in", {"a.txt": prose("a")})


def kinds(items) -> list[type]:
    return [type(item) for item in items]


def test_a_new_file_is_begun_chunked_and_finished(intake, folder, originals):
    begin, *chunks, finish = intake.items(found(folder))
    assert isinstance(begin, Begin)
    assert isinstance(finish, Finish)
    assert begin.document == finish.document
    assert set(kinds(chunks)) == {TextNode}
    text = (folder / "a.txt").read_text()
    assert [chunk.metadata["index"] for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        place = slice(chunk.metadata["char_start"], chunk.metadata["char_end"])
        assert chunk.text == text[place]
        assert chunk.metadata["version"] == begin.document.version
    document = begin.document
    assert (document.source, document.size, document.suffix) == ("a.txt", len(text), ".txt")
    assert document.hash == sha256(folder / "a.txt")
    assert originals.path(document.hash, ".txt").read_text() == text


def test_a_chunk_keeps_its_identity_while_the_content_is_the_same(intake, folder):
    def passage_ids() -> list[str]:
        items = intake.items(found(folder))
        return [item.node_id for item in items if isinstance(item, TextNode)]

    first = passage_ids()
    assert passage_ids() == first
    assert len(set(first)) == len(first)
    (folder / "a.txt").write_text(prose("a") + " More.")
    assert not set(passage_ids()) & set(first)
    shutil.copy(folder / "a.txt", folder / "b.txt")
    ids = passage_ids()
    assert len(set(ids)) == len(ids), "the same content under two names is two documents"


@pytest.mark.parametrize("interrupted", [{}, {"pending": "p"}, {"retired": "r"}, {"failure": "f"}])
def test_a_file_whose_content_is_live_is_unchanged_whatever_was_tried_meanwhile(
    intake, store, folder, interrupted, originals
):
    content = sha256(folder / "a.txt")
    store.put_record(DocumentRecord("a.txt", live=content, suffix=".txt", **interrupted))
    assert kinds(intake.items(found(folder))) == [Unchanged]
    assert originals.path(content, ".txt").is_file(), "a lost original comes back"


def test_a_file_that_is_half_written_to_the_store_is_begun_again(intake, store, folder):
    store.put_record(DocumentRecord("a.txt", pending=sha256(folder / "a.txt")))
    assert kinds(intake.items(found(folder)))[0] is Begin


def only(items) -> Failed:
    *before, failed = items
    assert isinstance(failed, Failed)
    assert set(kinds(before)) <= {Begin, TextNode}
    return failed


def test_a_file_that_vanished_fails_with_its_reason(intake, folder):
    files = found(folder)
    (folder / "a.txt").unlink()
    failed = only(intake.items(files))
    assert (failed.document.source, failed.document.hash) == ("a.txt", "")
    assert failed.reason == "not readable: No such file or directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="optional: root may read everything")
def test_a_file_without_permission_fails_with_its_reason(intake, folder):
    (folder / "a.txt").chmod(0)
    assert "Permission denied" in only(intake.items(found(folder))).reason


def test_a_pipe_is_refused_rather_than_waited_for(intake, tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    failed = only(intake.items([Found(tmp_path / "pipe.txt", "pipe.txt")]))
    assert failed.reason == "it is not a regular file"


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("empty.txt", "", "empty"),
        ("blank.txt", " \n\n ", "empty"),
        ("video.mp4", "frames", ".mp4"),
        ("fake.pdf", "no PDF at all", "plain text"),
        ("none.jsonl", '{"_id": "1", "text": ""}', "holds no text"),
        ("rules.txt", "-=* ***\n" * 900, "holds no letter and no digit"),
        ("bad.jsonl", '{"_id": "1", "text": "good"}\n{"_id": ', "line 2"),
    ],
)
def test_files_that_cannot_be_read_fail_with_a_reason_that_does_not_repeat_the_name(
    intake, tmp_path, name, text, part
):
    (tmp_path / name).write_text(text)
    failed = only(intake.items([Found(tmp_path / name, name)]))
    assert part.lower() in failed.reason.lower()
    assert name not in failed.reason


def test_passages_without_letters_and_digits_are_left_out_with_a_warning(intake, tmp_path):
    write(tmp_path / "in", {"a.txt": f"Begin.\n\n{'-=* ' * 900}\n\nEnd."})
    _, *passages, finish = intake.items(found(tmp_path / "in"))
    assert [node.metadata["index"] for node in passages] == list(range(len(passages)))
    assert "Begin." in passages[0].text and "End." in passages[-1].text
    (warning,) = finish.warnings
    assert warning.reason.endswith("left out: no letter and no digit")


def test_a_failed_file_does_not_stop_the_next(intake, folder):
    write(folder, {"0.pdf": "not a PDF"})
    assert kinds(intake.items(found(folder)))[:3] == [Begin, Failed, Begin]


def test_a_file_that_changes_while_it_is_copied_fails(originals, folder):
    document = Document("a.txt", "0" * 64, 1, ".txt")
    with pytest.raises(Exception, match=r"a\.txt changed while it was read"):
        originals.keep(folder / "a.txt", document)
    assert list(originals.folder.iterdir()) == []


def test_a_full_disk_fails_the_file_and_leaves_no_half_copy(intake, folder, originals, monkeypatch):
    def full(_source, target):
        Path(target).write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    assert "No space left" in only(intake.items(found(folder))).reason
    assert list(originals.folder.iterdir()) == []


def test_an_original_is_copied_once(originals, folder):
    document = Document("a.txt", sha256(folder / "a.txt"), 1, ".txt")
    kept = originals.keep(folder / "a.txt", document)
    first = kept.stat().st_ino
    (folder / "a.txt").write_text("other content")
    assert originals.keep(folder / "a.txt", document) == kept
    assert kept.stat().st_ino == first


def test_what_no_document_needs_is_forgotten(originals, folder):
    originals.forget_all_but(set())
    kept = originals.keep(folder / "a.txt", Document("a.txt", sha256(folder / "a.txt"), 1, ".txt"))
    (originals.folder / ".half.txt.part").write_text("a crash left this")
    (originals.folder / "stranger.txt").write_text("and this")
    originals.forget_all_but({kept})
    assert list(originals.folder.iterdir()) == [kept]


def parts(texts: Iterable[str], work: int = 0) -> Iterator[Passage]:
    for index, text in enumerate(texts):
        sum(range(work))
        yield Passage(text, index, None, 0, len(text))


def test_splitting_has_the_time_that_parsing_has():
    document, slow = Document("a.txt", "", 100, ".txt"), parts(["a"] * 10_000, work=10**6)
    with pytest.raises(UnreadableFile, match="splitting it took longer"):
        list(bounded(lambda _: slow, document, Limits(seconds=0.05, seconds_per_mib=0.001)))


def test_splitting_ends_within_a_row_that_has_no_end():
    size = 10**5
    row = table_block(Table((("a",) * size, ("b",) * size)))
    document = Document("a.csv", "", 100, ".csv")
    counted = 0

    def count_tokens(text: str) -> int:
        nonlocal counted
        counted += 1
        return len(text)

    split = partial(Splitter(count_tokens, 20, 0).split, [row])
    with pytest.raises(UnreadableFile, match="splitting it took longer"):
        list(bounded(split, document, Limits(seconds=0.05, seconds_per_mib=0.001)))
    assert counted < size


def test_encoding_has_a_time_limit_of_its_own(monkeypatch):
    document, limits = Document("a.txt", "", 100, ".txt"), Limits(encode_seconds=25)
    clock = count(0, 10)
    ten_seconds_a_look = SimpleNamespace(monotonic=clock.__next__, thread_time=time.thread_time)
    monkeypatch.setattr(reading, "time", ten_seconds_a_look)
    taken = []
    with pytest.raises(UnreadableFile, match=r"encoding .* longer than 25.* limits.encode_seconds"):
        taken.extend(bounded(lambda _: parts(["a"] * 9), document, limits))
    assert len(taken) == 3


def test_passages_repeat_no_more_than_the_text_itself():
    document, limits = Document("a.txt", "", 10, ".txt"), Limits(max_characters=1000)
    assert len(list(bounded(lambda _: parts(["a" * 500] * 4), document, limits))) == 4
    with pytest.raises(UnreadableFile, match="its passages hold more than 2,000 characters"):
        list(bounded(lambda _: parts(["a" * 500] * 5), document, limits))
