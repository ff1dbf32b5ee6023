"""Trains an encoder of the registry on examples, with sentence-transformers and PEFT.

The result is a folder: `model.safetensors` and `config.json` with the tokenizer's files, `row.json`
(the row of the registry) and `README.md` (what it was trained on). The weights are loaded once more
by the encoder that will use them, and their vectors compared with those of the trained network, so
that a template, a mask or a pooling that differs between training and use is found before then.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from data.files import replacing
from retrieval.encoders.registry import EncoderRow
from retrieval.errors import RetrievalError
from retrieval.training.batches import Row, rows
from retrieval.training.examples import Example, TrainingDataError

Method = Literal["infonce", "redapter"]
ROW_FILE = "row.json"
HISTORY_FILE = "training.json"
_CHECKPOINTS = "checkpoints"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_AGREEMENT = 0.999
"""Lowest cosine between a text's vector in training and in use that counts as the same."""


class TrainingError(RetrievalError):
    """A training that cannot be done, or whose result is not what was trained."""


@dataclass(frozen=True)
class Plan:
    """How an encoder is trained.

    Attributes:
        method: `infonce`, or `redapter` where the examples have reasoned queries.
        epochs: how often every example is seen.
        batch_size: examples of a step on each device; the in-batch negatives come from all.
        mini_batch_size: texts that are in memory at once.
        negatives: hard negatives of an example.
        rate: highest learning rate.
        warmup: share of the steps in which it rises.
        constant: whether it then stays, rather than falling to 0.
        temperature: of the loss.
        length: tokens kept of a text.
        lora: whether low-rank adapters are trained and merged, rather than all weights.
        rank: of the adapters; alpha is twice that.
        bf16: mixed precision; None where there is a GPU that has it.
        start_step: steps before Redapter weighs.
        keep: share of the trained weights in the result; the rest is the start's (Wortsman et al.
            2022, https://arxiv.org/abs/2109.01903), which keeps what the model knew.
        seed: decides the order, the positives, and what is dropped out.
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


PRESETS: dict[str, Plan] = {
    "laptop": Plan(),
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

OnStep = Callable[[int, int, float], None]
"""Told of a step: its number, how many there are, and its loss."""


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

    Args:
        row: the encoder that is trained.
        start: the folder of its files.
        examples: what it is trained on.
        plan: how.
        out: folder of the result.
        name: of the new row.
        on_step: told of progress.

    Returns:
        The row that was written.

    Raises:
        TrainingDataError: the examples do not fill a batch, or lack the reasoned queries.
        TrainingError: the result does not give the vectors that were trained.
    """
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
    history = _fit(model, row, order, plan, out / _CHECKPOINTS, on_step)
    network = _merged(model, start, plan)
    network.save_pretrained(out, safe_serialization=True)
    for file in _TOKENIZER:
        if (start / file).is_file():
            shutil.copyfile(start / file, out / file)
    made = _row(row, out / "model.safetensors", name)
    _refuse_another(model, made, out, examples[0], plan.length)
    _write(out / ROW_FILE, made.model_dump_json(indent=1))
    _write(out / HISTORY_FILE, json.dumps(history, indent=1))
    _write(out / "README.md", _card(row, made, examples, plan, history))
    shutil.rmtree(out / _CHECKPOINTS, ignore_errors=True)
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


def _fit(
    model: Any,
    row: EncoderRow,
    order: Sequence[Row],
    plan: Plan,
    folder: Path,
    on_step: OnStep | None,
) -> list[dict[str, float]]:
    """Run the trainer over the rows in their order; returns the loss of every step."""
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from transformers import PrinterCallback, TrainerCallback

    from retrieval.training.contrastive import ContrastiveLoss

    redapter = plan.method == "redapter"
    loss = ContrastiveLoss(
        model, plan.temperature, plan.mini_batch_size,
        redapter=redapter, start_step=plan.start_step,
    )  # fmt: skip

    class Watching(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            loss.step = state.global_step

        def on_log(self, args: Any, state: Any, control: Any, **named: Any) -> None:  # noqa: ARG002
            if on_step and "loss" in named["logs"]:
                on_step(state.global_step, state.max_steps, named["logs"]["loss"])

    gpu = torch.cuda.is_available()
    bf16 = plan.bf16 if plan.bf16 is not None else gpu and torch.cuda.is_bf16_supported()
    prompts = {"query": row.query_prefix(), "reasoning_query": row.query_prefix()}
    prompts |= {column: row.passage_prefix() for column in _columns(plan.negatives)}
    checkpointing: dict[str, Any] = {"gradient_checkpointing": True} if plan.lora else {}
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the rows are those of all epochs
        per_device_train_batch_size=plan.batch_size,
        learning_rate=plan.rate,
        lr_scheduler_type="constant_with_warmup" if plan.constant else "linear",
        warmup_steps=plan.warmup,
        bf16=bf16,
        **checkpointing,
        dataloader_pin_memory=gpu,
        prompts={column: prompt for column, prompt in prompts.items() if prompt},
        batch_sampler=_in_order,
        dataloader_drop_last=True,
        save_strategy="steps",
        save_steps=plan.save_steps,
        save_total_limit=1,
        logging_steps=1,
        report_to="none",
        seed=plan.seed,
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(_table(order, plan.negatives, redapter=redapter)),
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
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    changes = {
        "name": name,
        "model_id": f"trained/{name}",
        "revision": f"sha256:{digest}",
        "backends": tuple(one for one in row.backends if one in {"onnx", "transformers"}),
        "bright": None,
        "bright_source": "",
        "source": "",
    }
    return row.model_copy(update=changes)


def _card(
    row: EncoderRow,
    made: EncoderRow,
    examples: Sequence[Example],
    plan: Plan,
    history: Sequence[dict[str, float]],
) -> str:
    kinds: dict[str, int] = {}
    for one in examples:
        kinds[one.kind or "unnamed"] = kinds.get(one.kind or "unnamed", 0) + 1
    last = history[-max(1, len(history) // 20) :]
    lines = [
        f"# {made.name}",
        "",
        f"Trained from {row.model_id} ({row.revision}, licence {row.licence}).",
        f"Weights: {made.revision}.",
        "",
        f"Data: {len(examples)} examples ("
        + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        + f"), {sum(len(one.pos) for one in examples)} positives, "
        f"{sum(len(one.neg) for one in examples)} negatives.",
        "",
        f"Loss: {history[0]['loss']:.3f} at first, "
        f"{sum(one['loss'] for one in last) / len(last):.3f} at the end, {len(history)} steps.",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in asdict(plan).items()),
        "",
    ]
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())
