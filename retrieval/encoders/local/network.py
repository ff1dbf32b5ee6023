"""A model on its device: batches of token ids in, vectors in ordinary memory out."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from retrieval.encoders.base import Vectors
from retrieval.encoders.local.forward import packed_states, padded_states
from retrieval.encoders.local.pooling import pool
from retrieval.encoders.local.tokenising import Tokens
from retrieval.encoders.registry import Pooling

if TYPE_CHECKING:
    import torch

Vectorised = Callable[[], Vectors]
"""Waits for the device, and gives float32 [texts, dimension]."""


class Network:
    """A loaded model; threads take turns, one forward pass at a time.

    Args:
        model: a transformers model without head, in evaluation mode, on `device`.
        packed: whether it has packed attention, see `retrieval.encoders.local.forward`.
        pooling: see `retrieval.encoders.local.pooling.pool`.
        normalise: whether vectors are scaled to unit length.
        pad_id: fills up texts where they are not packed.
        pads_left: whether it does so in front of them.
    """

    def __init__(
        self,
        model: Any,
        *,
        packed: bool,
        pooling: Pooling,
        normalise: bool,
        pad_id: int = 0,
        pads_left: bool = False,
    ) -> None:
        self.model = model
        self.packed = packed
        self._pooling, self._normalise = pooling, normalise
        self._pad_id, self._pads_left = pad_id, pads_left
        self._turn = threading.Lock()

    @property
    def device(self) -> "torch.device":
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @property
    def dtype(self) -> "torch.dtype":
        """The type of the weights and of the arithmetic."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    def states(self, batch: Sequence[Sequence[int]]) -> tuple["torch.Tensor", ...]:
        """The last hidden states of each text's ids, [tokens, width], on the device.

        Raises:
            RuntimeError: there is too little memory, see `out_of_memory`.
        """
        import torch

        with self._turn, torch.inference_mode():
            if self.packed:
                return packed_states(self.model, batch, self.device)
            left = self._pads_left
            return padded_states(self.model, batch, self.device, self._pad_id, left=left)

    def start(self, batch: Sequence[Tokens]) -> Vectorised:
        """Begin a batch; a CUDA device goes on with it while the caller prepares the next.

        Raises:
            RuntimeError: there is too little memory, see `out_of_memory`.
        """
        import torch

        states = self.states([tokens.ids for tokens in batch])
        starts = [tokens.start for tokens in batch]
        with torch.inference_mode():
            vectors = pool(states, starts, self._pooling, normalise=self._normalise)
        if vectors.device.type != "cuda":
            return vectors.cpu().numpy
        landed = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
        landed.copy_(vectors, non_blocking=True)
        # Waiting for this point, and not for the stream, lets the next batch be queued before.
        copied = torch.cuda.current_stream(vectors.device).record_event()

        def wait() -> Vectors:
            copied.synchronize()
            array: Vectors = landed.numpy()
            return array

        return wait


def out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the processor's allocator, had too little memory."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)
    return "DefaultCPUAllocator" in text or "out of memory" in text


def free_cached(device_type: str) -> None:
    """Give memory that torch keeps for later back to the device."""
    import torch

    if device_type == "cuda":
        torch.cuda.empty_cache()
    elif device_type == "mps":
        torch.mps.empty_cache()
