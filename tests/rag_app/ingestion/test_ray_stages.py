from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.files import sha256
from data.parsing import Parser
from rag_app.errors import ApplicationError
from rag_app.ingestion.ray_stages import ROWS, Encode, Parse, passage
from rag_app.ingestion.reading import Begin, Document, DocumentReader, Failed, Originals
from retrieval.index.edge import EdgeStore
from retrieval.passages import indexed_text
from tests.encoders import HashingEncoder
from tests.rag_app.support import chunker, found, new_store, prose, write


@pytest.fixture
def store(tmp_path) -> EdgeStore:
    store = new_store(tmp_path / "shard")
    yield store
    store.close()


def documents(folder: Path) -> Any:
    """The files of a folder as input of `Parse`, numbered from 10."""
    rows = []
    for number, each in enumerate(found(folder), 10):
        content, size = sha256(each.path), each.path.stat().st_size
        document = Document(each.source, content, size, each.path.suffix)
        rows.append({"document": number, "path": str(each.path), **asdict(document)})
    return pa.Table.from_pylist(rows)


def parsed(folder: Path, fingerprint: str = "f") -> list[Any]:
    with Parser() as parser:
        return list(Parse(chunker(), lambda: parser, fingerprint)(documents(folder)))


def test_parsing_gives_what_the_local_engine_cuts(store, tmp_path):
    files = {"a.md": f"# Über\n\n{prose('a')}", "b.txt": " ", "c.txt": prose("c"), "d.pdf": "no"}
    folder = write(tmp_path / "in", files)
    rows = [row for table in parsed(folder, store.spec.fingerprint) for row in table.to_pylist()]
    assert [row["document"] for row in rows] == sorted(row["document"] for row in rows)
    with Parser() as parser:
        intake = DocumentReader(store, chunker(), parser, Originals(tmp_path / "files"))
        items = [item for item in intake.items(found(folder)) if not isinstance(item, Begin)]
    for row, item in zip(rows, items, strict=True):
        if row["failure"] is None:
            assert passage(row).to_dict() == item.to_dict()
        else:
            assert row["failure"] == (item.reason if isinstance(item, Failed) else "")
    assert sum(row["failure"] is not None for row in rows) == 4


def test_a_long_document_comes_in_pieces(tmp_path):
    tables = parsed(write(tmp_path, {"long.txt": prose("long", 5 * ROWS)}))
    assert len(tables) > 2
    assert [len(table) for table in tables[:-1]] == [ROWS] * (len(tables) - 1)


def test_a_worker_that_cannot_see_the_originals_says_so(tmp_path):
    table = documents(write(tmp_path, {"a.txt": prose("a")}))
    (tmp_path / "a.txt").unlink()
    with pytest.raises(ApplicationError, match=r"cannot see .*a\.txt.*every node shares"):
        next(Parse(chunker(), Parser, "f")(table))


def test_encoding_adds_vectors_to_chunks_alone(tmp_path):
    long = " ".join(f"w{n}" for n in range(100))
    files = {"a.md": f"# Title\n\n{prose('a')}", "b.jsonl": f'{{"_id": "1", "text": "{long}"}}'}
    (table,) = parsed(write(tmp_path, files))
    encoder = HashingEncoder()
    encoded = Encode(encoder)(table)
    assert encoded.drop_columns(["vector", "truncated"]) == table
    rows = encoded.to_pylist()
    assert sum(row["truncated"] for row in rows) == 1
    for row in rows:
        expected = np.zeros(encoder.dimension, np.float32)
        if row["failure"] is None:
            (expected,) = encoder.encode_passages([indexed_text(passage(row))]).vectors
        assert np.array_equal(np.array(row["vector"], np.float32), expected)


def test_a_table_without_chunks_is_not_given_to_the_encoder(tmp_path):
    (table,) = parsed(write(tmp_path, {"a.txt": " ", "b.txt": " "}))
    encoder = HashingEncoder(fail_at=0)
    assert len(Encode(encoder)(table)) == 2
    assert encoder.encoded == []
