"""The bundled encoder: all-MiniLM-L6-v2 on onnxruntime, without torch, network or download."""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr

from data.telemetry import silence_onnxruntime
from retrieval.encoders.base import Encoded, Identity, PortableEncoder, fill, refuse_empty
from retrieval.encoders.minilm_graph import (
    GRAPH_VERSION,
    PRECISIONS,
    TOKENIZER_SHA256,
    Precision,
    cached_graph,
    model_folder,
    verified,
)
from retrieval.encoders.registry import EncoderRow, built_in

_log = logging.getLogger(__name__)

_LONGEST = 512  # rows of the model's position table
_SHORTEST = 3  # [CLS], a token, [SEP]
_SHORT = 500  # characters of a text whose tokens are found in 0.1 ms
_BATCH = 128  # passages per call of LlamaIndex; big enough that no worker waits at its end


class MiniLMEmbedding(PortableEncoder):
    """all-MiniLM-L6-v2, 384 dimensions, on the processor.

    Each run of the network holds one text, on one thread, so a vector cannot depend on the other
    texts of a call, no token is padding, and every worker runs its own passages. Encoders may be
    shared by threads. The network is opened at the first use.

    Args:
        cache_dir: folder that keeps the built graph (57 MB int8, 90 MB fp32).
        precision: "int8" (2.3 times the speed; mean cosine with fp32 0.998) or "fp32".
        workers: threads that encode passages; 0 takes one per core this process may use.
        max_length: tokens kept of a text, with [CLS] and [SEP]; the model was trained with 256.
        model_dir: the folder of model.safetensors and tokenizer.json, if not the bundled one.
        row: a model that was trained from MiniLM; its revision is the digest of its weights.

    Raises:
        ValueError: an argument out of its range, with the allowed values.
    """

    cache_dir: Path
    precision: Precision
    workers: int
    max_length: int
    model_dir: Path | None

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _session: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)
    _pool: ThreadPoolExecutor | None = PrivateAttr(default=None)

    def __init__(
        self,
        cache_dir: Path,
        precision: Precision = "int8",
        workers: int = 0,
        max_length: int = 256,
        model_dir: Path | None = None,
        row: EncoderRow | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}; allowed: {', '.join(PRECISIONS)}")
        if workers < 0:
            raise ValueError(f"workers is {workers}; allowed: 0 (one per core) or more")
        if not _SHORTEST <= max_length <= _LONGEST:
            raise ValueError(f"max_length is {max_length}; allowed: {_SHORTEST} to {_LONGEST}")
        row = row or built_in()["minilm"]
        super().__init__(
            model_name=row.model_id,
            embed_batch_size=_BATCH,
            row=row,
            cache_dir=Path(cache_dir),
            precision=precision,
            workers=workers or len(os.sched_getaffinity(0)),
            max_length=max_length,
            model_dir=model_dir,
        )
        self._arguments = {
            "cache_dir": self.cache_dir, "precision": precision, "workers": self.workers,
            "max_length": max_length, "model_dir": self.model_dir, "row": row,
        }  # fmt: skip

    @property
    def identity(self) -> Identity:
        """Everything that changes vectors."""
        return {
            "encoder": self.row.name,
            "model": self.row.model_id,
            "revision": self.row.revision,
            "tokenizer": f"sha256:{TOKENIZER_SHA256}",
            "dimension": self.row.dimension,
            "query_template": self.row.query_template,
            "document_template": self.row.document_template,
            "pooling": self.row.pooling,
            "normalise": self.row.normalise,
            "max_length": self.max_length,
            "precision": self.precision,
            "graph": GRAPH_VERSION,
        }

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` with [CLS] and [SEP], before truncation."""
        filled = fill(self.row.document_template, text)
        return len(self._open_tokenizer().encode(filled).ids)

    def encode_passages(self, texts: Sequence[str]) -> Encoded:
        """Encode passages on the worker threads; see `Encoder.encode_passages`.

        Longer texts start first, so that the workers end together. Calls from several threads share
        the workers.
        """
        refuse_empty(texts)
        count = len(texts)
        out = Encoded(np.empty((count, self.dimension), np.float32), [0] * count, 0)
        if not count:
            return out
        self._open()  # here, so that its errors are raised once and plainly
        order = iter(sorted(range(count), key=lambda at: -len(texts[at])))
        pool = self._open_pool()
        jobs = [
            pool.submit(self._drain, order, texts, out) for _ in range(min(count, self.workers))
        ]
        return out._replace(truncated=sum(job.result() for job in jobs))

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Encode queries in the calling thread: the workers may be busy with passages."""
        refuse_empty(texts)
        out = Encoded(np.empty((len(texts), self.dimension), np.float32), [0] * len(texts), 0)
        truncated = self._drain(iter(range(len(texts))), texts, out)
        return out._replace(truncated=truncated)

    def close(self) -> None:
        """Stop the workers after their present passages and free the network."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._session = self._tokenizer = None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _drain(self, order: Iterator[int], texts: Sequence[str], out: Encoded) -> int:
        """Encode the texts that `order` still has into `out`; returns how many were cut."""
        session, tokenizer = self._open()
        truncated = 0
        try:
            for at in order:
                filled = fill(self.row.document_template, texts[at])
                if len(filled) < _SHORT:  # waiting to run again would take longer than the work
                    encoding = tokenizer.encode(filled)
                else:  # lets other Python threads run meanwhile
                    (encoding,) = tokenizer.encode_batch_fast([filled])
                ids, cut = self._cut(encoding.ids)
                out.vectors[at] = session.run(None, {"input_ids": ids})[0][0]
                out.tokens[at] = ids.shape[1]
                truncated += cut
        finally:
            for _ in order:  # after an error the other workers of the call stop, too
                pass
        return truncated

    def _cut(self, ids: list[int]) -> tuple[NDArray[np.int64], bool]:
        """The ids as the network takes them, [1, at most max_length], and whether some were cut."""
        cut = len(ids) > self.max_length
        if cut:  # as the reference does: the first tokens, then [SEP]
            ids = ids[: self.max_length - 1] + ids[-1:]
        return np.array([ids], np.int64), cut

    def _open(self) -> tuple[Any, Any]:
        """The network and the tokenizer, opened once."""
        tokenizer = self._open_tokenizer()
        session = self._session
        if session is None:
            with self._lock:
                if self._session is None:
                    self._session = self._new_session()
                session = self._session
        return session, tokenizer

    def _open_tokenizer(self) -> Any:
        """The tokenizer alone: counting needs no network."""
        tokenizer = self._tokenizer
        if tokenizer is None:
            with self._lock:
                if self._tokenizer is None:
                    self._tokenizer = _open_tokenizer(self.model_dir or model_folder())
                tokenizer = self._tokenizer
        return tokenizer

    def _open_pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="minilm")
            return self._pool

    def _new_session(self) -> Any:
        """A session of the cached graph; a file damaged on disk is built anew, once."""
        silence_onnxruntime()  # before anything of it is imported
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf

        path = self._graph()
        try:
            return _open_session(path)
        except InvalidProtobuf as error:
            _log.warning("%s is damaged and is built anew: %s", path, error)
            path.unlink(missing_ok=True)
        return _open_session(self._graph())

    def _graph(self) -> Path:
        digest = self.row.revision.removeprefix("sha256:")
        return cached_graph(self.cache_dir, self.precision, self.model_dir, digest)


def _open_session(path: Path) -> Any:
    """A session that runs on the calling thread alone, so that calling threads are the workers."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _open_tokenizer(folder: Path) -> Any:
    """The tokenizer without the padding and truncation to 128 that its file asks for."""
    from tokenizers import Tokenizer

    path = verified(folder / "tokenizer.json", TOKENIZER_SHA256)
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
