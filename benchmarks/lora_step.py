"""Rate and memory of a LoRA training step of a model shaped as ReasonIR-8B, with random weights.

    python -m benchmarks.lora_step [--batches 1 2 4 8] [--tokens 2048] [--steps 3]

The shape is Llama-3.1-8B's without the head (32 layers, 4,096 wide, 8 key-value heads; 7.50 B
weights), bidirectional, in bfloat16 with gradient checkpointing. LoRA is ReasonEmbed's: rank 32,
alpha 64, on all seven projections of a layer. A step is what `rag-app train` does for a batch of
pairs: query and positive through the network twice (cached gradients), InfoNCE, AdamW. Only the
time and the memory mean anything: the weights are random. Needs torch, transformers,
sentence-transformers and peft, and a GPU of 40 GB or more.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, ALPHA, TEMPERATURE = 32, 64, 0.02


def network(layers: int, device: str) -> Any:
    """The shape with random weights and LoRA, ready to train."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaModel

    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        use_cache=False,
        attn_implementation="sdpa",
    )
    config.is_causal = False
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = LlamaModel(config)
    torch.set_default_dtype(torch.float32)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()
    lora = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, task_type="FEATURE_EXTRACTION"
    )
    return get_peft_model(model, lora).train()


class MeanPooled(torch.nn.Module):
    """The network as the loss calls it: the mean of the last states, without padding."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Vectors [texts, 4096] of token ids [texts, tokens]."""
        states = self.network(input_ids=features["input_ids"]).last_hidden_state
        return {"sentence_embedding": states.mean(dim=1, dtype=torch.float32)}


def measure(model: Any, pairs: int, tokens: int, piece: int, steps: int) -> tuple[float, float]:
    """Seconds of a step, and the peak of the GPU's memory in GiB."""
    from retrieval.training.contrastive import ContrastiveLoss

    device = next(model.parameters()).device
    loss = ContrastiveLoss(model, TEMPERATURE, piece)
    trained = [one for one in model.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    torch.cuda.reset_peak_memory_stats()
    began = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first one warms up
            torch.cuda.synchronize()
            began = time.monotonic()
        features = [
            {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            for ids in (torch.randint(0, 128_000, (pairs, tokens), device=device) for _ in range(2))
        ]
        with torch.autocast("cuda", torch.bfloat16):
            value = loss(features)
        value.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    return (time.monotonic() - began) / steps, torch.cuda.max_memory_allocated() / 2**30


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--pieces", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    chosen = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit("lora_step: there is no GPU here")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    model = MeanPooled(network(chosen.layers, "cuda"))
    weights = sum(one.numel() for one in model.parameters())
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    print(f"{weights / 1e9:.2f} B weights, {trained / 1e6:.0f} M trained, {chosen.tokens} tokens\n")
    print("| pairs a step | texts at once | s a step | tokens/s | GiB |\n|---|---|---|---|---|")
    for pairs in chosen.batches:
        for piece in chosen.pieces:
            if piece > pairs:
                continue
            try:
                seconds, memory = measure(model, pairs, chosen.tokens, piece, chosen.steps)
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                print(f"| {pairs} | {piece} | out of memory | | |", flush=True)
                continue
            rate = 2 * pairs * chosen.tokens / seconds
            print(f"| {pairs} | {piece} | {seconds:.2f} | {rate:,.0f} | {memory:.1f} |", flush=True)


if __name__ == "__main__":
    main()
