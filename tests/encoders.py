"""An encoder for tests that are about something else: fast, deterministic, without weights."""

import hashlib
import threading
from collections.abc import Sequence
from functools import cache

import numpy as np
from pydantic import PrivateAttr

from retrieval.encoders.base import Encoded, Encoder, Identity, Vector, refuse_empty
from retrieval.encoders.errors import EncoderError
from retrieval.encoders.registry import EncoderRow

DIMENSION = 32
LONGEST = 64

ROW = EncoderRow(
    name="hashing",
    model_id="tests/hashing",
    revision="1",
    dimension=DIMENSION,
    passage_length=LONGEST,
    query_length=LONGEST,
    pooling="mean",
    causal=False,
    normalise=True,
    licence="Apache-2.0",
    parameters=1000,
    source="https://arxiv.org/abs/0902.2206",
)


class HashingEncoder(Encoder):
    """The mean of one random direction a word (the hashing trick), so texts that share words meet.

    `encoded` keeps every passage that was encoded. The passage that `fail_at` counts to raises
    EncoderError, as a model server that goes away does; `gate` holds every passage back until set.
    """

    _encoded: list[str] = PrivateAttr(default_factory=list)
    _fail_at: int | None = PrivateAttr(default=None)
    _gate: threading.Event | None = PrivateAttr(default=None)
    _closed: bool = PrivateAttr(default=False)

    def __init__(
        self, fail_at: int | None = None, gate: threading.Event | None = None, name: str = ""
    ) -> None:
        row = ROW.model_copy(update={"model_id": name}) if name else ROW
        super().__init__(model_name=row.model_id, row=row)
        self._fail_at, self._gate = fail_at, gate

    @property
    def encoded(self) -> list[str]:
        return self._encoded

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def identity(self) -> Identity:
        return {"encoder": self.row.name, "model": self.row.model_id, "revision": "1"}

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2

    def encode_passages(self, texts: Sequence[str]) -> Encoded:
        refuse_empty(texts)
        if self._gate is not None:
            self._gate.wait()
        for text in texts:
            if self._fail_at is not None and len(self._encoded) >= self._fail_at:
                raise EncoderError("the encoder went away", hint="Start it again")
            self._encoded.append(text)
        return _encoded(self, texts)

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        refuse_empty(texts)
        return _encoded(self, texts)

    def close(self) -> None:
        self._closed = True


def _encoded(encoder: HashingEncoder, texts: Sequence[str]) -> Encoded:
    vectors = np.array([_vector(text) for text in texts], np.float32)
    tokens = [min(encoder.count_tokens(text), LONGEST) for text in texts]
    cut = sum(encoder.count_tokens(text) > LONGEST for text in texts)
    return Encoded(vectors.reshape(len(texts), DIMENSION), tokens, cut)


def _vector(text: str) -> Vector:
    total = np.sum([_direction(word) for word in text.lower().split()], axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


@cache
def _direction(word: str) -> Vector:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
