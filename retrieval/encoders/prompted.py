"""Encoders that follow their row: template in front, length limit, identity."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence

from pydantic import Field

from retrieval.encoders.base import Encoded, Encoder, Identity, refuse_empty

_log = logging.getLogger(__name__)

OnEncoded = Callable[[int], None]
"""Called with how many more texts of a call are done."""


class PromptedEncoder(Encoder):
    """Puts the row's template before each text and leaves the rest to a backend.

    The backend is no part of the identity: vectors of one row may be made on a GPU cluster and
    searched from a laptop.

    Attributes:
        row: the model.
        instruction: stands in the query template; None takes the row's own, the empty string
            leaves templates away, those of passages too.
        passage_length: tokens kept of a passage, special tokens and template included.
        query_length: the same of a query.
        revision: what the weights are called in the identity; the row's revision if left out.
    """

    instruction: str | None = None
    passage_length: int = Field(gt=0)
    query_length: int = Field(gt=0)
    revision: str = ""

    @property
    def identity(self) -> Identity:
        """Everything that changes the vectors of passages; the length counts, as it cuts them."""
        row, plain = self.row, self.instruction == ""
        return {
            "encoder": row.name,
            "model": row.model_id,
            "revision": self.revision or row.revision,
            "dimension": self.dimension,
            "query_template": row.plain_template if plain else row.query_template,
            "document_template": row.plain_template if plain else row.document_template,
            "pooling": row.pooling,
            "pool_prefix": row.pool_prefix,
            "append_eos": row.append_eos,
            "causal": row.causal,
            "normalise": row.normalise,
            "max_length": self.passage_length,
        }

    def encode_passages(self, texts: Sequence[str], on_encoded: OnEncoded | None = None) -> Encoded:
        """Encode passages; see `Encoder.encode_passages`."""
        refuse_empty(texts)
        prefix = self.row.passage_prefix(self.instruction)
        return self._encode(texts, prefix, self.passage_length, on_encoded)

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Encode queries; see `Encoder.encode_queries`. A warning is logged if any is cut."""
        refuse_empty(texts)
        prefix = self.row.query_prefix(self.instruction)
        encoded = self._encode(texts, prefix, self.query_length)
        if encoded.truncated:
            _log.warning(
                "%d of %d queries are longer than %d tokens and were cut",
                encoded.truncated, len(texts), self.query_length,
            )  # fmt: skip
        return encoded

    @abstractmethod
    def _encode(
        self, texts: Sequence[str], prefix: str, limit: int, on_encoded: OnEncoded | None = None
    ) -> Encoded:
        """Encode ``prefix + text`` for each text, which is never blank, cut to `limit` tokens."""
