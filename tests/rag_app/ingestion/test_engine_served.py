"""Documents ingested by an encoder behind a server that goes away and comes back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.parsing import Parser
from rag_app.ingestion import engine as ingest
from retrieval.encoders.errors import EncoderUnavailableError
from retrieval.encoders.registry import EncoderRow
from retrieval.encoders.remote.served import ServedEncoder
from retrieval.index.edge import EdgeStore, create_shard
from retrieval.retriever import DenseRetriever
from tests.embeddings_server import DIMENSION, EmbeddingsServer, embeddings_server
from tests.rag_app.support import (
    chunker,
    found,
    ingest_folder,
    prose,
    settled,
    spec,
    stored,
    visible,
    write,
)

__all__ = ["embeddings_server"]

ROW = EncoderRow(
    name="pairs",
    model_id="tests/pairs",
    dimension=DIMENSION,
    pooling="mean",
    causal=True,
    licence="Apache-2.0",
)


@pytest.fixture
def server(embeddings_server: EmbeddingsServer) -> EmbeddingsServer:
    embeddings_server.reset()
    return embeddings_server.start()


@pytest.fixture
def encoder(server: EmbeddingsServer) -> Iterator[ServedEncoder]:
    encoder = ServedEncoder(ROW, server.url, attempts=2)
    yield encoder
    encoder.close()


@pytest.fixture
def store(tmp_path: Path, encoder: ServedEncoder) -> Iterator[EdgeStore]:
    create_shard(tmp_path / "shard", spec(encoder=encoder))
    store = EdgeStore(tmp_path / "shard", spec(encoder=encoder))
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents of several batches each."""
    monkeypatch.setattr(ingest, "BATCH", 2)
    return write(tmp_path / "in", {f"{name}.txt": prose(name) for name in "abcd"})


def whole(folder: Path) -> dict[str, list[str]]:
    """What searches see of documents that are ingested."""
    with Parser() as parser:
        return {
            each.source: [chunk.text for chunk in chunker().split(parser.parse(each.path))]
            for each in found(folder)
        }


def test_a_server_that_goes_away_leaves_whole_documents_and_the_next_run_ends_the_work(
    server, encoder, store, folder, tmp_path
):
    expected = whole(folder)
    server.stop_after = sum(map(len, expected.values())) // 4  # batches of two: in the middle
    with pytest.raises(EncoderUnavailableError, match=f"{server.url} does not answer") as raised:
        ingest_folder(store, folder, tmp_path / "originals", encoder)
    assert "can be repeated" in raised.value.hint

    assert 0 < stored(store) < sum(map(len, expected.values()))
    shown = visible(store)
    assert 0 < len(shown) < len(expected)
    assert shown == {source: expected[source] for source in shown}
    written = stored(store)

    server.reset()
    server.start()
    seen = [text for texts in shown.values() for text in texts]
    hits = asyncio.run(DenseRetriever(store, encoder, 1000).aretrieve("harbour lantern"))
    assert {hit.text for hit in hits} == set(seen)

    server.requests.clear()
    report = ingest_folder(store, folder, tmp_path / "originals", encoder)
    assert report.passages == len(server.inputs), "no stored chunk is encoded again"
    assert written + report.passages == stored(store)
    assert visible(store) == expected
    assert settled(store)


def test_while_the_server_is_away_searches_find_the_old_version(
    server, encoder, store, folder, tmp_path
):
    ingest_folder(store, folder, tmp_path / "originals", encoder)
    before = whole(folder)
    write(folder, {"a.txt": prose("changed")})
    server.stop_after = len(server.requests) + 1
    with pytest.raises(EncoderUnavailableError):
        ingest_folder(store, folder, tmp_path / "originals", encoder)
    assert visible(store) == before
    server.reset()
    server.start()
    assert ingest_folder(store, folder, tmp_path / "originals", encoder).updated == 1
    assert visible(store) == whole(folder) != before
    assert settled(store)


def test_a_moment_of_trouble_is_not_noticed(server, encoder, store, folder, tmp_path):
    server.failures = [503]
    report = ingest_folder(store, folder, tmp_path / "originals", encoder)
    assert report.added == 4
    assert visible(store) == whole(folder)
