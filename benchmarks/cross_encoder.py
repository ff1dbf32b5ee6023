"""How long a cross-encoder takes in this process, at the shape of ettin-reranker-17m.

    .venv/bin/python -m benchmarks.cross_encoder

The weights are random (ModernBERT of 7 layers, width 256, as the model's config.json has it); the
passages are those of the samples, cut as the application cuts them, and the tokens MiniLM's.
"""

import asyncio
import statistics
import tempfile
import time
from importlib import resources
from pathlib import Path

from llama_index.core.schema import NodeWithScore, TextNode

from benchmarks.common import application, arguments, heading, table
from rag_app.application import Application
from rag_app.service import QueryOptions
from retrieval.encoders.minilm_graph import model_folder
from retrieval.reranking.local_cross_encoder import LocalCrossEncoder

QUESTION = "Why can a pump that ran well in winter cavitate in a hot summer?"
COUNTS = (20, 50, 100)
ROUNDS = 7


def checkpoint(folder: Path) -> Path:
    """A random cross-encoder of that shape."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        ModernBertConfig,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=50_368, hidden_size=256, intermediate_size=384, num_hidden_layers=7,
        num_attention_heads=4, max_position_embeddings=7999, num_labels=1, pad_token_id=0,
        bos_token_id=101, eos_token_id=102, cls_token_id=101, sep_token_id=102,
    )  # fmt: skip
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_file=str(model_folder() / "tokenizer.json"), pad_token="[PAD]",
        cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", mask_token="[MASK]",
        model_max_length=7999,
    ).save_pretrained(folder)  # fmt: skip
    return folder


async def passages(running: Application) -> list[str]:
    """The first hundred that the application finds in its samples."""
    await running.ingest("samples", [Path(str(resources.files("data") / "samples"))])
    found = await running.search("samples", QUESTION, QueryOptions(top_k=max(COUNTS)))
    return [hit.text for hit in found.hits]


async def measure(texts: list[str]) -> None:
    """Print milliseconds of reranking so many passages."""
    with tempfile.TemporaryDirectory() as folder:
        reranker = LocalCrossEncoder(str(checkpoint(Path(folder))))
        rows = []
        for count in COUNTS:
            nodes = [NodeWithScore(node=TextNode(text=text), score=1.0) for text in texts[:count]]
            await reranker.rerank(QUESTION, nodes)
            wall, processor = [], []
            for _ in range(ROUNDS):
                start, before = time.perf_counter(), time.process_time()
                await reranker.rerank(QUESTION, nodes)
                wall.append((time.perf_counter() - start) * 1000)
                processor.append((time.process_time() - before) * 1000)
            words = statistics.mean(len(text.split()) for text in texts[:count])
            times = (statistics.median(wall), min(wall), statistics.median(processor))
            rows.append([len(nodes), f"{words:.0f}", *(f"{taken:.0f}" for taken in times)])
    heading(
        "Reranking with a cross-encoder of 17 M parameters in this process (goal: 20 in 300 ms)"
    )
    table(["passages", "words a passage", "ms, median", "ms, best", "processor ms, median"], rows)


if __name__ == "__main__":
    chosen = arguments(__doc__ or "").parse_args()
    with application(chosen.storage) as app:
        asyncio.run(measure(asyncio.run(passages(app))))
