"""Several texts through a model at once: packed without padding where possible, else padded.

Packed, the tokens of all texts stand in one row. Every operation but attention treats tokens one by
one; attention is called for each run of texts of equal length, so it needs no mask, and the fast
kernels, which take none, always serve. No padding is computed, and no text can see another.
(Krell et al. 2021, https://arxiv.org/abs/2107.02027, have the idea with a mask.)
"""

from collections.abc import Callable, Sequence
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

from retrieval.encoders.local.batching import padded

if TYPE_CHECKING:
    from torch import Tensor, device, nn

PACKED = "rag_app_packed"
"""The name of packed attention among transformers' implementations."""

_ROTARY = {"llama", "mistral", "qwen2", "qwen3"}
"""Model types whose positions are an input, and which know neither bias nor other masks."""


def packable(config: Any) -> bool:
    """Whether packed attention computes what the stock attention of this model computes.

    A window narrower than a text needs a mask, and dynamic positions depend on the longest text.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type in _ROTARY
        and getattr(config, "sliding_window", None) is None
        and set(getattr(config, "layer_types", None) or ()) <= {"full_attention"}
        and rope.get("rope_type") not in {"dynamic", "longrope"}
    )


def register_packed() -> None:
    """Make packed attention known to transformers, under a name of our own."""
    from transformers import AttentionInterface

    AttentionInterface.register(PACKED, _packed_attention)


def _packed_attention(
    module: "nn.Module",
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attention_mask: "Tensor | None",  # noqa: ARG001
    packed_runs: Sequence[tuple[int, int]],
    **kwargs: Any,
) -> tuple["Tensor", None]:
    """Stock attention within each text.

    Args:
        query: [1, heads, tokens, width of a head]; `key` and `value` with their own heads.
        attention_mask: None, as no mask is registered under this name.
        packed_runs: how many texts of which length follow each other.

    Returns:
        [1, tokens, heads, width of a head]
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    sizes = [count * length for count, length in packed_runs]
    attend: Callable[..., tuple[Tensor, None]] = sdpa_attention_forward
    outputs = []
    pieces = zip(*(torch.split(one[0], sizes, dim=1) for one in (query, key, value)), strict=True)
    for (count, length), piece in zip(packed_runs, pieces, strict=True):
        # [heads, count * length, width] to [count, heads, length, width]
        texts = [one.unflatten(1, (count, length)).transpose(0, 1) for one in piece]
        output, _ = attend(module, *texts, None, **kwargs)
        outputs.append(output.flatten(0, 1))
    return torch.cat(outputs).unsqueeze(0), None


def packed_states(
    model: Any, batch: Sequence[Sequence[int]], device: "device"
) -> tuple["Tensor", ...]:
    """The last hidden states of each text, [tokens, width], of a model with packed attention."""
    import torch

    lengths = [len(ids) for ids in batch]
    runs = [(len(list(equal)), length) for length, equal in groupby(lengths)]
    output = model(
        input_ids=_upload(torch.tensor([list(chain.from_iterable(batch))]), device),
        position_ids=_upload(torch.cat([torch.arange(length) for length in lengths])[None], device),
        packed_runs=runs,
    )
    states: tuple[Tensor, ...] = torch.split(output.last_hidden_state[0], lengths)
    return states


def padded_states(
    model: Any,
    batch: Sequence[Sequence[int]],
    device: "device",
    pad_id: int = 0,
    *,
    left: bool = False,
) -> tuple["Tensor", ...]:
    """The last hidden states of each text, [tokens, width], of any model.

    Texts of equal length get no mask, so that the fast attention kernels serve.

    Args:
        left: whether it does so in front of them; rotary positions alone allow that.
    """
    import torch

    lengths = [len(ids) for ids in batch]
    equal = len(set(lengths)) == 1
    width = lengths[0] if equal else padded(max(lengths))
    ids = torch.full((len(batch), width), pad_id)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    places = [slice(width - length, width) if left else slice(length) for length in lengths]
    for row, (place, one) in enumerate(zip(places, batch, strict=True)):
        ids[row, place] = torch.tensor(one)
        mask[row, place] = 1
    arguments = {} if equal else {"attention_mask": _upload(mask, device)}
    states = model(input_ids=_upload(ids, device), **arguments).last_hidden_state
    return tuple(states[row, place] for row, place in enumerate(places))


def _upload(tensor: "Tensor", device: "device") -> "Tensor":
    """To the device, without waiting for it."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
