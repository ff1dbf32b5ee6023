"""Trains an encoder of the registry on examples, with sentence-transformers and PEFT.

The result is a folder: `model.safetensors` and `config.json` with the tokenizer's files, `row.json`
(the row of the registry) and `README.md` (what it was trained on). The weights are loaded once more
by the encoder that will use them, and their vectors compared with those of the trained network, so
that a template, a mask or a pooling that differs between training and use is found before then.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data.files import sha256, write_text
from retrieval.encoders.registry import EncoderRow
from retrieval.training.batches import Row, rows
from retrieval.training.examples import Example, TrainingDataError
from retrieval.training.trainer import (
    CHECKPOINTS,
    Kind,
    OnStep,
    Plan,
    TrainingError,
    finish,
    fit,
)

ROW_FILE = "row.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_AGREEMENT = 0.999
"""Lowest cosine between a text's vector in training and in use that counts as the same."""


PRESETS: dict[str, Plan] = {
    "laptop": Plan(keep=0.5),
    # facebookresearch/ReasonIR, training/train.sh: 2,048 pairs a step with one hard negative each,
    # for 1,000 steps; a device here takes what 128 took there.
    "reasonir": Plan(
        epochs=6, batch_size=2048, mini_batch_size=4, negatives=1, rate=2e-5, warmup=0.06,
        constant=True, temperature=0.02, length=2048,
    ),
    # VectorSpaceLab/agentic-search, ReasonEmbed/training/train.sh.
    "reason-embed": Plan(
        method="redapter", epochs=1, batch_size=64, mini_batch_size=8, negatives=15, rate=1e-4,
        temperature=0.02, length=512, lora=True,
    ),
}  # fmt: skip
"""Settings by name, the published ones with their source."""


def train(
    row: EncoderRow,
    start: Path,
    examples: Sequence[Example],
    plan: Plan,
    out: Path,
    name: str,
    on_step: OnStep | None = None,
) -> EncoderRow:
    """Train, and write the folder `out`; interrupted, the same call goes on.

    Returns:
        The row that was written.

    Raises:
        TrainingDataError: the examples do not fill a batch, or lack the reasoned queries.
        TrainingError: the result does not give the vectors that were trained.
    """
    from retrieval.training.contrastive import ContrastiveLoss

    if plan.method == "redapter" and not all(one.reasoning_query for one in examples):
        raise TrainingDataError(
            "redapter needs a reasoned query for each example",
            cause="`reasoning_query` is missing",
            hint="Train with --method infonce, or make the data with `rag-app synthesize`",
        )
    order = rows(
        examples,
        batch_size=plan.batch_size,
        negatives=plan.negatives,
        epochs=plan.epochs,
        seed=plan.seed,
    )
    out.mkdir(parents=True, exist_ok=True)
    model = _model(row, start, plan)
    redapter = plan.method == "redapter"
    loss = ContrastiveLoss(
        model, plan.temperature, plan.mini_batch_size,
        redapter=redapter, start_step=plan.start_step,
    )  # fmt: skip
    history = fit(
        _kind(row, loss, plan), model, loss, _table(order, plan.negatives, redapter=redapter),
        plan.batch_size, plan, out / CHECKPOINTS, on_step,
    )  # fmt: skip
    network = _merged(model, start, plan)
    network.save_pretrained(out, safe_serialization=True)
    for file in _TOKENIZER:
        if (start / file).is_file():
            shutil.copyfile(start / file, out / file)
    made = _row(row, out / "model.safetensors", name)
    _refuse_another(model, made, out, examples[0], plan.length)
    write_text(out / ROW_FILE, made.model_dump_json(indent=1))
    origin = f"{row.model_id} ({row.revision}, licence {row.licence})"
    finish(out, name, origin, made.revision, examples, asdict(plan), history)
    return made


