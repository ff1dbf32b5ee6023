"""A batch split over two processes trains as the same batch in one."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="optional: needs torch")
pytest.importorskip("sentence_transformers", reason="optional: needs sentence-transformers")

from retrieval.training.contrastive import ContrastiveLoss  # noqa: E402
from tests.retrieval.training.toy_model import Bag, batch, column  # noqa: E402

PROCESSES, TEXTS, COLUMNS = 2, 8, 3
REPOSITORY = Path(__file__).resolve().parents[3]
LABELS = torch.tensor([[row % 5, 10 + row % 7] for row in range(TEXTS)])


def loss_and_gradients(model, bag, *, redapter, rows):
    loss = ContrastiveLoss(model, 0.02, 3, redapter=redapter, start_step=0)
    features = [*batch(TEXTS, COLUMNS), *([column(9, TEXTS)] if redapter else [])]
    part = [{key: value[rows] for key, value in one.items()} for one in features]
    value = loss(part, LABELS[rows])
    value.backward()
    found = [value.detach(), *(one.grad.clone() for one in bag.parameters())]
    bag.zero_grad()
    return found


def both_losses(model, bag, rows):
    return [loss_and_gradients(model, bag, redapter=one, rows=rows) for one in (False, True)]


def work(rank, address, out):
    torch.distributed.init_process_group(
        "gloo", init_method=address, rank=rank, world_size=PROCESSES
    )
    torch.manual_seed(0)
    bag = Bag()
    model = torch.nn.parallel.DistributedDataParallel(bag)
    share = TEXTS // PROCESSES
    found = both_losses(model, bag, slice(rank * share, (rank + 1) * share))
    for value, *_ in found:
        torch.distributed.all_reduce(value)
        value.div_(PROCESSES)
    if rank == 0:
        torch.save(found, out)
    torch.distributed.barrier()  # one that leaves while another is at work may wait for ever
    torch.distributed.destroy_process_group()


def test_two_processes_train_as_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    out = tmp_path / "found.pt"
    arguments = (f"file://{tmp_path / 'meeting'}", str(out))
    code = "from tests.retrieval.training.test_processes import work; work({}, {!r}, {!r})"
    run_all([[sys.executable, "-c", code.format(rank, *arguments)] for rank in range(PROCESSES)])
    torch.manual_seed(0)
    bag = Bag()
    expected = both_losses(bag, bag, slice(None))
    for mine, theirs in zip(torch.load(out, weights_only=True), expected, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-6)


def run_all(commands):
    import subprocess

    running = [subprocess.Popen(command, cwd=REPOSITORY) for command in commands]
    try:
        assert [one.wait(timeout=400) for one in running] == [0] * len(commands)
    finally:
        for one in running:
            one.kill()
            one.wait()
