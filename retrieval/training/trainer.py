"""How sentence-transformers' trainers are run here: offline, in a given order, resumable."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from data.files import write_text
from retrieval.errors import RetrievalError
from retrieval.training.card import card
from retrieval.training.examples import Example

Method = Literal["infonce", "redapter"]
HISTORY_FILE = "training.json"
CHECKPOINTS = "checkpoints"


class TrainingError(RetrievalError):
    """A training that cannot be done, or whose result is not what was trained."""


OnStep = Callable[[int, int, float], None]
"""Called after a step with its number, how many there are, and its loss."""


@dataclass(frozen=True)
class Plan:
    """How an encoder or a reranker is trained; method to temperature, LoRA and `keep` are for
    encoders alone.

    Attributes:
        method: `infonce`, or `redapter` where the examples have reasoned queries.
        start_step: steps before Redapter weighs.
        mini_batch_size: texts that are in memory at once.
        rank: of the adapters; alpha is twice that.
        keep: share of the trained weights in the result; the rest is the start's (Wortsman et al.
            2022, https://arxiv.org/abs/2109.01903), which keeps what the model knew.
        batch_size: examples of a step on each device; the in-batch negatives come from all.
        negatives: hard negatives of an example.
        warmup: share of the steps in which it rises.
        constant: whether it then stays, rather than falling to 0.
        bf16: mixed precision; None where there is a GPU that has it.
        save_steps: steps between checkpoints, from which an interrupted training goes on.
    """

    method: Method = "infonce"
    epochs: float = 2
    batch_size: int = 64
    mini_batch_size: int = 32
    negatives: int = 2
    rate: float = 5e-5
    warmup: float = 0.1
    constant: bool = False
    temperature: float = 0.05
    length: int = 128
    lora: bool = False
    rank: int = 32
    bf16: bool | None = None
    start_step: int = 100
    keep: float = 1.0
    seed: int = 0
    save_steps: int = 200


@dataclass(frozen=True)
class Kind:
    """A trainer of sentence-transformers and what belongs to it.

    Attributes:
        options: arguments beyond those that `fit` sets.
        before_step: called with each step's number, from 0, before it is made.
    """

    trainer: Any
    arguments: Any
    options: Mapping[str, Any]
    before_step: Callable[[int], None] | None = None


def fit(
    kind: Kind,
    model: Any,
    loss: Any,
    table: Mapping[str, Sequence[Any]],
    batch_size: int,
    plan: Plan,
    folder: Path,
    on_step: OnStep | None,
) -> list[dict[str, float]]:
    """Run the trainer over the rows in their order; interrupted, the same call goes on.

    Raises TrainingError where the checkpoints in the folder are of other data or settings.

    Args:
        table: the columns of the whole training, all epochs.
        batch_size: rows of a step on each device.

    Returns:
        The loss of every step.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback

    _require_same(folder, plan, table)

    class Watching(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            if kind.before_step:
                kind.before_step(state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:  # noqa: ARG002
            if on_step and "loss" in keywords["logs"]:
                on_step(state.global_step, state.max_steps, keywords["logs"]["loss"])

    gpu = torch.cuda.is_available()
    arguments = kind.arguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the rows are those of all epochs
        per_device_train_batch_size=batch_size,
        learning_rate=plan.rate,
        lr_scheduler_type="constant_with_warmup" if plan.constant else "linear",
        warmup_steps=plan.warmup,
        bf16=plan.bf16 if plan.bf16 is not None else gpu and torch.cuda.is_bf16_supported(),
        dataloader_pin_memory=gpu,
        batch_sampler=_in_order,
        dataloader_drop_last=True,
        save_strategy="steps",
        save_steps=plan.save_steps,
        save_total_limit=1,
        logging_steps=1,
        report_to="none",
        seed=plan.seed,
        disable_tqdm=True,
        **kind.options,
    )
    trainer = kind.trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(dict(table)),
        loss=loss,
        callbacks=[Watching()],
    )
    trainer.remove_callback(PrinterCallback)  # writes to stdout, which is for results
    with _without_hub():
        trainer.train(resume_from_checkpoint=any(folder.glob("checkpoint-*")))
    return [
        {"step": one["step"], "loss": one["loss"], "rate": one["learning_rate"]}
        for one in trainer.state.log_history
        if "loss" in one
    ]


@contextmanager
def _without_hub() -> Iterator[None]:
    """No calls to the Hugging Face hub, which the library's model cards would make."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _in_order(dataset: Any, batch_size: int, drop_last: bool, **_: Any) -> Any:
    """The rows as they stand; at the top of the module because checkpoints name it."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(SequentialSampler(dataset), batch_size, drop_last)


def finish(
    out: Path,
    name: str,
    origin: str,
    weights: str,
    examples: Sequence[Example],
    settings: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
) -> None:
    """Write the losses and the card of a trained model, and delete its checkpoints."""
    write_text(out / HISTORY_FILE, json.dumps(history, indent=1))
    write_text(out / "README.md", card(name, origin, weights, examples, settings, history))
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)


def _require_same(folder: Path, plan: Plan, table: Mapping[str, Sequence[Any]]) -> None:
    """Refuse to go on from checkpoints of another training, and note what this one is."""
    content = json.dumps([asdict(plan), table], sort_keys=True).encode("utf-8", "replace")
    digest, note = hashlib.sha256(content).hexdigest(), folder / "training.sha256"
    if any(folder.glob("checkpoint-*")) and note.is_file() and note.read_text("utf-8") != digest:
        raise TrainingError(
            f"the training in {folder.parent} cannot go on",
            cause="it was begun with other data or settings",
            hint=f"Give the same again, or delete {folder} to begin anew",
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(note, digest)
