"""What the application's tests share: small documents, and looks at what a store shows."""

import random
from collections.abc import Mapping
from pathlib import Path

from data.discovery import Found, discover
from data.parsing import Parser
from data.splitting import Splitter
from rag_app.ingestion.engine import Ingestor
from rag_app.results import IngestReport, OnProgress
from retrieval.analysis import Analyzer
from retrieval.bm25 import BM25
from retrieval.encoders.base import Encoder
from retrieval.index.base import PassageStore
from retrieval.index.edge import EdgeStore, create_shard
from retrieval.index.fingerprint import IndexSpec
from tests.encoders import HashingEncoder

TOKENS, OVERLAP = 24, 6
_WORDS = [
    "harbour", "lantern", "willow", "granite", "signal", "orchard", "copper", "meadow", "turbine",
    "valley", "anchor", "thunder", "mirror", "saddle", "velvet", "ember", "glacier", "parcel",
]  # fmt: skip


def prose(seed: object, sentences: int = 12) -> str:
    """Sentences of common words, different for every seed."""
    draw = random.Random(str(seed))  # noqa: S311
    lines = [
        f"{seed} {' '.join(draw.choices(_WORDS, k=draw.randint(4, 11)))}." for _ in range(sentences)
    ]
    return " ".join(line[0].upper() + line[1:] for line in lines)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write text files by name."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def found(folder: Path) -> list[Found]:
    return list(discover([folder]).files)


def chunker(tokens: int = TOKENS, overlap: int = OVERLAP) -> Splitter:
    return Splitter(lambda text: len(text.split()), tokens, overlap)


def twin(name: str) -> HashingEncoder:
    """An encoder of a row of its own."""
    encoder = HashingEncoder(name=f"tests/{name}")
    encoder.row = encoder.row.model_copy(update={"name": name})
    return encoder


def spec(cutter: Splitter | None = None, encoder: Encoder | None = None) -> IndexSpec:
    encoder = encoder or HashingEncoder()
    cutter = cutter or chunker()
    return IndexSpec(
        encoder.dimension, encoder.identity, cutter.identity, BM25(Analyzer("english"))
    )


def new_store(folder: Path) -> EdgeStore:
    create_shard(folder, spec())
    return EdgeStore(folder, spec())


def ingest_folder(
    store: PassageStore,
    folder: Path,
    originals: Path,
    encoder: Encoder | None = None,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Ingest all files of a folder."""
    ingestor = Ingestor(store, encoder or HashingEncoder(), chunker(), Parser, originals)
    return ingestor.run(found(folder), on_progress)


def visible(store: PassageStore) -> dict[str, list[str]]:
    """The texts that searches can see, by source, in the order of the document."""
    shown = sorted(
        (node.metadata["source"], node.metadata["index"], node.text)
        for batch in store.passages()
        for node in batch
    )
    return {
        source: [text for other, _, text in shown if other == source]
        for source in sorted({source for source, _, _ in shown})
    }


def stored(store: PassageStore) -> int:
    """How many chunks lie in the store, hidden ones included."""
    versions = {
        version
        for record in store.records()
        for version in (record.version, *record.hidden)
        if version
    }
    return sum(store.count(version) for version in versions)


def settled(store: PassageStore) -> bool:
    return all(record.settled for record in store.records())
