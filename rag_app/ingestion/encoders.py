"""The encoders in use, and what indexes documents with each."""

import threading
from collections.abc import Callable
from pathlib import Path

from data.splitting import Splitter
from rag_app.ingestion.engine import AwaitReaders, Ingestor
from retrieval.bm25 import BM25
from retrieval.encoders.base import Encoder
from retrieval.index.base import PassageStore
from retrieval.index.fingerprint import IndexSpec


class Encoders:
    """Every encoder that is asked for, made once; they are closed together.

    Args:
        ingestor: makes what ingests documents with an encoder into a store, given the folder of the
            originals and what waits for searches to end (`DocumentWriter`).
    """

    def __init__(
        self,
        make: Callable[[str], Encoder],
        default: str,
        splitter: Splitter,
        bm25: BM25,
        ingestor: Callable[[Encoder, PassageStore, Path, AwaitReaders], Ingestor],
    ) -> None:
        self._make, self._default = make, default
        self._splitter, self._bm25 = splitter, bm25
        self.ingestor = ingestor
        self._made: dict[str, Encoder] = {}
        self._specs: dict[str, IndexSpec] = {}
        self._making = threading.Lock()

    def get(self, name: str | None = None) -> Encoder:
        """The encoder of that name; None means the settings' own."""
        name = name or self._default
        with self._making:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def spec(self, encoder: Encoder) -> IndexSpec:
        """What indexes of an encoder are built with."""
        name = encoder.row.name
        if name not in self._specs:
            self._specs[name] = IndexSpec(
                encoder.dimension, encoder.identity, self._splitter.identity, self._bm25
            )
        return self._specs[name]

    def close(self) -> None:
        """Close all encoders."""
        for encoder in self._made.values():
            encoder.close()
