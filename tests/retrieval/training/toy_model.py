"""A model small enough to differentiate by hand: the mean of its tokens' rows, and a dropout."""

import torch
from torch import Tensor, nn


class Bag(nn.Module):
    """Token ids [texts, tokens], 0 being padding, to vectors [texts, 16]."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 16)
        self.mix = nn.Linear(16, 16)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        ids = features["input_ids"]
        mask = (ids > 0).unsqueeze(-1)
        mean = (self.table(ids) * mask).sum(1) / mask.sum(1)
        return {"sentence_embedding": self.mix(self.dropout(torch.tanh(mean)))}


def column(seed: int, texts: int, dtype: torch.dtype = torch.int64) -> dict[str, Tensor]:
    """The features of a column of random texts of four tokens."""
    made = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 50, (texts, 4), generator=made, dtype=dtype)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def batch(texts: int, columns: int) -> list[dict[str, Tensor]]:
    """Columns of different random texts."""
    return [column(100 + at, texts) for at in range(columns)]
