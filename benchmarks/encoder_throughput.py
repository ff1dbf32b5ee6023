"""Tokens a second of the `transformers` encoder, as shares of what the device could do.

Two ratios from one run, for passages of 256, 512 and 2048 tokens and for mixed lengths: the share
of the matrix rate that the device reaches with bfloat16 products of the model's own shape (float32
on a processor), and the speed against sentence-transformers' `encode` on the same weights. The
weights are random and made on the spot, in the exact shape of ReasonIR-8B (`--shape 8b`, a GPU with
40 GB) or a tiny one (`--shape tiny`, which only proves that the script runs): speed depends on
shapes alone.

    .venv/bin/python -m benchmarks.encoder_throughput --shape 8b --tokens 400000

Operations are counted as 2 N a token for the N weights of the layers, and 4 x layers x width x
length a token for attention (Kaplan et al. 2020, https://arxiv.org/abs/2001.08361, table 1).
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.common import heading, table
from retrieval.encoders.local.transformer import TransformersEncoder
from retrieval.encoders.registry import row

LONGEST = 2048
BATCHES = (8, 32, 128)
"""Batch sizes that sentence-transformers is given; its best one counts."""
ROUNDS = 3


class Shape(NamedTuple):
    """A Llama by its numbers."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int

    @property
    def weights(self) -> int:
        """Weights of the layers' matrices."""
        keys = self.hidden * self.kv_heads // self.heads
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * keys
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    def flops(self, lengths: Sequence[int]) -> float:
        """Operations to encode texts of these lengths."""
        return sum(
            2.0 * self.weights * n + 4.0 * self.layers * self.hidden * n * n for n in lengths
        )


SHAPES = {"8b": Shape(4096, 32, 32, 8, 14_336, 128_256), "tiny": Shape(256, 2, 4, 2, 512, 2000)}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--tokens", type=int, default=400_000, help="tokens of each measurement")
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[16_384, 32_768, 65_536])
    parser.add_argument("--out", type=Path, help="write the rows as JSON, too")
    given = parser.parse_args()
    shape = SHAPES[given.shape]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    heading(f"Encoder throughput, {given.shape} ({shape.weights / 1e9:.2f} G weights), {device}")
    if device == "cpu" and given.shape == "8b":
        raise SystemExit("no GPU here: --shape tiny shows that the script runs")
    rate = matrix_rate(shape, device)
    print(f"matrix rate {rate / 1e12:.2f} TFLOP/s; torch {torch.__version__}\n")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint(Path(folder), shape, device)
        rows = measure(Path(folder), shape, device, rate, given)
    table(list(rows[0]), [list(each.values()) for each in rows])
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1), "utf-8")


def measure(
    folder: Path, shape: Shape, device: str, rate: float, given: argparse.Namespace
) -> list[dict[str, object]]:
    """A row for each kind of text; the two programs take turns, and the best run of each counts."""
    texts = {
        name: passages(lengths(name, given.tokens)) for name in ("256", "512", "2048", "mixed")
    }
    ours = TransformersEncoder(row("reasonir-8b"), folder, passage_length=LONGEST)
    theirs = sentence_transformer(folder, device)
    warm = texts["mixed"][:32]
    ours.encode_passages(warm)
    theirs.encode(warm)
    rows = []
    for name, kind in texts.items():
        tokens = ours.encode_passages(kind).tokens
        fastest: dict[tuple[str, int], float] = {}
        for _ in range(ROUNDS):
            for budget in given.batch_tokens:
                ours.batch_tokens = budget
                note(fastest, ("ours", budget), partial(ours.encode_passages, kind))
            for batch in BATCHES:
                encode = partial(theirs.encode, batch_size=batch, show_progress_bar=False)
                note(fastest, ("theirs", batch), partial(encode, list(kind)))
        (seconds, budget), (other, batch) = (best(fastest, who) for who in ("ours", "theirs"))
        rows.append(
            {
                "tokens a passage": name,
                "passages": len(kind),
                "tokens/s": round(sum(tokens) / seconds),
                "batch tokens": budget,
                "share of matrix rate": f"{shape.flops(tokens) / seconds / rate:.1%}",
                "sentence-transformers tokens/s": round(sum(tokens) / other),
                "its batch": batch,
                "ratio": f"{other / seconds:.2f}",
            }
        )
    return rows


