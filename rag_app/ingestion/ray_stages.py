"""What an ingestion does on the workers of a Ray cluster: parse and cut, then encode.

Both stages are callable classes for `ray.data.Dataset.map_batches`, made once a worker. Between
them, and back, go Arrow tables, one row a passage:

=========  ==============================================================================
document   number of the document in the run, from 0
id, text   of the passage
metadata   of the passage, as JSON
failure    null; but every document ends with a row that is no passage: "" where it was read
           whole, else why it was not
warnings   of that last row: what was not read or was guessed, as JSON [[reason, page], ...]
vector     float32 [dimension], added by `Encode`; zeros where there is no passage
truncated  added by `Encode`: passages of this table that were cut, counted in its first row
=========  ==============================================================================
"""

import socket
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import orjson
from llama_index.core.schema import TextNode

from data.errors import DataError
from data.parsing import Parser
from data.splitting import Splitter
from rag_app.errors import ApplicationError
from rag_app.ingestion.reading import (
    Document,
    DocumentReader,
    Failed,
    Finish,
    Item,
    Originals,
    reason,
)
from retrieval.encoders.base import Encoder
from retrieval.index.base import PassageStore
from retrieval.passages import indexed_text, node

ROWS = 256
"""Passages that are handed on and encoded at once."""

Table = Any
"""A `pyarrow.Table`; pyarrow comes with Ray, which is an extra."""


class Parse:
    """Reads and cuts documents."""

    def __init__(self, chunker: Splitter, parser: Callable[[], Parser], fingerprint: str) -> None:
        store = SimpleNamespace(spec=SimpleNamespace(fingerprint=fingerprint))
        self._cutter = _Cutter(cast("PassageStore", store), chunker, parser(), Originals(Path()))

    def __call__(self, documents: Table) -> Iterator[Table]:
        """Tables of up to `ROWS` rows for a table of `document`, `path` and `Document`'s
        `source`, `hash`, `size` and `suffix`; documents in the given order, passages in their own.

        Raises:
            ApplicationError: an original cannot be seen from this worker.
        """
        rows = (row for document in documents.to_pylist() for row in self._rows(**document))
        while some := list(islice(rows, ROWS)):
            yield _table(some)

    def _rows(self, document: int, path: str, **fields: Any) -> Iterator[dict[str, Any]]:
        for item in self._cutter.cut(Document(**fields), Path(path)):
            row: dict[str, Any] = {"document": document}
            if isinstance(item, TextNode):
                metadata = orjson.dumps(item.metadata).decode()
                yield row | {"id": item.node_id, "text": item.text, "metadata": metadata}
            else:
                warnings = item.warnings if isinstance(item, Finish) else ()
                yield row | {
                    "failure": item.reason if isinstance(item, Failed) else "",
                    "warnings": orjson.dumps([[w.reason, w.page] for w in warnings]).decode(),
                }


class _Cutter(DocumentReader):
    """The second half of reading: the file is known to be new, and its original kept."""

    def cut(self, document: Document, original: Path) -> Iterator[Item]:
        if not original.is_file():
            raise ApplicationError(
                f"worker {socket.gethostname()} cannot see {original}",
                cause="the storage folder is not on a file system that every node shares",
                hint="Mount it at the same path on all nodes, or use --engine local",
            )
        try:
            yield from self._passages(document, original)
        except (OSError, DataError) as error:
            yield Failed(document, reason(error))


class Encode:
    """Adds vectors to a table of passages.

    Args:
        encoder: used by this worker alone.

    Raises:
        EncoderError: the encoder failed.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def __call__(self, passages: Table) -> Table:
        """The same rows with `vector` and `truncated`."""
        import pyarrow as pa

        rows = passages.to_pylist()
        nodes = [passage(row) for row in rows if row["failure"] is None]
        dimension, truncated = self._encoder.dimension, 0
        vectors = np.zeros((len(rows), dimension), np.float32)
        if nodes:
            encoded = self._encoder.encode_passages([indexed_text(node) for node in nodes])
            vectors[[row["failure"] is None for row in rows]] = encoded.vectors
            truncated = encoded.truncated
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension)
        counted = pa.array([truncated] + [0] * (len(rows) - 1), pa.int64())
        return passages.append_column("vector", column).append_column("truncated", counted)


def passage(row: dict[str, Any]) -> TextNode:
    """The passage in a row, as it was cut."""
    return node(row["id"], row["text"], orjson.loads(row["metadata"]))


def _table(rows: list[dict[str, Any]]) -> Table:
    import pyarrow as pa

    text = pa.string()
    types = {"document": pa.int64()} | dict.fromkeys(
        ("id", "text", "metadata", "failure", "warnings"), text
    )
    return pa.Table.from_pylist(rows, pa.schema(types))
