"""Any row of the registry on this machine, with torch and transformers' stock models."""

import logging
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from pydantic import PrivateAttr

from retrieval.encoders.base import Encoded, PortableEncoder
from retrieval.encoders.errors import ModelMismatchError, TextTooLongError
from retrieval.encoders.local.batching import cost, halves, plan, windows
from retrieval.encoders.local.checkpoint import (
    Dtype,
    config_of,
    digest,
    hub_folder,
    load_network,
    local_folder,
    require_files,
)
from retrieval.encoders.local.network import Network, Vectorised, free_cached, out_of_memory
from retrieval.encoders.local.self_test import self_test
from retrieval.encoders.local.tokenising import Tokeniser, Tokens
from retrieval.encoders.prompted import OnEncoded, PromptedEncoder
from retrieval.encoders.registry import EncoderRow

_log = logging.getLogger(__name__)

_WINDOW = 2048
"""Texts tokenised at a time: enough to fill batches with equals, while the next window is read."""
_BATCH = 1024  # passages per call of LlamaIndex
_AHEAD = 2  # batches given to the device before the first is waited for


class _Text(NamedTuple):
    position: int
    tokens: Tokens


class TransformersEncoder(PortableEncoder, PromptedEncoder):
    """A model of the registry as its authors run it, without their code.

    The model is loaded and tested at the first use. Encoders may be shared by threads, which take
    turns batch by batch, so that a query need not wait for a whole ingest. Texts are sorted by
    length over the whole call and run in batches of `batch_tokens`; the longest come first. If one
    does not fit into memory it is halved, and so are later ones of its size.

    A vector depends on the other texts of its batch by rounding alone, where matrix kernels are
    chosen by the size of a batch. Measured on a processor, 64 texts through a random Llama of 6
    layers and 512 dimensions, packed and alone: the same bits in float32, bfloat16 and float16
    (and cosine with float32 at least 0.9899 in bfloat16, 0.9998 in float16). What is refused at
    load is 1 - cosine above 1e-6, 1e-2 and 1e-3.

    Args:
        row: the model.
        model: folder of the model's files, or another hub id than the row's. The vectors of a
            folder's model have that model's dimension.
        revision: of a hub id; the row's if left out.
        device: "cpu", "mps", "cuda", "cuda:1"; "auto" takes a GPU where there is one.
        dtype: "auto" is bfloat16 on GPUs that have it, float16 on others, float32 elsewhere.
        batch_tokens: most tokens that go through the model at once, a longer text apart.
        instruction: stands in the query template; None takes the row's own, the empty string
            leaves templates away.
        passage_length: tokens kept of a passage, all included; None takes the row's.
        query_length: the same of a query.

    Raises:
        ValueError: an argument out of its range, with the allowed values.
        ModelMissingError: `model` is a folder that does not exist or lacks files.
        ModelMismatchError: config.json of the folder cannot be read.
    """

    model: str
    device: str
    dtype: Dtype
    batch_tokens: int

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _tokeniser: Tokeniser | None = PrivateAttr(default=None)
    _network: Network | None = PrivateAttr(default=None)
    _fits: float = PrivateAttr(default=float("inf"))

    def __init__(  # noqa: PLR0913 - settings of one row, all but two by name
        self,
        row: EncoderRow,
        model: str | Path = "",
        *,
        revision: str = "",
        device: str = "auto",
        dtype: Dtype = "auto",
        batch_tokens: int = 16_384,
        instruction: str | None = None,
        passage_length: int | None = None,
        query_length: int | None = None,
    ) -> None:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            raise ValueError(f"device is {device!r}; allowed: auto, cpu, mps, cuda, cuda:NUMBER")
        if dtype not in get_args(Dtype):
            raise ValueError(f"dtype is {dtype!r}; allowed: {', '.join(get_args(Dtype))}")
        arguments = {
            "row": row, "model": model, "revision": revision, "device": device, "dtype": dtype,
            "batch_tokens": batch_tokens, "instruction": instruction,
            "passage_length": passage_length, "query_length": query_length,
        }  # fmt: skip
        lengths = {
            "batch_tokens": batch_tokens,
            "passage_length": row.passage_length if passage_length is None else passage_length,
            "query_length": row.query_length if query_length is None else query_length,
        }
        for name, length in lengths.items():
            if length < 1:
                raise ValueError(f"{name} is {length}; allowed: 1 or more")
        folder = local_folder(model) if model else None
        if folder is not None:
            width = config_of(require_files(folder)).get("hidden_size", row.dimension)
            row = row.model_copy(update={"dimension": width})
        super().__init__(
            model_name=row.model_id,
            embed_batch_size=_BATCH,
            row=row,
            model=str(model) or row.model_id,
            device=device,
            dtype=dtype,
            instruction=instruction,
            revision=digest(folder) if folder else _name(row, str(model), revision),
            **lengths,
        )
        self._arguments = arguments

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as a passage, before truncation; the weights are not needed for it."""
        return self._open_tokeniser().count(self.row.passage_prefix(self.instruction) + text)

    def close(self) -> None:
        """Free the model; a later call loads it again."""
        with self._lock:
            network, self._network, self._tokeniser = self._network, None, None
            self._fits = float("inf")
        if network is not None:
            kind = network.device.type
            del network
            free_cached(kind)

    def _encode(
        self, texts: Sequence[str], prefix: str, limit: int, on_encoded: OnEncoded | None = None
    ) -> Encoded:
        """Encode ``prefix + text`` for each text; see `PromptedEncoder._encode`.

        Raises:
            ModelMissingError, ModelMismatchError, EncoderUnavailableError: at the first use.
            TextTooLongError: the prefix leaves no room, or one text alone exceeds the memory.
        """
        out = Encoded(np.empty((len(texts), self.dimension), np.float32), [0] * len(texts), 0)
        if not texts:
            return out
        network, tokeniser = self._open()
        running: deque[tuple[list[_Text], Vectorised]] = deque()

        def land() -> None:
            done, vectors = running.popleft()
            out.vectors[[text.position for text in done]] = vectors()
            if on_encoded is not None:
                on_encoded(len(done))

        truncated = 0
        for batch in self._batches(tokeniser, texts, prefix, limit):
            for text in batch:
                out.tokens[text.position] = len(text.tokens.ids)
                truncated += text.tokens.truncated
            for started in self._start(network, batch):
                running.append(started)
                if len(running) > _AHEAD:
                    land()
        while running:
            land()
        return out._replace(truncated=truncated)

    def _batches(
        self, tokeniser: Tokeniser, texts: Sequence[str], prefix: str, limit: int
    ) -> Iterator[list[_Text]]:
        """The texts in batches, longest first; a thread tokenises one window ahead."""
        order = list(windows([len(text) for text in texts], _WINDOW))

        def read(window: list[int]) -> list[Tokens]:
            return tokeniser.tokenise([texts[at] for at in window], prefix, limit)

        with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as reader:
            ahead = reader.submit(read, order[0])
            for window, following in zip_longest(order, order[1:]):
                tokens = ahead.result()
                if following:
                    ahead = reader.submit(read, following)
                for batch in plan([len(one.ids) for one in tokens], self.batch_tokens):
                    yield [_Text(window[at], tokens[at]) for at in batch]

    def _start(
        self, network: Network, batch: list[_Text]
    ) -> Iterator[tuple[list[_Text], Vectorised]]:
        """Begin a batch, in halves if it does not fit into memory."""
        parts = deque([batch])
        while parts:
            part = parts.popleft()
            size = cost([len(text.tokens.ids) for text in part])
            started = None
            if size <= self._fits or len(part) == 1:
                try:
                    started = network.start([text.tokens for text in part])
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
            if started is not None:
                yield part, started
                continue
            if len(part) == 1:
                raise TextTooLongError(
                    f"a text of {size} tokens does not fit into the memory of {network.device}",
                    cause="it is alone in its batch already",
                    hint="Set a smaller passage_length or query_length, or another device",
                )
            if size <= self._fits:
                # Reached once the error, and all tensors of its frames, are gone.
                _log.warning("a batch of %d tokens did not fit into memory and is halved", size)
                self._fits = size / 2
                free_cached(network.device.type)
            parts.extendleft(reversed(halves(part)))

    def _open(self) -> tuple[Network, Tokeniser]:
        """The model and its tokenizer, loaded and tested once."""
        tokeniser = self._open_tokeniser()
        with self._lock:
            if self._network is None:
                self._network = self._load(tokeniser)
            return self._network, tokeniser

    def _open_tokeniser(self) -> Tokeniser:
        with self._lock:
            if self._tokeniser is None:
                self._tokeniser = Tokeniser(
                    self._folder(weights=False),
                    pool_prefix=self.row.pool_prefix,
                    append_eos=self.row.append_eos,
                )
            return self._tokeniser

    def _load(self, tokeniser: Tokeniser) -> Network:
        folder = self._folder(weights=True)
        _require_dimension(config_of(folder).get("hidden_size", 0), self.row, self.model)
        network = load_network(folder, self.row, tokeniser, self.device, self.dtype)
        longest = max(self.passage_length, self.query_length)
        positions = network.model.config.max_position_embeddings
        if not network.packed and longest > positions:
            raise ModelMismatchError(
                f"{self.model} cannot read {longest} tokens",
                cause=f"it has {positions} positions",
                hint=f"Set passage_length and query_length to {positions} or less",
            )
        self_test(network, tokeniser, self.row, self.model)
        _log.info("%s runs on %s in %s", self.model, network.device, network.dtype)
        return network

    def _folder(self, *, weights: bool) -> Path:
        if self.revision.startswith("local:"):
            return require_files(Path(self.model).expanduser())
        return hub_folder(self.model, self.revision.rpartition("@")[2], weights=weights)


def _name(row: EncoderRow, model: str, revision: str) -> str:
    """A revision for the identity; another model than the row's is named, too."""
    if model in {"", row.model_id}:
        return revision or row.revision
    return f"{model}@{revision or 'main'}"


def _require_dimension(width: int, row: EncoderRow, model: str) -> None:
    """Before 16 GB are read."""
    if width != row.dimension:
        raise ModelMismatchError(
            f"{model} gives {width} dimensions, and row {row.name} says {row.dimension}",
            cause="it is another model than the row describes",
            hint="Choose the row of this model, or add one for it to the settings file",
        )
