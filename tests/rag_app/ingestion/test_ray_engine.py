"""Documents over a real Ray on this machine, held against the local engine."""

import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import PrivateAttr

from data.discovery import Found
from data.parsing import Parser
from data.splitting import Splitter
from rag_app.errors import ApplicationError
from rag_app.ingestion import ray_engine as ingest_ray
from rag_app.ingestion.engine import Ingestor
from rag_app.ingestion.ray_cluster import Cluster, ClusterError, connected
from rag_app.ingestion.ray_engine import RayIngestor
from rag_app.ingestion.ray_stages import ROWS
from rag_app.results import IngestReport, OnProgress, Progress
from retrieval.encoders.base import Encoder
from retrieval.encoders.errors import EncoderError
from retrieval.encoders.minilm import MiniLMEmbedding
from retrieval.index.edge import EdgeStore, create_shard
from tests.conftest import REPOSITORY
from tests.encoders import HashingEncoder
from tests.rag_app.mortal import MortalEncoder
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

pytestmark = [
    pytest.mark.slow,
    # Ray 2.60 sets deprecated fields of its own configuration
    pytest.mark.filterwarnings("ignore:`use_.*` is deprecated:DeprecationWarning"),
]

TWO_PARSERS = Cluster(parsers=2)


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    """One Ray for all tests; its workers find the package `tests`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        patch.setenv("RAY_worker_niceness", "0")
        with connected(TWO_PARSERS):
            yield


class Recording(EdgeStore):
    """Keeps all that is written, vectors included, by chunk id."""

    _written: dict[str, Any] = PrivateAttr(default_factory=dict)

    def upsert(self, nodes, weights):
        for node, weight in zip(nodes, weights, strict=True):
            sparse = (list(weight.indices), list(weight.values))
            self._written[node.node_id] = (node.text, node.metadata, node.embedding, sparse)
        super().upsert(nodes, weights)


class Engine:
    """One of the two engines over a collection of its own."""

    def __init__(self, folder: Path, make: Callable[..., Any], encoder: Encoder) -> None:
        folder.mkdir()
        index = spec(encoder=encoder)
        create_shard(folder / "shard", index)
        self.store = Recording(folder / "shard", index)
        self.originals = folder / "originals"
        self._make, self._encoder = make, encoder

    def run(
        self,
        files: list[Found],
        on_progress: OnProgress | None = None,
        encoder: Encoder | None = None,
        cutter: Splitter | None = None,
    ) -> IngestReport:
        parts = (encoder or self._encoder, cutter or chunker(), Parser, self.originals)
        return self._make(self.store, *parts).run(files, on_progress)


@pytest.fixture
def engine(tmp_path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "ray", RayIngestor, HashingEncoder())
    yield engine
    engine.store.close()


@pytest.fixture
def both(tmp_path) -> Iterator[tuple[Engine, Engine]]:
    makers = {"ray": partial(RayIngestor, cluster=TWO_PARSERS), "local": Ingestor}
    engines = [Engine(tmp_path / name, makers[name], HashingEncoder()) for name in makers]
    yield engines[0], engines[1]
    for each in engines:
        each.store.close()


def documents(folder: Path) -> Path:
    """Files of several kinds, more chunks than one batch holds, and some that fail."""
    long = " ".join(f"word{n}" for n in range(100))
    lines = [{"_id": f"p{n}", "title": f"Über {n}", "text": prose(n, 2)} for n in range(400)]
    lines.insert(7, {"_id": "long", "title": "", "text": long})
    files = {f"{n:02}.txt": prose(n) for n in range(20)}
    files |= {
        "headed.md": f"# One\n\n{prose('one')}\n\n## Two\n\n{prose('two')}",
        "passages.jsonl": "\n".join(map(json.dumps, lines)),
        "empty.txt": " \n ",
        "false.pdf": "not a PDF",
    }
    return write(folder, files)


def test_both_engines_write_the_same_and_report_the_same(both, tmp_path):
    ray, local = both
    files = [*found(documents(tmp_path / "in")), Found(tmp_path / "gone.txt", "gone.txt")]
    news: list[Progress] = []
    reports = [told(ray.run(files, news.append)), told(local.run(files))]
    assert ray.store._written == local.store._written
    assert records(ray) == records(local)
    assert reports[0] == reports[1]
    assert reports[0]["documents"] == {
        "added": 22,
        "updated": 0,
        "unchanged": 0,
        "removed": 0,
        "failed": 3,
    }
    assert (reports[0]["passages"] > 2 * ROWS, reports[0]["truncated"]) == (True, 1)
    assert names(ray.originals) == names(local.originals)
    shares = [each.done for each in news]
    assert shares == sorted(shares)
    assert (shares[-1], news[-1].documents, news[-1].total_documents) == (1, 25, 25)

    write(tmp_path / "in", {"03.txt": prose("new"), "new.txt": prose("another")})
    files = found(tmp_path / "in")
    deaths = tmp_path / "deaths"
    encoder = MortalEncoder("Another", deaths)
    reports = [told(ray.run(files, encoder=encoder)), told(local.run(files))]
    assert len(names(deaths)) == 1, "a worker was killed, and its work done again"
    assert reports[0] == reports[1]
    assert reports[0]["documents"] == {
        "added": 1,
        "updated": 1,
        "unchanged": 21,
        "removed": 0,
        "failed": 2,
    }
    assert ray.store._written == local.store._written
    assert visible(ray.store) == visible(local.store)
    assert stored(ray.store) == stored(local.store)
    assert ray.store.collection().average_length == local.store.collection().average_length


def told(report: IngestReport) -> dict[str, Any]:
    """What a report says, but for the order of failures and the time it took."""
    failures = sorted(report.failures, key=lambda failure: failure.source)
    return replace(report, failures=failures, seconds=0).as_dict("c")


def records(engine: Engine) -> list[tuple[Any, ...]]:
    return [
        (each.source, each.live, each.passages, each.terms, each.size, each.failure, each.settled)
        for each in engine.store.records()
    ]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_unchanged_documents_need_no_cluster(tmp_path, monkeypatch):
    def refused(_: Cluster) -> None:
        raise ClusterError("not now")

    monkeypatch.setattr(ingest_ray, "connected", refused)
    folder = write(tmp_path / "in", {"a.txt": prose("a")})
    store = new_store(tmp_path / "shard")
    try:
        ingest_folder(store, folder, tmp_path / "files")
        ingestor = RayIngestor(store, HashingEncoder(), chunker(), Parser, tmp_path / "files")
        report = ingestor.run(found(folder))
        assert (report.unchanged, report.passages, report.failures) == (1, 0, [])
        write(folder, {"a.txt": prose("b")})
        with pytest.raises(ClusterError, match="not now"):
            ingestor.run(found(folder))
    finally:
        store.close()


def test_runs_that_fail_leave_documents_whole_and_the_next_finishes_them(
    engine, tmp_path, monkeypatch
):
    files = found(write(tmp_path / "in", {f"{n}.txt": prose(n, 40) for n in range(20)}))
    last = files[-1].source
    first_words = "".join(prose(last.removesuffix(".txt"), 40).split()[:1])
    with pytest.raises(EncoderError) as raised:
        engine.run(files, encoder=MortalEncoder(first_words, tmp_path / "errors", error=True))
    assert str(raised.value) == "the model is gone: it was lent. Buy one"
    seen = visible(engine.store)
    assert last not in seen
    monkeypatch.setattr(ingest_ray, "_RESTARTS", 1)
    with pytest.raises(ClusterError, match="finished documents are kept"):
        engine.run(files, encoder=MortalEncoder("", tmp_path / "deaths", most=100))
    assert 1 < len(names(tmp_path / "deaths")) < 100
    assert visible(engine.store) == seen
    report = engine.run(files)
    assert (report.added, report.unchanged, report.failures) == (20 - len(seen), len(seen), [])
    assert visible(engine.store).items() >= seen.items()
    assert stored(engine.store) == sum(map(len, visible(engine.store).values()))
    assert settled(engine.store)


def test_an_interrupted_run_frees_its_workers(engine, tmp_path):
    import ray

    def interrupt(progress: Progress) -> None:
        if progress.passages:
            raise ApplicationError("interrupted")

    files = found(write(tmp_path / "in", {f"{n}.txt": prose(n) for n in range(10)}))
    with pytest.raises(ApplicationError, match="interrupted"):
        engine.run(files, interrupt)
    gc.collect()  # what was raised holds frames that hold workers
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline, "workers are still held"
        time.sleep(0.1)


def minilm_tokens(encoder: MiniLMEmbedding, text: str) -> int:
    return encoder.count_tokens(text) - 2


def test_the_bundled_encoder_gives_the_same_vectors_on_a_worker(tmp_path):
    encoder = MiniLMEmbedding(tmp_path / "models", workers=1)
    cutter = Splitter(partial(minilm_tokens, encoder), 60, 10)
    files = found(write(tmp_path / "in", {f"{n}.txt": prose(n) for n in range(3)}))
    engines = [
        Engine(tmp_path / name, make, encoder)
        for name, make in (("local", Ingestor), ("ray", RayIngestor))
    ]
    for each in engines:
        each.run(files, cutter=cutter)
        each.store.close()
    local, ray = (each.store._written for each in engines)
    assert len(local) > 3
    assert ray == local
