"""The shapes of published language models, and the arithmetic that their tokens cost."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder with grouped-query attention and a gated feed-forward network (Llama, Qwen).

    Attributes:
        qkv_bias: whether the query, key and value projections add a bias (Qwen2).
        qk_norm: whether queries and keys are normalised by head (Qwen3).
        tied: whether the head is the embedding table.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    head_width: int = 128
    qkv_bias: bool = False
    qk_norm: bool = False
    tied: bool = False

    @property
    def attention_width(self) -> int:
        """Width of all query heads together; the hidden width in most models."""
        return self.heads * self.head_width

    @property
    def parameters(self) -> int:
        """N: weights that every token passes, without embedding table and head."""
        keys = self.kv_heads * self.head_width
        projections = 2 * self.hidden * (self.attention_width + keys)
        biases = self.qkv_bias * (self.attention_width + 2 * keys)
        norms = 2 * self.hidden + self.qk_norm * 2 * self.head_width
        block = projections + biases + norms + 3 * self.hidden * self.intermediate
        return self.layers * block + self.hidden

    @property
    def head(self) -> int:
        """Weights of the head, which only a token that is to be written passes."""
        return self.hidden * self.vocabulary

    @property
    def total(self) -> int:
        """All weights, as model cards count them."""
        return self.parameters + self.head * (1 if self.tied else 2)


_LLAMA_3_1_8B: Final = Shape(32, 4096, 32, 8, 14336, 128256)
_QWEN_2_5_7B: Final = Shape(28, 3584, 28, 4, 18944, 152064, qkv_bias=True)
_QWEN_2_5_14B: Final = Shape(48, 5120, 40, 8, 13824, 152064, qkv_bias=True)
_QWEN_2_5_32B: Final = Shape(64, 5120, 40, 8, 27648, 152064, qkv_bias=True)
_QWEN_2_5_72B: Final = Shape(80, 8192, 64, 8, 29568, 152064, qkv_bias=True)
_QWEN_3_4B: Final = Shape(36, 2560, 32, 8, 9728, 151936, qk_norm=True, tied=True)
_QWEN_3_8B: Final = Shape(36, 4096, 32, 8, 12288, 151936, qk_norm=True)
_QWEN_3_14B: Final = Shape(40, 5120, 40, 8, 17408, 151936, qk_norm=True)
_QWEN_3_32B: Final = Shape(64, 5120, 64, 8, 25600, 151936, qk_norm=True)

SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "llama-3.1-8b": _LLAMA_3_1_8B,
        "meta-llama-3.1-8b": _LLAMA_3_1_8B,
        "llama3.1-8b": _LLAMA_3_1_8B,
        "qwen2.5-7b": _QWEN_2_5_7B,
        "qwen2.5-14b": _QWEN_2_5_14B,
        "qwen2.5-32b": _QWEN_2_5_32B,
        "qwen2.5-72b": _QWEN_2_5_72B,
        "qwen3-4b": _QWEN_3_4B,
        "qwen3-8b": _QWEN_3_8B,
        "qwen3-14b": _QWEN_3_14B,
        "qwen3-32b": _QWEN_3_32B,
        "rank1-7b": _QWEN_2_5_7B,
        "rank1-14b": _QWEN_2_5_14B,
        "rank1-32b": _QWEN_2_5_32B,
    }
)
"""From the `config.json` of each; Rank1 is trained from Qwen2.5 (https://arxiv.org/abs/2502.18418).
What is trained or quantised from a model keeps its shape, and mostly its name as a beginning."""


def shape_of(model: str) -> Shape | None:
    """The shape of the model of that name; None where it is not known, as with GPT-4.

    Publisher and capitals do not count (`Qwen/Qwen2.5-7B-Instruct-AWQ`), and a colon is as good as
    a hyphen (`qwen2.5:7b`).
    """
    name = model.rsplit("/", 1)[-1].lower().replace(":", "-")
    known = [known for known in SHAPES if re.match(rf"{re.escape(known)}(-|$)", name)]
    return SHAPES[known[0]] if known else None


def flops(shape: Shape, prompt_tokens: int, completion_tokens: int) -> float:
    """Floating-point operations of one call: its prompt read, its completion written.

    ``2 N`` a token for the weights, ``2 hidden vocabulary`` for each token that is written, and
    ``4 layers width`` for every pair of a token and one that it attends to, itself included
    (Kaplan et al. 2020, table 1, https://arxiv.org/abs/2001.08361, with the context summed over
    all tokens). The token that is written last passes the head of the one before it, but no
    layers. A multiplication and an addition are two operations; softmax, norms and look-ups count
    for nothing, and the prompt is read anew, without a cache of its beginning.

    Raises:
        ValueError: a number of tokens is negative, or something is written after an empty prompt.
    """
    if min(prompt_tokens, completion_tokens) < 0 or (completion_tokens and not prompt_tokens):
        raise ValueError(f"no call has {prompt_tokens} + {completion_tokens} tokens")
    passed = prompt_tokens + max(completion_tokens - 1, 0)
    pairs = passed * (passed + 1) // 2
    weights = 2 * shape.parameters * passed
    head = 2 * shape.head * completion_tokens
    attention = 4 * shape.layers * shape.attention_width * pairs
    return float(weights + head + attention)
