"""Ingestion on a cluster: Ray workers parse, cut and encode, this process decides and writes.

The result is that of `rag_app.ingestion.engine`, passage by passage and vector by vector. Blocks
come back in the order of the documents and are written as they come, so neither memory nor the
workers' object stores ever hold more than a part. What a crash interrupts is encoded again by the
next run, with the same ids.
"""

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from data.blocks import LoadWarning
from data.discovery import Found
from data.parsing import Parser
from data.splitting import Splitter
from rag_app.errors import ApplicationError
from rag_app.ingestion.batches import Batch
from rag_app.ingestion.engine import AwaitReaders, Ingestor
from rag_app.ingestion.ray_cluster import Cluster, connected, explained
from rag_app.ingestion.ray_stages import ROWS, Encode, Parse, Table, passage
from rag_app.ingestion.reading import (
    Begin,
    Document,
    DocumentReader,
    Failed,
    Finish,
    Item,
    Originals,
)
from rag_app.results import IngestReport, OnProgress
from retrieval.encoders.base import Encoder
from retrieval.index.base import PassageStore

if TYPE_CHECKING:
    from ray.data import Dataset

_GROUP_FILES = 64
_GROUP_BYTES = 4 * 1024 * 1024
"""Documents that one call of a parser reads; big ones have their own."""
_BLOCK_BYTES = 256 * 1024
"""Passages are handed on once there is as much, about `ROWS` of them, so that no encoder waits
while another has more than it can do."""
_RESTARTS = 3
"""A worker that died is started again, but not for ever: its task may be what kills it. Tasks are
not counted: a worker whose machine is lost is asked in vain some times before that is noticed."""


class RayIngestor(Ingestor):
    """Ingests documents into one index of a collection.

    Every node needs this package, the files of the encoder's model, and the folder of originals at
    the same path.

    Args:
        encoder: copied to every actor, so it must be made of plain arguments.
    """

    def __init__(
        self,
        store: PassageStore,
        encoder: Encoder,
        chunker: Splitter,
        parser: Callable[[], Parser],
        originals: Path,
        await_readers: AwaitReaders = lambda: None,
        cluster: Cluster | None = None,
    ) -> None:
        super().__init__(store, encoder, chunker, parser, originals, await_readers)
        self._cluster = cluster or Cluster()

    def run(self, files: Sequence[Found], on_progress: OnProgress | None = None) -> IngestReport:
        """See `Ingestor.run`.

        Raises:
            RetrievalError: the encoder or the store failed; running again goes on from there.
            ClusterError: Ray is not installed, cannot be reached, or lost its workers.
            ApplicationError: the store does not hold what was written to it, or a worker cannot
                see the originals.
        """
        return super().run(files, on_progress)

    def _batches(self, files: Sequence[Found]) -> Generator[Batch, None, None]:
        """What needs no worker comes first, the passages of changed documents after it."""
        changed: list[Document] = []
        documents = _Triage(self._store, self._chunker, self._parser(), self._originals)
        for item in documents.items(files):
            if isinstance(item, Finish):
                changed.append(item.document)
            yield Batch([] if isinstance(item, Begin | Finish) else [item])
        if changed:
            with connected(self._cluster), closing(self._encoded(changed)) as blocks:
                yield from _in_documents(changed, blocks)

    def _encoded(self, documents: Sequence[Document]) -> Generator[Table, None, None]:
        """The tables of `ray_stages`, in order, while later ones are being made."""
        from ray.data import from_arrow
        from ray.data.exceptions import ExecutionTimeoutError
        from ray.exceptions import RayError

        data = from_arrow(_groups(documents, self._originals, self._cluster.parsers))
        data.context.execution_options.preserve_order = True
        data.context.target_max_block_size = _BLOCK_BYTES
        data.context.raise_original_map_exception = True
        data.context.enable_progress_bars = False
        try:
            yield from self._stages(data).iter_batches(batch_size=ROWS, batch_format="pyarrow")
        except (RayError, ExecutionTimeoutError) as error:
            raise explained(error) from error

    def _stages(self, documents: "Dataset") -> "Dataset":
        from ray.data import ActorPoolStrategy

        cluster = self._cluster
        passages = documents.map_batches(
            Parse,
            fn_constructor_args=(self._chunker, self._parser, self._store.spec.fingerprint),
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=cluster.parsers, max_concurrent_calls_per_actor=1),
            num_cpus=1,
            max_restarts=_RESTARTS,
        )
        return passages.map_batches(
            Encode,
            fn_constructor_args=(self._encoder,),
            batch_size=ROWS,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=cluster.actors),
            num_cpus=cluster.cpus_per_actor,
            num_gpus=cluster.gpus_per_actor,
            max_restarts=_RESTARTS,
        )


class _Triage(DocumentReader):
    """Says of every file what the local engine would, but leaves reading it to others."""

    def _content(self, document: Document, original: Path) -> Iterator[Item]:  # noqa: ARG002
        yield Finish(document)


def _groups(documents: Sequence[Document], originals: Originals, parsers: int) -> list[Table]:
    """The documents as input of `Parse`: a table is what one worker reads in one go."""
    import pyarrow as pa

    most = min(_GROUP_FILES, math.ceil(len(documents) / (4 * parsers)))
    groups: list[list[dict[str, Any]]] = []
    room = files = 0
    for number, document in enumerate(documents):
        if not groups or files == most or room < document.size:
            groups.append([])
            room, files = _GROUP_BYTES, 0
        path = originals.path(document.hash, document.suffix).absolute()
        groups[-1].append({"document": number, "path": str(path), **asdict(document)})
        room, files = room - document.size, files + 1
    return [pa.Table.from_pylist(group) for group in groups]


def _in_documents(documents: Sequence[Document], blocks: Iterable[Table]) -> Iterator[Batch]:
    """The rows of the blocks as items of the documents.

    Raises:
        ApplicationError: the cluster did not give every document back.
    """
    at, whole = -1, 0
    for block in blocks:
        items: list[Item] = []
        vectors = block["vector"].combine_chunks().flatten().to_numpy().reshape(len(block), -1)
        rows = block.drop_columns(["vector"]).to_pylist()
        for row, vector in zip(rows, vectors, strict=True):
            document = documents[row["document"]]
            if row["document"] != at:
                at = row["document"]
                items.append(Begin(document))
            if row["failure"] is None:
                node = passage(row)
                node.embedding = vector.tolist()
                items.append(node)
                continue
            warnings = tuple(LoadWarning(*pair) for pair in orjson.loads(row["warnings"]))
            failure = row["failure"]
            items.append(Failed(document, failure) if failure else Finish(document, warnings))
            whole += 1
        yield Batch(items, truncated=sum(row["truncated"] for row in rows))
    if whole != len(documents):
        raise ApplicationError(
            f"the Ray cluster gave {whole} of {len(documents)} documents back",
            hint="Ingest again: finished documents are kept",
        )