def _model(row: EncoderRow, start: Path, plan: Plan) -> Any:
    """The row's network, pooling and normalisation as sentence-transformers has them."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    torch.manual_seed(plan.seed)
    body = Transformer(
        str(start),
        model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        config_kwargs={"trust_remote_code": False, "local_files_only": True},
        processor_kwargs={"local_files_only": True},
        max_seq_length=plan.length,
    )
    if not row.causal:
        _see_both_ways(body.auto_model)
    mode: Any = {"mean": "mean", "cls": "cls", "last": "lasttoken"}[row.pooling]
    pooling = Pooling(row.dimension, mode, include_prompt=row.pool_prefix)
    parts = [body, pooling, *([Normalize()] if row.normalise else [])]
    model = SentenceTransformer(modules=parts)
    if plan.lora:
        _add_lora(model, plan)
    return model


def _see_both_ways(network: Any) -> None:
    """Let a stock decoder attend to what follows, too; encoders do already.

    The mask goes by the configuration, and attention without a mask by its own attribute.
    """
    network.config.is_causal = False
    network.config.sliding_window = None
    for layer in network.modules():
        if hasattr(layer, "is_causal"):
            layer.is_causal = False


def _add_lora(model: Any, plan: Plan) -> None:
    from peft import LoraConfig

    network = model[0].auto_model
    names = {name.rpartition(".")[2] for name, _ in network.named_modules()}
    there = [one for one in _TARGETS if one in names]
    settings = LoraConfig(
        r=plan.rank,
        lora_alpha=2 * plan.rank,
        target_modules=there or "all-linear",
        task_type="FEATURE_EXTRACTION",
    )
    network.enable_input_require_grads()  # gradient checkpointing would cut the adapters off
    model.add_adapter(settings)


def _merge_lora(network: Any) -> None:
    """Add the adapters to the weights that they belong to, and take them away."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(network.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, layer.get_base_layer())
    network._hf_peft_config_loaded = False


def _kind(row: EncoderRow, loss: Any, plan: Plan) -> Kind:
    """The trainer of encoders, with the row's templates."""
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )

    prompts = {"query": row.query_prefix(), "reasoning_query": row.query_prefix()}
    prompts |= {column: row.passage_prefix() for column in _columns(plan.negatives)}
    options: dict[str, Any] = {
        "prompts": {column: prompt for column, prompt in prompts.items() if prompt}
    }
    if plan.lora:
        options["gradient_checkpointing"] = True

    def count(step: int) -> None:
        loss.step = step

    return Kind(SentenceTransformerTrainer, SentenceTransformerTrainingArguments, options, count)


def _columns(negatives: int) -> list[str]:
    return ["positive", *(f"negative_{at}" for at in range(1, negatives + 1))]


def _table(order: Sequence[Row], negatives: int, *, redapter: bool) -> dict[str, list[Any]]:
    """The rows as columns, in the order in which the loss takes them."""
    table: dict[str, list[Any]] = {"query": [one.query for one in order]}
    for at, column in enumerate(_columns(negatives)):
        table[column] = [one.passages[at] for one in order]
    if redapter:
        table["reasoning_query"] = [one.reasoning_query for one in order]
    table["label"] = [list(one.groups) for one in order]
    return table


def _merged(model: Any, start: Path, plan: Plan) -> Any:
    """The trained network without adapters, mixed with the start's weights."""
    import torch
    from safetensors.torch import load_file

    network = model[0].auto_model
    if plan.lora:
        _merge_lora(network)
    if plan.keep < 1:
        before: dict[str, torch.Tensor] = {}
        for file in sorted(start.glob("model*.safetensors")):
            before |= load_file(file)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if name in before:
                    old = before[name].to(weight.device, weight.dtype)
                    weight.copy_(torch.lerp(old, weight, plan.keep))
    return network.eval()


def _refuse_another(model: Any, made: EncoderRow, out: Path, example: Example, length: int) -> None:
    """Raise TrainingError where the files give other vectors than the trained network."""
    import numpy as np

    from retrieval.encoders.local.transformer import TransformersEncoder

    used = TransformersEncoder(
        made, out, device="cpu", dtype="float32", passage_length=length, query_length=length
    )
    cosines = []
    for text, prefix, encode in (
        (example.query, made.query_prefix(), used.encode_queries),
        (example.pos[0], made.passage_prefix(), used.encode_passages),
    ):
        trained = model.encode([text], prompt=prefix or None, show_progress_bar=False)[0]
        found = encode([text]).vectors[0]
        norms = np.linalg.norm(trained) * np.linalg.norm(found)
        cosines.append(float(trained @ found / norms))
    if not min(cosines) >= _AGREEMENT:
        raise TrainingError(
            f"{made.name} was trained otherwise than it would be used",
            cause=f"the vectors of the same text have cosine {min(cosines):.4f}",
            hint="Report it with the model's config.json; the weights are not registered",
        )


def _row(row: EncoderRow, weights: Path, name: str) -> EncoderRow:
    changes = {
        "name": name,
        "model_id": f"trained/{name}",
        "revision": f"sha256:{sha256(weights)}",
        "backends": tuple(one for one in row.backends if one in {"onnx", "transformers"}),
        "bright": None,
        "bright_source": "",
        "source": "",
    }
    return row.model_copy(update=changes)
