"""Tiny checkpoints with random weights, made on the spot: the real file formats without a download.

The weights are as large as a trained model's activations need, and those of the normalisations are
random too, so a vector from the wrong mask, pooling, position or prefix is clearly another one.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

BOS, EOS, PAD = "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"
"""The special tokens of Llama 3.1, with the ids 0, 1 and 2."""

_VOCABULARY = 1000
_WITH_HEAD = {
    "Qwen2ForCausalLM": "AutoModelForCausalLM",
    "Qwen2ForSequenceClassification": "AutoModelForSequenceClassification",
    "BertForSequenceClassification": "AutoModelForSequenceClassification",
}
_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_llama(
    folder: Path,
    *,
    seed: int = 0,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 2,
    kv_heads: int = 1,
    positions: int = 4096,
    architecture: str = "ReasonIRModel",
    dtype: Literal["float32", "bfloat16"] = "float32",
    bos: bool = True,
) -> Path:
    """A checkpoint of the shape of ReasonIR-8B's: bare Llama, no head, no `is_causal`.

    Its positions are scaled as Llama 3.1's are, by 8 from an eighth of `positions`, so that the
    scaling is at work in short texts too. `hidden` / `heads` must be 32 or more for vLLM on a CPU.

    Args:
        folder: where the files are written; returned.
        bos: whether the tokenizer puts the start token first; without is a known damage.
    """
    from transformers import LlamaConfig

    config = LlamaConfig(
        **_decoder(hidden, layers, heads, kv_heads, positions),
        bos_token_id=0,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 500_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": positions // 8,
        },
    )
    _write_model(folder, config, seed, architecture, dtype)
    _write_tokenizer(
        folder, f"{BOS} $A" if bos else "$A", {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
    )
    return folder


def tiny_qwen(folder: Path, *, seed: int = 0, eos: bool = False) -> Path:
    """A causal Qwen3 for last-token pooling: no start token; pads on the left as published.

    Args:
        folder: where the files are written; returned.
        eos: whether the tokenizer itself puts the end-of-text token last.
    """
    from transformers import Qwen3Config

    config = Qwen3Config(**_decoder(64, 2, 2, 1, 4096), use_sliding_window=False)
    _write_model(folder, config, seed, "Qwen3ForCausalLM", "float32")
    _write_tokenizer(
        folder,
        f"$A {EOS}" if eos else "$A",
        {"eos_token": EOS, "pad_token": PAD, "padding_side": "left"},
    )
    return folder


def tiny_chat(folder: Path, *, seed: int = 0, layers: int = 2, words: Sequence[str] = ()) -> Path:
    """A causal Qwen2 with a head and the ChatML template, for chats, completions and odds.

    Its answers are noise. Digits, and the words ``true`` and ``false`` after a blank, are tokens of
    their own, so that the odds of grades and verdicts can be read.

    Args:
        folder: where the files are written; returned.
    """
    from transformers import Qwen2Config

    shape = {**_decoder(64, layers, 2, 1, 8192), "eos_token_id": 2, "pad_token_id": 0}
    del shape["head_dim"]  # Qwen2 divides the width by the heads
    config = Qwen2Config(**shape, use_sliding_window=False, tie_word_embeddings=False)
    _write_model(folder, config, seed, "Qwen2ForCausalLM", "float32")
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": _CHATML}
    _write_tokenizer(folder, "$A", names, special, extra=[" true false", *words] * 1000)
    return folder


def tiny_cross_encoder(folder: Path, *, seed: int = 0) -> Path:
    """A Qwen2 that gives one score to a pair of texts.

    Args:
        folder: where the files are written; returned.
    """
    from transformers import Qwen2Config

    shape = _decoder(64, 2, 2, 1, 4096)
    del shape["head_dim"]
    config = Qwen2Config(**shape, use_sliding_window=False, num_labels=1)
    _write_model(folder, config, seed, "Qwen2ForSequenceClassification", "float32")
    _write_tokenizer(folder, "$A", {"eos_token": EOS, "pad_token": PAD})
    return folder


def tiny_bert(folder: Path, *, seed: int = 0, pairs: bool = False, labels: int = 1) -> Path:
    """A BERT for pooling by the mean or the first token; its texts are ``[CLS] text [SEP]``.

    With `pairs`, a cross-encoder of that many labels, over ``[CLS] query [SEP] passage [SEP]``.
    """
    from transformers import BertConfig

    config = BertConfig(
        vocab_size=_VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=512,
        pad_token_id=2,
        initializer_range=0.15,
        num_labels=labels,
    )
    architecture = "BertForSequenceClassification" if pairs else "BertModel"
    _write_model(folder, config, seed, architecture, "float32")
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    special = ("[CLS]", "[SEP]", "[PAD]")
    _write_tokenizer(folder, "[CLS] $A [SEP]", names, special, pair=pairs)
    return folder


def _decoder(
    hidden: int, layers: int, heads: int, kv_heads: int, positions: int
) -> dict[str, object]:
    return {
        "vocab_size": _VOCABULARY,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": hidden // heads,
        "intermediate_size": 2 * hidden,
        "max_position_embeddings": positions,
        "initializer_range": 0.15,
        "rms_norm_eps": 1e-5,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }


def _write_model(folder: Path, config: Any, seed: int, architecture: str, dtype: str) -> None:
    """Random weights, drawn here so that the global generator is left alone."""
    import torch
    import transformers

    loader = getattr(transformers, _WITH_HEAD.get(architecture, "AutoModel"))
    model = loader.from_config(config, dtype=torch.float32)
    draw = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        is_norm = "norm" in name.lower() and name.endswith("weight")
        noise = torch.randn(weight.shape, generator=draw)
        weight.data = 1 + 0.3 * noise if is_norm else config.initializer_range * noise
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    path = folder / "config.json"
    written = json.loads(path.read_text("utf-8"))
    written["architectures"] = [architecture]
    rope = written.pop("rope_parameters", {})  # published files have the names of transformers 4
    if rope.get("rope_type") == "llama3":
        written |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    elif rope:
        written["rope_theta"] = rope["rope_theta"]
    path.write_text(json.dumps(written, indent=1, sort_keys=True), encoding="utf-8")


def _write_tokenizer(
    folder: Path,
    template: str,
    names: Mapping[str, str],
    special: Sequence[str] = (BOS, EOS, PAD),
    extra: Sequence[str] = (),
    *,
    pair: bool = False,
) -> None:
    """A byte-level BPE of Python's own help texts, and of extra ones."""
    from pydoc_data.topics import topics

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [topics[name] for name in sorted(topics)[:40]]
    tokenizer.train_from_iterator([*texts, *extra], trainer)
    ids = [(token, special.index(token)) for token in special if token in template]
    if ids:
        two = f"{template} $B:1 {special[1]}:1" if pair else None
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, pair=two, special_tokens=ids
        )
    read = ["input_ids", "attention_mask", *(["token_type_ids"] if pair else [])]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=131_072, model_input_names=read, **names
    )
    fast.save_pretrained(folder)
