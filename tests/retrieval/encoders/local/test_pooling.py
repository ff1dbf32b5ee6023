"""Pooling against numpy in float64."""

import numpy as np
import pytest
import torch

from retrieval.encoders.local.pooling import pool

STATES = [torch.randn(n, 16, generator=torch.Generator().manual_seed(n)) for n in (1, 2, 9, 40)]
STARTS = [0, 1, 3, 39]


def test_the_mean_begins_after_the_prefix() -> None:
    pooled = pool(STATES, STARTS, "mean", normalise=False)
    expected = [
        one.numpy().astype(np.float64)[start:].mean(axis=0)
        for one, start in zip(STATES, STARTS, strict=True)
    ]
    assert pooled.dtype == torch.float32
    assert np.abs(pooled.numpy() - np.array(expected)).max() <= 1e-6


def test_cls_takes_the_first_and_last_the_last_token() -> None:
    assert torch.equal(pool(STATES, STARTS, "cls", normalise=False)[2], STATES[2][0])
    assert torch.equal(pool(STATES, STARTS, "last", normalise=False)[2], STATES[2][-1])


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_normalised_vectors_have_unit_length(pooling: str) -> None:
    pooled = pool(STATES, STARTS, pooling, normalise=True)  # type: ignore[arg-type]
    assert torch.allclose(pooled.norm(dim=1), torch.ones(4), atol=1e-6)


def test_the_mean_of_bfloat16_states_is_taken_in_float32() -> None:
    states = torch.full((4096, 8), 1.0, dtype=torch.bfloat16)
    states[0] = 256.0
    pooled = pool([states], [0], "mean", normalise=False)
    assert torch.allclose(pooled, torch.full((1, 8), (256 + 4095) / 4096), rtol=1e-6)
