"""What every encoder can do, whatever runs it: a LlamaIndex embedding that knows its identity."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from numpy.typing import NDArray
from pydantic import PrivateAttr

from retrieval.encoders.errors import EmptyTextError, ModelMismatchError
from retrieval.encoders.registry import EncoderRow
from retrieval.identity import fingerprint

Vector = NDArray[np.float32]
"""float32, [dimension]."""
Vectors = NDArray[np.float32]
"""float32, [texts, dimension]."""
Identity = dict[str, str | int | float | bool]
"""All that changes a vector, by name."""


class Encoded(NamedTuple):
    """The outcome of encoding passages.

    Attributes:
        vectors: float32 [n, dimension], in the order of the texts.
        tokens: tokens that went through the model, per text, special tokens included.
        truncated: how many of the texts were longer than the maximum length and were cut.
    """

    vectors: Vectors
    tokens: list[int]
    truncated: int


class Encoder(BaseEmbedding):
    """An embedding model with a known identity and a reported cost.

    A subclass gives `identity`, `count_tokens`, `encode_passages` and `encode_queries`;
    LlamaIndex's own methods delegate to them, so any encoder serves any LlamaIndex program.
    """

    row: EncoderRow

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.row.dimension

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """Everything that changes vectors: two encoders may share a store iff these are equal."""

    @property
    def fingerprint(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the identity in canonical JSON."""
        return fingerprint(self.identity)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as a passage, special tokens included, before any truncation."""
        # Not abstract: LlamaIndex wraps those in events that cost more than the counting.
        raise NotImplementedError

    @abstractmethod
    def encode_passages(self, texts: Sequence[str]) -> Encoded:
        """Encode passages.

        A vector depends on its own text only, never on the other texts of the call.

        Raises:
            EmptyTextError: one of the texts has nothing to encode.
        """

    @abstractmethod
    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Encode queries; everything else is as for passages."""

    def encode_query(self, text: str) -> Vector:
        """Encode one query, without LlamaIndex's events: float32 [dimension].

        Raises:
            EmptyTextError: the text has nothing to encode.
        """
        vector: Vector = self.encode_queries([text]).vectors[0]
        return vector

    def verify(self) -> str:
        """Try with a real call that what runs is the row's model; says what was found.

        Raises:
            ModelMismatchError: it gives other vectors than the row promises.
            EncoderError: it does not answer.
        """
        vector = self.encode_query("Does the encoder work?")
        if len(vector) != self.dimension:
            raise ModelMismatchError(
                f"encoder {self.row.name} gave {len(vector)} dimensions, not {self.dimension}",
                cause="another model runs than the row describes",
                hint="Check which model is loaded or served",
            )
        return f"{self.row.model_id}, {len(vector)} dimensions"

    def close(self) -> None:
        """Give back threads, memory and connections; a later call opens them again."""

    def flops(self, tokens: int) -> float:
        """Estimated floating-point operations to encode `tokens` tokens: ``2 N tokens``.

        N are the non-embedding parameters; the attention scores themselves are left out, as in
        Kaplan et al. 2020, section 2.1 (https://arxiv.org/abs/2001.08361).
        """
        return 2.0 * self.row.parameters * tokens

    @classmethod
    def class_name(cls) -> str:
        """The name LlamaIndex records for this class."""
        return cls.__name__

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self.encode_passages(texts).vectors.tolist()
        return vectors

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self.encode_query(query).tolist()
        return vector

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)


class PortableEncoder(Encoder):
    """An encoder that copies, other processes and `from_dict` make anew from its arguments.

    What it has opened (weights, threads) stays behind.
    """

    _arguments: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), **self._arguments), ()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return type(self)(**self._arguments)

    def to_dict(self, **_: Any) -> dict[str, Any]:
        """The arguments that it was made with, as plain data, for `from_dict`."""
        return {
            **{name: _plain(value) for name, value in self._arguments.items()},
            "class_name": self.class_name(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], **more: Any) -> Self:
        """The encoder whose arguments `to_dict` gave. Raises as the class does."""
        arguments = {name: value for name, value in data.items() if name != "class_name"} | more
        if isinstance(arguments.get("row"), dict):
            arguments["row"] = EncoderRow(**arguments["row"])
        return cls(**arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, EncoderRow):
        return value.model_dump(mode="json")
    return str(value) if isinstance(value, Path) else value


def fill(template: str, text: str) -> str:
    """`text` in the place of ``{text}``; braces in the text itself are left as they are."""
    return template.replace("{text}", text)


def refuse_empty(texts: Sequence[str]) -> None:
    """Raise `EmptyTextError` naming the first of `texts` that is empty or only white space."""
    for position, text in enumerate(texts):
        if not text.strip():
            where = f"text {position + 1} of {len(texts)}" if len(texts) > 1 else "the text"
            raise EmptyTextError(
                f"{where} cannot be encoded",
                cause="it is empty or only white space",
                hint="Leave it out, or give it some words",
            )
