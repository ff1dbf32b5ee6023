"""The losses as sentence-transformers trains them: cached gradients, over all processes' batches.

`CachedLossMixin` embeds a batch in pieces without gradients, differentiates the loss by the
vectors, and embeds the pieces again to carry those gradients on (GradCache, Gao et al. 2021,
https://arxiv.org/abs/2101.06983), so that the batch is bounded by time and not by memory.
"""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from sentence_transformers.util import all_gather, get_rank, get_world_size
from torch import Tensor, nn

from retrieval.training.losses import info_nce, redapter_ratios

Features = dict[str, Tensor]
REDAPTER_START = 100
"""Steps of plain InfoNCE before Redapter weighs, as published."""


class ContrastiveLoss(CachedLossMixin, nn.Module):
    """InfoNCE with in-batch and hard negatives, or Redapter.

    The columns are query, positive, and any number of negatives. With `redapter` the last column is
    the reasoned query. Labels, where there are any, are int64 [batch, positive and negatives]: the
    group of each passage, such as its document. A passage of the group of a query's positive is no
    negative of that query.

    Every process takes its own queries against the passages of all. Its loss is scaled so that the
    mean over processes, which is what distributed training takes, is the loss of the whole batch.

    Args:
        model: what is trained; gives `sentence_embedding`.
        temperature: what cosines are divided by.
        mini_batch_size: texts that are embedded at once.
        redapter: whether samples are weighed; see `retrieval.training.losses`.
        start_step: steps of the plain mean before they are.

    Attributes:
        step: the optimiser's steps so far; whoever trains counts them.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.02,
        mini_batch_size: int = 32,
        *,
        redapter: bool = False,
        start_step: int = REDAPTER_START,
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.mini_batch_size = mini_batch_size
        self.redapter = redapter
        self.start_step = start_step
        self.step = 0
        self._reasoned: Tensor | None = None
        self._autocast: Any = nullcontext

    def forward(
        self, sentence_features: Iterable[Features], labels: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch, a scalar whose `backward` fills the model's gradients."""
        features = list(sentence_features)
        self._autocast = _present_autocast(features[0]["input_ids"].device.type)
        if self.redapter:
            # No gradient reaches this column, and the mixin refuses columns without one.
            reasoned = features.pop()
            weighs = self.step >= self.start_step
            self._reasoned = self._embed(reasoned) if weighs else None
        loss: Tensor = self.forward_cached(features, labels)
        return loss

    def embed_minibatch(self, *args: Any, **keywords: Any) -> Any:
        """As the mixin's, in mixed precision in the second pass too, which runs in `backward`."""
        with self._autocast():
            return super().embed_minibatch(*args, **keywords)

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from the vectors of the columns, each given in pieces."""
        queries, *columns = (_exact(torch.cat(column)) for column in reps)
        passages = torch.cat([_gathered(column) for column in columns])
        count, rank = len(queries), get_rank()
        positives = torch.arange(rank * count, (rank + 1) * count, device=queries.device)
        excluded = _excluded(labels, positives)
        losses = info_nce(queries, passages, positives, self.temperature, excluded)
        if self._reasoned is None:
            loss = losses.mean()
        else:
            reasoned, there = _exact(self._reasoned), passages.detach()
            against = info_nce(reasoned, there, positives, self.temperature, excluded)
            ratios = redapter_ratios(losses, against)
            total = _gathered(ratios).sum().clamp_min(torch.finfo(ratios.dtype).tiny)
            loss = (ratios / total * losses).sum() * get_world_size()
        if with_backward:
            torch.autograd.backward(loss)
            loss = loss.detach()
        return loss.to(reps[0][0].dtype)

    def get_config_dict(self) -> dict[str, Any]:
        """What the model's card says of the loss."""
        return {
            "temperature": self.temperature,
            "mini_batch_size": self.mini_batch_size,
            "redapter": self.redapter,
            "start_step": self.start_step,
        }

    def _embed(self, features: Features) -> Tensor:
        pieces = self.embed_minibatch_iter(features, with_grad=False, copy_random_state=False)
        return torch.cat([vectors for vectors, _ in pieces])


def _gathered(tensor: Tensor) -> Tensor:
    """That of all processes, the first process's rows first; gradients reach the others, too."""
    if get_world_size() == 1:
        return tensor
    whole: Tensor = all_gather(tensor, with_grad=tensor.requires_grad)
    return whole


def _exact(vectors: Tensor) -> Tensor:
    """In float64 where the device has it: at T 0.02 float32 scores are wrong by 1e-5."""
    return vectors.float() if vectors.device.type == "mps" else vectors.double()


def _excluded(labels: Tensor | None, positives: Tensor) -> Tensor | None:
    """Where a passage of the whole batch has the group of a query's positive without being it."""
    if labels is None:
        return None
    groups = _gathered(labels)  # [whole batch, columns]
    excluded = groups[positives, 0, None] == groups.T.reshape(1, -1)
    excluded[torch.arange(len(positives), device=positives.device), positives] = False
    return excluded


def _present_autocast(device: str) -> Any:
    if not torch.is_autocast_enabled(device):
        return nullcontext
    dtype = torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, dtype)
