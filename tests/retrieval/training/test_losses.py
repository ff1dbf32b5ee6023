"""InfoNCE and Redapter against plain numpy in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="optional: needs torch")

from retrieval.training.losses import CAP, info_nce, redapter_ratios  # noqa: E402


def reference(queries, passages, positives, temperature, excluded=None):
    """Each query's loss, and the gradient of their sum by queries and by passages."""
    q_norm = np.linalg.norm(queries, axis=1, keepdims=True)
    p_norm = np.linalg.norm(passages, axis=1, keepdims=True)
    q_unit, p_unit = queries / q_norm, passages / p_norm
    scores = q_unit @ p_unit.T / temperature
    if excluded is not None:
        scores = np.where(excluded, -np.inf, scores)
    top = scores.max(axis=1, keepdims=True)
    shares = np.exp(scores - top)
    sums = shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(queries))
    losses = (np.log(sums) + top)[:, 0] - scores[rows, positives]
    by_score = shares / sums
    by_score[rows, positives] -= 1
    by_score /= temperature
    by_q, by_p = by_score @ p_unit, by_score.T @ q_unit
    by_q = (by_q - q_unit * (by_q * q_unit).sum(1, keepdims=True)) / q_norm
    by_p = (by_p - p_unit * (by_p * p_unit).sum(1, keepdims=True)) / p_norm
    return losses, by_q, by_p


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.02, 0.05, 1.0])
def test_loss_and_gradients_are_those_of_the_formula(seed, temperature):
    random = np.random.default_rng(seed)
    queries, passages = random.normal(size=(6, 32)), random.normal(size=(18, 32))
    positives = random.permutation(18)[:6]
    excluded = random.random((6, 18)) < 0.2
    excluded[np.arange(6), positives] = False
    q = torch.tensor(queries, requires_grad=True)
    p = torch.tensor(passages, requires_grad=True)
    found = info_nce(q, p, torch.tensor(positives), temperature, torch.tensor(excluded))
    found.sum().backward()
    losses, by_q, by_p = reference(queries, passages, positives, temperature, excluded)
    np.testing.assert_allclose(found.detach(), losses, atol=1e-9)
    np.testing.assert_allclose(q.grad, by_q, atol=1e-9)
    np.testing.assert_allclose(p.grad, by_p, atol=1e-9)


def test_an_excluded_passage_counts_as_if_it_were_not_there():
    torch.manual_seed(3)
    q, p = torch.randn(2, 8), torch.randn(5, 8)
    excluded = torch.zeros(2, 5, dtype=torch.bool)
    excluded[:, 4] = True
    at = torch.tensor([0, 1])
    torch.testing.assert_close(info_nce(q, p, at, 0.1, excluded), info_nce(q, p[:4], at, 0.1))


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=20),
    st.sampled_from([1.0, CAP, 7.5]),
)
def test_ratios_are_those_of_the_formula_and_never_above_the_cap(pairs, cap):
    plain, reasoned = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    found = redapter_ratios(plain, reasoned, cap)
    expected = [min(p / (r + 1e-6), cap) for p, r in pairs]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert float(found.max()) <= cap


def test_no_gradient_flows_through_the_ratios():
    plain = torch.tensor([1.0, 2.0], requires_grad=True)
    assert not redapter_ratios(plain, torch.tensor([1.0, 1.0])).requires_grad
