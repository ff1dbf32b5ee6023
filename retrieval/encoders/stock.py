"""Anyone's LlamaIndex embedding as an encoder."""

from collections.abc import Sequence

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding

from retrieval.encoders.base import Encoded, Encoder, Identity, refuse_empty
from retrieval.encoders.errors import ModelMismatchError
from retrieval.encoders.registry import EncoderRow

_BYTES_PER_TOKEN = 4


class StockEncoder(Encoder):
    """A `BaseEmbedding` that knows nothing of encoders.

    Its identity is its class and the model it names: all that LlamaIndex tells. Tokens are
    estimated from the length of a text.

    Args:
        dimension: length of its vectors; None asks it for one.
        name: what it is called; None takes the path of its class.

    Raises:
        ModelMismatchError: when encoding, vectors of another dimension, or not finite.
    """

    stock: BaseEmbedding

    def __init__(
        self, stock: BaseEmbedding, dimension: int | None = None, name: str | None = None
    ) -> None:
        width = dimension or len(stock.get_text_embedding("How long is a vector?"))
        row = EncoderRow(
            name=name or f"{type(stock).__module__}:{type(stock).__qualname__}",
            model_id=stock.model_name,
            dimension=width,
            pooling="unpublished",
            causal=False,
            backends=("class",),
            licence="unknown",
        )
        super().__init__(
            model_name=stock.model_name,
            embed_batch_size=stock.embed_batch_size,
            row=row,
            stock=stock,
        )

    @property
    def identity(self) -> Identity:
        """See `Encoder.identity`."""
        return {"encoder": self.row.name, "model": self.row.model_id}

    def count_tokens(self, text: str) -> int:
        """An estimate."""
        return len(text.encode()) // _BYTES_PER_TOKEN + 1

    def encode_passages(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_passages`."""
        refuse_empty(texts)
        return self._encoded(texts, self.stock.get_text_embedding_batch([*texts]))

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """See `Encoder.encode_queries`."""
        refuse_empty(texts)
        return self._encoded(texts, [self.stock.get_query_embedding(text) for text in texts])

    def _encoded(self, texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> Encoded:
        if {len(vector) for vector in vectors} - {self.dimension} or len(vectors) != len(texts):
            raise ModelMismatchError(
                f"{self.row.name} did not give one vector of {self.dimension} numbers a text",
                hint="Give StockEncoder the dimension of its vectors",
            )
        made = np.asarray(vectors, np.float32).reshape(len(texts), self.dimension)
        if not np.isfinite(made).all():
            raise ModelMismatchError(f"{self.row.name} gave a vector that is not finite")
        return Encoded(made, [self.count_tokens(text) for text in texts], 0)


def as_encoder(model: BaseEmbedding) -> Encoder:
    """The model itself where it is an encoder, else an encoder around it."""
    return model if isinstance(model, Encoder) else StockEncoder(model)
