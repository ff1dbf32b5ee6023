"""Trains a cross-encoder on examples, with sentence-transformers.

Each example gives a pair of the query and a positive, labelled 1, and pairs with negatives,
labelled 0; the loss is binary cross-entropy in which a positive weighs as much as the negatives of
an example together, so that the sigmoid of a score is an even bet's odds. The result is a folder
that `retrieval.reranking.local_cross_encoder` runs: safetensors, the tokenizer, and `README.md`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.files import sha256
from retrieval.training.batches import Row, rows
from retrieval.training.examples import Example
from retrieval.training.trainer import (
    CHECKPOINTS,
    Kind,
    OnStep,
    Plan,
    TrainingError,
    finish,
    fit,
)

LAPTOP = Plan(batch_size=16, negatives=4, length=256)
"""Settings for a model of MiniLM's size on a processor."""
SETTINGS = (
    "epochs", "batch_size", "negatives", "rate", "warmup", "constant", "length", "bf16", "seed",
)  # fmt: skip
"""Fields of a plan that count for a reranker."""
_TOLERANCE = 1e-3
"""Most that a pair's score in training and in use may differ."""


def train(
    start: Path,
    examples: Sequence[Example],
    plan: Plan,
    out: Path,
    name: str,
    on_step: OnStep | None = None,
) -> str:
    """Train, and write the folder `out`; interrupted, the same call goes on.

    Args:
        start: the folder of a cross-encoder's files, or of an encoder's, which gets a new head.

    Returns:
        The digest of its weights.

    Raises:
        TrainingDataError: the examples do not fill a batch.
        TrainingError: the start is no model of the kind, or the files give other scores than the
            trained model.
    """
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from torch import tensor

    order = rows(
        examples,
        batch_size=plan.batch_size,
        negatives=plan.negatives,
        epochs=plan.epochs,
        seed=plan.seed,
    )
    table = pairs(order)
    model = _model(start, plan)
    out.mkdir(parents=True, exist_ok=True)
    loss = BinaryCrossEntropyLoss(model, pos_weight=tensor(float(max(1, plan.negatives))))
    size = min(plan.batch_size * (1 + plan.negatives), len(table["label"]))
    history = fit(_kind(), model, loss, table, size, plan, out / CHECKPOINTS, on_step)
    model.eval().save_pretrained(str(out), create_model_card=False)
    _refuse_another(model, out, examples[0])
    weights = f"sha256:{sha256(out / 'model.safetensors')}"
    used = {key: getattr(plan, key) for key in SETTINGS}
    finish(out, name, str(start), weights, examples, used, history)
    return weights


def pairs(order: Sequence[Row]) -> dict[str, list[Any]]:
    """The columns query, passage and label of the rows, in their order.

    A passage of the positive's own document is no negative, and is left out.
    """
    table: dict[str, list[Any]] = {"query": [], "passage": [], "label": []}
    for row in order:
        for at, (passage, group) in enumerate(zip(row.passages, row.groups, strict=True)):
            if at and group == row.groups[0]:
                continue
            table["query"].append(row.query)
            table["passage"].append(passage)
            table["label"].append(0.0 if at else 1.0)
    return table


def _model(start: Path, plan: Plan) -> Any:
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    torch.manual_seed(plan.seed)  # draws a new head
    try:
        return CrossEncoder(
            str(start),
            num_labels=1,
            max_length=plan.length,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise TrainingError(
            f"no reranker can be trained from {start}",
            cause=str(error).splitlines()[0],
            hint="Name a folder of an encoder, or of a cross-encoder with one score, as published",
        ) from error


def _kind() -> Kind:
    from sentence_transformers.cross_encoder import (
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )

    return Kind(CrossEncoderTrainer, CrossEncoderTrainingArguments, {})


def _refuse_another(model: Any, out: Path, example: Example) -> None:
    """Raise TrainingError where the files give other scores than the trained model."""
    from torch.nn import Identity

    from retrieval.reranking.local_cross_encoder import TorchScorer

    pair = (example.query, example.pos[0])
    trained = float(model.predict([pair], activation_fn=Identity(), show_progress_bar=False)[0])
    # a GPU's half precision would differ by more than a fault does
    found = float(TorchScorer(out, "float32").scores(pair[0], [pair[1]])[0])
    if not abs(trained - found) <= _TOLERANCE * max(1.0, abs(trained)):
        raise TrainingError(
            f"{out.name} was trained otherwise than it would be used",
            cause=f"the same pair scores {trained:.4f} and {found:.4f}",
            hint="Report it with the model's config.json",
        )
