"""What can be told about an encoder from its vectors alone, without knowing the right ones.

Each test refuses only what the row's model cannot give, so that a sound server always passes; a
wrong one may pass as well. Golden vectors (`retrieval.encoders.golden`) tell more.
"""

import numpy as np

from retrieval.encoders.base import Encoder, Vectors
from retrieval.encoders.errors import ModelMismatchError
from retrieval.encoders.golden import THRESHOLD, cosine
from retrieval.encoders.prompted import PromptedEncoder

_SAME = 0.9999
"""Above this cosine two vectors are of one text, in bfloat16 as well."""
_LEAST_OF_MEAN = 0.7
"""What a changed last word leaves of a mean: 0.91 or more for MiniLM and tiny random Llamas, where
the state of the last token keeps 0.40 or less."""
_MOST_OF_TEXT = 0.95
"""What a changed word leaves of a mean that has nothing else: 0.41 for MiniLM, 0.84 for tiny random
Llamas, where it leaves 0.96 or more of their mean with the instruction."""
_LEAST_SPREAD = 0.08
"""Of the lengths of increments, see `refuse_causal`: 0.03 to 0.05 for tiny causal Llamas, 0.18 and
more for bidirectional ones, 0.45 for MiniLM."""

SENTENCE = (
    "The river rises in the hills and falls on its way to the sea; in spring, when the snow melts, "
    "it carries ten times as much water as in August. Mills once stood along its banks."
)
_WORDS = "music", "volcano", "seven"


def probe(encoder: Encoder) -> None:
    """Refuse an encoder whose vectors cannot be those of its row.

    Tried are: dimension, finite vectors and unit length; a batch against single texts; whether the
    order of words and the templates count; for rows that pool the mean, whether the last token
    decides; for those that leave the instruction out of it, whether that decides.

    Raises:
        ModelMismatchError: a test failed.
        EncoderError: the encoder fails.
    """
    texts = ["The dog bit the man.", "The man bit the dog.", *(f"{SENTENCE} {w}" for w in _WORDS)]
    batch = encoder.encode_passages(texts).vectors
    _refuse_malformed(encoder, batch)
    alone = np.concatenate([encoder.encode_passages([text]).vectors for text in texts[:2]])
    if cosine(batch[:2], alone).min() < THRESHOLD:
        raise _mismatch(encoder, "gives a text another vector among others than alone")
    if cosine(batch[0], batch[1]) > _SAME:
        raise _mismatch(encoder, "gives a sentence and another of the same words one vector")
    if _templates_differ(encoder):
        query = encoder.encode_queries(texts[:1]).vectors
        if cosine(batch[0], query[0]) > _SAME:
            raise _mismatch(encoder, "gives a query and a passage of the same words one vector")
    if encoder.row.pooling == "mean" and _closest(batch[2:]) < _LEAST_OF_MEAN:
        raise _mismatch(
            encoder, "gives vectors that the last word decides, so it does not pool the mean"
        )
    if not encoder.row.pool_prefix and isinstance(encoder, PromptedEncoder):
        _refuse_pooled_instruction(encoder)


def refuse_causal(encoder: Encoder, means: Vectors) -> None:
    """Refuse an encoder of a bidirectional row that pools the mean and attends causally.

    If no token sees the later ones, then k times the mean of the first k tokens less k - 1 times
    the mean of one fewer is the final state of token k, and final states, having gone through a
    normalisation, are all about as long as each other. With attention in both directions these
    increments also hold what the new token changed in all the others, and differ widely.

    Args:
        encoder: whose row says how it should be.
        means: of the first 1, 2, 3, ... tokens of a text of 20 or more, not scaled to unit length:
            float32 [tokens, dimension].

    Raises:
        ModelMismatchError: the increments are all of about the same length.
    """
    sums = means.astype(np.float64) * np.arange(1, len(means) + 1)[:, None]
    lengths = np.linalg.norm(np.diff(sums, axis=0), axis=1)
    middle = np.median(lengths)
    if np.median(abs(lengths - middle)) < _LEAST_SPREAD * middle:
        raise _mismatch(
            encoder, "attends causally, as later words do not change what it makes of earlier ones"
        )


def _refuse_malformed(encoder: Encoder, vectors: Vectors) -> None:
    if vectors.shape[1] != encoder.dimension:
        raise _mismatch(encoder, f"gives {vectors.shape[1]} dimensions, not {encoder.dimension}")
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(lengths).all():
        raise _mismatch(encoder, "gives vectors that are not finite")
    if encoder.row.normalise and abs(lengths - 1).max() > 1e-3:
        raise _mismatch(encoder, "gives vectors that are not of unit length")


def _refuse_pooled_instruction(encoder: PromptedEncoder) -> None:
    fitting = encoder.query_length // 256  # the sentence has 176 bytes, so no more tokens
    if not fitting:
        return
    endless = encoder.model_copy(update={"instruction": " ".join([SENTENCE] * min(fitting, 10))})
    if _closest(endless.encode_queries(_WORDS).vectors) > _MOST_OF_TEXT:
        raise _mismatch(encoder, "gives vectors that the instruction decides, so it is in the mean")


def _closest(vectors: Vectors) -> float:
    """The lowest cosine of neighbours."""
    return float(cosine(vectors[1:], vectors[:-1]).min())


def _templates_differ(encoder: Encoder) -> bool:
    instruction = encoder.instruction if isinstance(encoder, PromptedEncoder) else None
    row = encoder.row
    return row.query_prefix(instruction) != row.passage_prefix(instruction)


def _mismatch(encoder: Encoder, what: str) -> ModelMismatchError:
    return ModelMismatchError(
        f"what runs as encoder {encoder.row.name} {what}",
        cause=f"it is not {encoder.row.model_id}, or runs in another way than the row says",
        hint="Serve it by the command of `rag-app serve-command`",
    )
