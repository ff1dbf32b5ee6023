"""A test at load that refuses a network that does not compute what its row says.

The faults it finds raise no error elsewhere: they give vectors that look right and rank badly. A
decoder meant to be bidirectional runs causally where transformers does not heed `is_causal`, and a
tokenizer.json without its post-processor leaves the start token out.
"""

from typing import TYPE_CHECKING

from retrieval.encoders.errors import ModelMismatchError
from retrieval.encoders.local.network import Network
from retrieval.encoders.local.tokenising import Tokeniser
from retrieval.encoders.registry import EncoderRow

if TYPE_CHECKING:
    from torch import Tensor

_SHORT = "Does a later word change what an earlier one means?"
_LONG = _SHORT + " It does so in a bidirectional model, and never in a causal one."
_MOVED = 1e-3
"""Relative change of a state that tells attention from rounding, which is 0 in equal shapes."""
_APART = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}
"""Largest 1 - cosine of one text's states in a batch and alone, by the type of the arithmetic."""


def self_test(network: Network, tokeniser: Tokeniser, row: EncoderRow, name: str) -> None:
    """Run a few short texts through the network.

    Raises:
        ModelMismatchError: the start token is missing, attention is causal where it must not be or
            the reverse, the dimension is another, a batch changes a text's states, or states are
            not finite.
    """
    import torch

    _require_bos(network, tokeniser, name)
    prefix = row.passage_prefix()
    short, long = (one.ids for one in tokeniser.tokenise([_SHORT, _LONG], prefix, 512))
    changed = [*short[:-1], next(token for token in reversed(short) if token != short[-1])]
    with torch.inference_mode():
        batch = network.states([long, short, changed])
        alone = [network.states([ids])[0] for ids in (long, short)]
        if not all(bool(one.isfinite().all()) for one in batch):
            raise _refused(name, "its states are not finite", "Use another dtype, or bfloat16")
        if batch[0].shape[1] != row.dimension:
            raise _refused(name, f"its states have {batch[0].shape[1]} dimensions", "")
        _require_attention(batch[1], batch[2], row, name)
        apart = max(_apart(*pair) for pair in zip(batch, alone, strict=False))
    if apart > _APART[str(network.dtype).removeprefix("torch.")]:
        raise _refused(
            name,
            f"a batch changes the states of a text: 1 - cosine is {apart:.2g}",
            "Please report the model and the versions of torch and transformers",
        )


def _require_bos(network: Network, tokeniser: Tokeniser, name: str) -> None:
    """Llamas are trained with a start token; other families may declare one and not use it."""
    if network.model.config.model_type != "llama" or tokeniser.bos_id is None:
        return
    if not tokeniser.adds_bos:
        raise _refused(
            name,
            "its tokenizer puts no start token before a text",
            "Get tokenizer.json as it was published, with its post-processor",
        )


def _require_attention(first: "Tensor", second: "Tensor", row: EncoderRow, name: str) -> None:
    """The texts differ in their last token alone: do the states before it?"""
    before, after = first[:-1].float(), second[:-1].float()
    moved = float(((before - after).norm(dim=1) / before.norm(dim=1)).max())
    if row.causal and moved > _MOVED:
        raise _refused(
            name,
            "its attention is bidirectional, and the model was trained with a causal one",
            "Check is_causal in config.json",
        )
    if not row.causal and moved <= _MOVED:
        raise _refused(
            name,
            "its attention is causal, and the model was trained with a bidirectional one",
            "Install transformers 5.16 or newer",
        )


def _apart(one: "Tensor", other: "Tensor") -> float:
    """The largest 1 - cosine of two states of the same token."""
    import torch

    cosines = torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=1)
    return float((1 - cosines).max())


def _refused(name: str, cause: str, hint: str) -> ModelMismatchError:
    return ModelMismatchError(f"{name} failed its test at load", cause=cause, hint=hint)
