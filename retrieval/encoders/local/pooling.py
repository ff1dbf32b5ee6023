"""From the states of tokens to one vector a text (Reimers and Gurevych 2019, arXiv:1908.10084)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrieval.encoders.registry import Pooling

if TYPE_CHECKING:
    from torch import Tensor


def pool(
    states: Sequence["Tensor"], starts: Sequence[int], pooling: Pooling, *, normalise: bool
) -> "Tensor":
    """One vector for each text.

    Args:
        states: of each text, its last hidden states without padding, [tokens, width].
        starts: of each text, the first token that the mean takes; less than its tokens.
        pooling: "mean" of the tokens from `starts` on, in float32 as ReasonIR's authors have it;
            "cls", the first token; "last", the last one.
        normalise: whether vectors are scaled to unit length (L2), in float32.

    Returns:
        float32 [texts, width], on the device of the states.
    """
    import torch

    if pooling == "mean":
        pairs = zip(states, starts, strict=True)
        rows = [one[start:].mean(dim=0, dtype=torch.float32) for one, start in pairs]
    else:
        rows = [one[0 if pooling == "cls" else -1].float() for one in states]
    vectors = torch.stack(rows)
    return torch.nn.functional.normalize(vectors, dim=-1) if normalise else vectors
