"""Published cross-encoders that run in this process: the names that `rerank.model` knows."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class CrossEncoderRow(NamedTuple):
    """A published cross-encoder.

    Attributes:
        parameters: weights that a token passes; the embedding table, only looked up, is left out.
    """

    model_id: str
    parameters: float
    licence: str


CROSS_ENCODERS: Final[Mapping[str, CrossEncoderRow]] = MappingProxyType({
    "ettin-reranker-17m": CrossEncoderRow(
        "cross-encoder/ettin-reranker-17m-v1", 3.9e6, "Apache-2.0"
    ),
    "ettin-reranker-32m": CrossEncoderRow(
        "cross-encoder/ettin-reranker-32m-v1", 12.6e6, "Apache-2.0"
    ),
    "ettin-reranker-150m": CrossEncoderRow(
        "cross-encoder/ettin-reranker-150m-v1", 111e6, "Apache-2.0"
    ),
    "ms-marco-minilm-l6": CrossEncoderRow(
        "cross-encoder/ms-marco-MiniLM-L6-v2", 10.7e6, "Apache-2.0"
    ),
    "bge-reranker-v2-m3": CrossEncoderRow("BAAI/bge-reranker-v2-m3", 303e6, "Apache-2.0"),
    "mxbai-rerank-base-v2": CrossEncoderRow(
        "mixedbread-ai/mxbai-rerank-base-v2", 358e6, "Apache-2.0"
    ),
    "mxbai-rerank-large-v2": CrossEncoderRow(
        "mixedbread-ai/mxbai-rerank-large-v2", 1.31e9, "Apache-2.0"
    ),
})  # fmt: skip
"""From their pages on the hub; parameters by their config.json's shapes."""
