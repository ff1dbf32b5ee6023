"""A cross-encoder in this process: a folder of its files, or an id of the Hugging Face hub."""

import asyncio
import importlib.util
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal, get_args

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import NodeWithScore

from data.telemetry import silence_onnxruntime
from retrieval.encoders.errors import ModelMismatchError, ModelMissingError
from retrieval.encoders.local.checkpoint import (
    Dtype,
    cached_snapshot,
    config_of,
    hub_snapshot,
    incomplete,
    local_folder,
    pick_device,
    pick_dtype,
)
from retrieval.encoders.local.downloading import OnBytes, download
from retrieval.reranking.base import Reranked
from retrieval.reranking.cross_encoder import sigmoid
from retrieval.reranking.cross_encoder_models import CROSS_ENCODERS
from retrieval.reranking.pointwise import Graded, Grading, PointwiseReranker

Backend = Literal["auto", "transformers", "onnx"]
_GRAPHS: Final = ("onnx/model.onnx", "model.onnx")
_FILES: Final[dict[str, list[str]]] = {
    "transformers": ["*.json", "*.txt", "*.jinja", "*.safetensors"],
    "onnx": ["config.json", "tokenizer.json", "tokenizer_config.json", *_GRAPHS],
}
_BATCH: Final = 8
"""Pairs at a time: what is not done at the deadline is left there, but for one batch."""


class LocalCrossEncoder(PointwiseReranker):
    """Reads question and passage together; the grade is the sigmoid of the score that it gives.

    `transformers` runs whatever sentence-transformers' ``CrossEncoder`` loads, in single precision
    on a processor and in half on a GPU; code that comes with weights is never run, and only
    safetensors are loaded. `onnx` runs a graph ``onnx/model.onnx`` with one score a pair on
    onnxruntime, without torch. The model is loaded at the first use, outside of the deadline.

    Args:
        model: a name of `CROSS_ENCODERS`, a folder, or a hub id.
        backend: "auto" takes transformers where sentence-transformers is installed.
        grading: see `PointwiseReranker`.

    Raises:
        ValueError: `backend` is unknown.
        ModelMissingError: `model` can only be a folder, and there is none; at the first use: its
            files are not on this machine and cannot be downloaded.
    """

    name: ClassVar[str] = "cross-encoder"
    default_grading: ClassVar[Grading] = Grading(weight=1.0, concurrency=1)
    _model: str = PrivateAttr()
    _backend: Backend = PrivateAttr()
    _scorer: "PairScorer | None" = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def __init__(
        self, model: str, *, backend: Backend = "auto", grading: Grading = default_grading
    ) -> None:
        super().__init__(grading)
        if backend not in get_args(Backend):
            raise ValueError(f"backend is {backend!r}; allowed: {', '.join(get_args(Backend))}")
        row = CROSS_ENCODERS.get(model)
        self._model, self._backend, self._batch = row.model_id if row else model, backend, _BATCH
        local_folder(self._model)

    async def rerank(self, query: str, nodes: Sequence[NodeWithScore]) -> Reranked:
        """See `Reranker.rerank`."""
        await asyncio.to_thread(self._load)
        return await super().rerank(query, nodes)

    async def _grade(self, query: str, passages: Sequence[str]) -> list[Graded]:
        return await asyncio.to_thread(self._graded, query, passages)

    def _graded(self, query: str, passages: Sequence[str]) -> list[Graded]:
        scorer = self._load()
        with self._lock:
            scores = scorer.scores(query, passages)
            cut = [scorer.is_cut(query, passage) for passage in passages]
        return [
            Graded(sigmoid(one), "ok", part)
            if math.isfinite(one)
            else Graded(None, "missing", part)
            for one, part in zip(map(float, scores), cut, strict=True)
        ]

    def _load(self) -> "PairScorer":
        with self._lock:
            if self._scorer is None:
                self._scorer = load_scorer(self._model, self._backend)
            return self._scorer


class PairScorer(ABC):
    """A loaded cross-encoder; for one thread at a time."""

    longest: int
    """Tokens of a pair that it reads."""

    @abstractmethod
    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        """The model's score of each pair, before any sigmoid: [passages], float32."""

    @abstractmethod
    def count_tokens(self, query: str, passage: str) -> int:
        """Tokens of a pair before anything is cut."""

    def is_cut(self, query: str, passage: str) -> bool:
        """Whether the model reads less than the whole pair."""
        may_be = len(query) + len(passage) >= self.longest  # a token has a character at least
        return may_be and self.count_tokens(query, passage) > self.longest