def note(
    fastest: dict[tuple[str, int], float], name: tuple[str, int], work: Callable[[], Any]
) -> None:
    """Keep the shortest time of a program in one of its set-ups, if it fits into memory."""
    try:
        seconds = timed(work)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return
    fastest[name] = min(seconds, fastest.get(name, seconds))


def best(fastest: dict[tuple[str, int], float], who: str) -> tuple[float, int]:
    """Seconds and set-up of a program's fastest run."""
    return min((seconds, setup) for (name, setup), seconds in fastest.items() if name == who)


def timed(work: Callable[[], Any]) -> float:
    """Seconds until the work, and the device, are done."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def lengths(kind: str, tokens: int) -> list[int]:
    """Passage lengths that sum to about `tokens`; mixed ones as of web pages, mostly short."""
    draw = random.Random(7)
    if kind != "mixed":
        return [int(kind)] * max(1, tokens // int(kind))
    chosen: list[int] = []
    while sum(chosen) < tokens:
        chosen.append(min(LONGEST, max(16, int(draw.lognormvariate(5.5, 1.0)))))
    return chosen


def passages(wanted: Sequence[int]) -> list[str]:
    """A text of each length; a word is a token, and the template takes three to five more."""
    draw = random.Random(11)
    return [" ".join(draw.choices(WORDS, k=max(1, length - 8))) for length in wanted]


WORDS = [f"{first}{second}" for first in "bcdfgklmnprst" for second in "aeiou"]


def matrix_rate(shape: Shape, device: str) -> float:
    """Operations a second of the largest product of a layer, the best of a few sizes."""
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    best = 0.0
    for rows in (4096, 8192, 16_384) if device == "cuda" else (512, 2048):
        left = torch.randn(rows, shape.hidden, device=device, dtype=kind)
        right = torch.randn(shape.hidden, 2 * shape.intermediate, device=device, dtype=kind)
        repeats = 50 if device == "cuda" else 5
        multiply(left, right, 3)
        seconds = min(timed(partial(multiply, left, right, repeats)) for _ in range(ROUNDS))
        operations = 2.0 * rows * shape.hidden * 2 * shape.intermediate * repeats
        best = max(best, operations / seconds)
    return best


def multiply(left: Any, right: Any, repeats: int) -> None:
    """The same product again and again."""
    for _ in range(repeats):
        left @ right


def checkpoint(folder: Path, shape: Shape, device: str) -> None:
    """Random weights and a tokenizer of words, as files."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoModel, LlamaConfig, PreTrainedTokenizerFast

    config = LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary,
        max_position_embeddings=131_072,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        architectures=["ReasonIRModel"],
    )
    with torch.device(device):
        model = AutoModel.from_config(
            config, dtype=torch.bfloat16 if device == "cuda" else torch.float32
        )
    model.save_pretrained(folder)
    del model
    special = ["<s>", "</s>", "<pad>", "<unk>"]
    vocabulary = {token: at for at, token in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        padding_side="right",
    ).save_pretrained(folder)  # fmt: skip


def sentence_transformer(folder: Path, device: str) -> Any:
    """The same weights in sentence-transformers: bidirectional, mean, normalised."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    kind = torch.bfloat16 if device == "cuda" else torch.float32
    words = Transformer(str(folder), max_seq_length=LONGEST, model_kwargs={"dtype": kind})
    words.auto_model.config.is_causal = False
    pooling = Pooling(words.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[words, pooling, Normalize()], device=device)


if __name__ == "__main__":
    main()
