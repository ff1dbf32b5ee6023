"""What training minimises: InfoNCE, and Redapter's weighting of it.

InfoNCE (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748) of a query q with its positive
p among passages D at temperature T, scores being cosines::

    L_q = -log( exp(q.p / T) / sum over d in D of exp(q.d / T) )

Redapter (ReasonEmbed, ACL 2026; github.com/VectorSpaceLab/agentic-search, ReasonEmbed/training)
weighs the samples of a batch by how much a query that was reasoned about, q', would lose less::

    RI = min(L_q / (L_q' + 1e-6), 5),   w = RI / sum of RI over the batch,   loss = sum of w L_q

L_q' is taken against the same passages, without gradients.
"""

from torch import Tensor, nn

CAP = 5.0
"""κ: the most that a sample's ratio counts."""
_NO_DIVISION_BY_ZERO = 1e-6  # as published


def info_nce(
    queries: Tensor,
    passages: Tensor,
    positives: Tensor,
    temperature: float,
    excluded: Tensor | None = None,
) -> Tensor:
    """The loss of each query, not averaged: [queries].

    Args:
        queries: [queries, dimension].
        passages: of the whole batch, positives and negatives, [passages, dimension].
        positives: the row in `passages` of each query's positive, int64 [queries].
        temperature: what cosines are divided by.
        excluded: bool [queries, passages], true where a passage must not count as a negative
            because it is known to be another positive of that query.
    """
    normalise = nn.functional.normalize
    scores = normalise(queries, dim=-1) @ normalise(passages, dim=-1).T / temperature
    if excluded is not None:
        scores = scores.masked_fill(excluded, -float("inf"))
    return nn.functional.cross_entropy(scores, positives, reduction="none")


def redapter_ratios(plain: Tensor, reasoned: Tensor, cap: float = CAP) -> Tensor:
    """RI of each sample, without gradient: [queries]."""
    return (plain / (reasoned + _NO_DIVISION_BY_ZERO)).detach().clamp(0, cap)