class TorchScorer(PairScorer):
    """Whatever sentence-transformers loads as a `CrossEncoder`.

    Raises:
        ModelMismatchError: it cannot be loaded, or gives more than one score.
    """

    def __init__(self, folder: Path, dtype: Dtype = "auto") -> None:
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import CrossEncoder

        device = pick_device("auto")
        try:
            self._model = CrossEncoder(
                str(folder),
                device=str(device),
                local_files_only=True,
                trust_remote_code=False,
                activation_fn=torch.nn.Identity(),
                model_kwargs={
                    "use_safetensors": True,
                    "dtype": getattr(torch, pick_dtype(dtype, device)),
                },
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise _mismatch(folder, str(error).splitlines()[0]) from error
        if self._model.num_labels != 1:
            raise _mismatch(folder, f"it gives {self._model.num_labels} scores a pair, not one")
        self.longest = self._model.max_seq_length or 512

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        """See `PairScorer`."""
        pairs = [(query, passage) for passage in passages]
        try:
            found: np.ndarray = self._model.predict(
                pairs, batch_size=len(pairs), show_progress_bar=False
            )
        except RuntimeError as error:  # so torch says that memory is out
            raise ValueError(str(error).splitlines()[0]) from error
        return found

    def count_tokens(self, query: str, passage: str) -> int:
        """See `PairScorer`."""
        return len(self._model.tokenizer(query, passage, verbose=False)["input_ids"])


class OnnxScorer(PairScorer):
    """A graph of a sequence classifier with one label, as models of the hub bring it.

    Raises:
        ModelMismatchError: it cannot be loaded, or takes or gives something else.
    """

    def __init__(self, folder: Path) -> None:
        silence_onnxruntime()
        import onnxruntime
        from tokenizers import Tokenizer

        graph = next(folder / name for name in _GRAPHS if (folder / name).is_file())
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph), providers=["CPUExecutionProvider"]
            )
        except _onnx_errors() as error:
            raise _mismatch(folder, str(error).splitlines()[0]) from error
        self._inputs = {one.name for one in self._session.get_inputs()}
        if not {"input_ids"} <= self._inputs <= {"input_ids", "attention_mask", "token_type_ids"}:
            raise _mismatch(folder, f"its graph takes {', '.join(sorted(self._inputs))}")
        config, name = config_of(folder), "tokenizer_config.json"
        tokenizer_config = config_of(folder, name) if (folder / name).is_file() else {}
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pad = int(config.get("pad_token_id") or 0)
        positions = int(config.get("max_position_embeddings", 512))
        if config.get("model_type") in ("roberta", "xlm-roberta", "camembert"):
            positions -= self._pad + 1  # RoBERTa numbers positions from there on
        self.longest = int(min(positions, tokenizer_config.get("model_max_length", positions)))

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        """See `PairScorer`."""
        self._tokenizer.enable_truncation(self.longest, strategy="longest_first")
        self._tokenizer.enable_padding(pad_id=self._pad)
        read = self._tokenizer.encode_batch([(query, passage) for passage in passages])
        given = {
            "input_ids": [one.ids for one in read],
            "attention_mask": [one.attention_mask for one in read],
            "token_type_ids": [one.type_ids for one in read],
        }
        feed = {name: np.array(given[name], np.int64) for name in self._inputs}
        try:
            found = np.asarray(self._session.run(None, feed)[0], np.float32)
        except _onnx_errors() as error:
            raise ValueError(str(error).splitlines()[0]) from error
        if found.size != len(passages):
            raise ValueError(f"the graph gives {found.size} scores for {len(passages)} passages")
        return found.reshape(len(passages))

    def count_tokens(self, query: str, passage: str) -> int:
        """See `PairScorer`."""
        self._tokenizer.no_truncation()
        return len(self._tokenizer.encode(query, passage).ids)


def _onnx_errors() -> tuple[type[Exception], ...]:
    """What a damaged or foreign graph raises; onnxruntime's errors have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile",
        "NotImplemented", "RuntimeException",
    )  # fmt: skip
    return tuple(getattr(state, name) for name in names)


def load_scorer(model: str, backend: Backend = "auto") -> PairScorer:
    """A cross-encoder, from a folder, the hub's cache, or the hub.

    Raises:
        ModelMissingError: its files, or the libraries that run them, are not on this machine.
        ModelMismatchError: they do not make a cross-encoder with one score.
    """
    able = importlib.util.find_spec("sentence_transformers") is not None
    chosen = _chosen(backend)
    if chosen == "transformers" and not able:
        raise ModelMissingError(
            f"the cross-encoder {model} cannot be run",
            cause="sentence-transformers is not installed",
            hint="Install it: pip install 'rag-app[rerank]'; or set rerank.backend to onnx",
        )
    folder = local_folder(model) or hub_snapshot(
        model, "main", _FILES[chosen], lambda there: _lacking(there, chosen)
    )
    if lacking := _lacking(folder, chosen):
        raise incomplete(folder, lacking)
    return TorchScorer(folder) if chosen == "transformers" else OnnxScorer(folder)


def is_cached(model: str, backend: Backend = "auto") -> bool:
    """Whether a cross-encoder of the hub is in its cache; no network is used."""
    chosen = _chosen(backend)
    found = cached_snapshot(model, "main", _FILES[chosen])
    return found is not None and not _lacking(found, chosen)


def download_cross_encoder(model: str, on_bytes: OnBytes, backend: Backend = "auto") -> None:
    """Get the files of a cross-encoder into the hub's cache; raises as `download`."""
    download(model, "main", _FILES[_chosen(backend)], on_bytes)


def _chosen(backend: Backend) -> str:
    if backend != "auto":
        return backend
    return "transformers" if importlib.util.find_spec("sentence_transformers") else "onnx"


def _lacking(folder: Path, backend: str) -> str:
    """The first file that is needed and not there; empty if there is none."""
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            return name
    if backend == "onnx":
        return "" if any((folder / name).is_file() for name in _GRAPHS) else _GRAPHS[0]
    return "" if any(folder.glob("*.safetensors")) else "model.safetensors"


def _mismatch(folder: Path, cause: str) -> ModelMismatchError:
    return ModelMismatchError(
        f"the cross-encoder in {folder} cannot be used",
        cause=cause,
        hint="Get its files as they were published",
    )
