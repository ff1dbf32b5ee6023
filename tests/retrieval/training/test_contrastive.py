"""The trained loss against one computed at once, without a cache and in float64."""

import pytest

torch = pytest.importorskip("torch", reason="optional: needs torch")
pytest.importorskip("sentence_transformers", reason="optional: needs sentence-transformers")

from retrieval.training.contrastive import ContrastiveLoss  # noqa: E402
from retrieval.training.losses import info_nce, redapter_ratios  # noqa: E402
from tests.retrieval.training.toy_model import Bag, batch, column  # noqa: E402

TEMPERATURE = 0.02


def model(dtype=torch.float32, dropout=0.0):
    torch.manual_seed(0)
    return Bag(dropout).to(dtype)


def gradients(of):
    return [parameter.grad.double() for parameter in of.parameters()]


def direct(features, *, reasoned=None, excluded=None):
    """Loss, weights and gradients of a float64 model, by one graph over everything."""
    bag = model(torch.float64)
    vectors = [bag(one)["sentence_embedding"] for one in features]
    queries, passages = vectors[0], torch.cat(vectors[1:])
    own = torch.arange(len(queries))
    losses = info_nce(queries, passages, own, TEMPERATURE, excluded)
    weights = torch.full_like(losses, 1 / len(losses)).detach()
    if reasoned is not None:
        with torch.no_grad():
            better = bag(reasoned)["sentence_embedding"]
            ratios = redapter_ratios(losses, info_nce(better, passages, own, TEMPERATURE, excluded))
        weights = ratios / ratios.sum()
    loss = (weights * losses).sum()
    loss.backward()
    return loss.detach(), gradients(bag)


def trained(features, labels=None, *, pieces=3, redapter=False, step=0, dropout=0.0):
    bag = model(dropout=dropout)
    loss = ContrastiveLoss(bag, TEMPERATURE, pieces, redapter=redapter, start_step=100)
    loss.step = step
    torch.manual_seed(7)
    value = loss(features, labels)
    value.backward()
    return value.detach(), gradients(bag)


def assert_same(one, other, atol=1e-6):
    torch.testing.assert_close(one[0].double(), other[0].double(), atol=atol, rtol=1e-6)
    for mine, theirs in zip(one[1], other[1], strict=True):
        # A float32 model's gradients are of the order of 10 here, so this is its own precision.
        torch.testing.assert_close(
            mine, theirs, atol=atol * max(1.0, float(theirs.abs().max())), rtol=0
        )


@pytest.mark.parametrize("columns", [2, 3, 5])
def test_info_nce_is_that_of_one_graph(columns):
    features = batch(8, columns)
    assert_same(trained(features), direct(features))


@pytest.mark.parametrize("columns", [2, 4])
def test_redapter_is_that_of_one_graph(columns):
    features, reasoned = batch(8, columns), column(9, 8)
    found = trained([*features, reasoned], redapter=True, step=100)
    assert_same(found, direct(features, reasoned=reasoned))


def test_redapter_is_the_plain_mean_in_its_first_steps():
    features = batch(8, 3)
    found = trained([*features, column(9, 8)], redapter=True, step=99)
    assert_same(found, trained(features))


@pytest.mark.parametrize("redapter", [False, True])
def test_the_size_of_the_pieces_changes_nothing(redapter):
    features = batch(12, 4)
    at_once = trained(features, pieces=12, redapter=redapter, step=100)
    assert_same(trained(features, pieces=5, redapter=redapter, step=100), at_once)


def test_the_second_pass_drops_out_what_the_first_did():
    """Otherwise the loss would not be the one whose gradients are carried on."""
    features = batch(12, 3)
    at_once = trained(features, pieces=12, dropout=0.5)
    bag = model(dropout=0.5)
    torch.manual_seed(7)
    vectors = [bag(one)["sentence_embedding"].double() for one in features]
    loss = info_nce(vectors[0], torch.cat(vectors[1:]), torch.arange(12), TEMPERATURE).mean()
    loss.backward()
    assert_same((loss.detach(), gradients(bag)), at_once)


def test_another_positive_of_the_query_is_no_negative():
    """Rows 0 and 1 are of one document, and so is the hard negative of row 3."""
    features = batch(4, 3)
    labels = torch.tensor([[5, 8], [5, 9], [6, 8], [7, 5]])
    excluded = torch.zeros(4, 8, dtype=torch.bool)
    excluded[0, [1, 7]] = excluded[1, [0, 7]] = True
    assert_same(trained(features, labels), direct(features, excluded=excluded))
    assert not torch.isclose(trained(features)[0], trained(features, labels)[0])


def test_mixed_precision_reaches_the_second_pass():
    """It runs in `backward`, after the trainer's autocast has ended."""
    seen = []

    class Watched(Bag):
        def forward(self, features):
            out = super().forward(features)
            seen.append(out["sentence_embedding"].dtype)
            return out

    torch.manual_seed(0)
    loss = ContrastiveLoss(Watched(), TEMPERATURE, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(batch(4, 2))
    value.backward()
    assert seen == [torch.bfloat16] * 4
