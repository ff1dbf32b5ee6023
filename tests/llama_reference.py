"""ReasonIR's vectors from the formulas, in float64 and numpy, slowly: to judge encoders by.

Llama as in Touvron et al. 2023 (https://arxiv.org/abs/2302.13971): RMSNorm (Zhang and Sennrich
2019), rotary positions (Su et al. 2021) with Llama 3.1's scaling, grouped queries (Ainslie et al.
2023), SwiGLU (Shazeer 2020). It shares no code with torch, transformers or ours.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Array = NDArray[np.float64]


class LlamaReference:
    """A checkpoint folder, read into float64."""

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        stored = load_file(folder / "model.safetensors")
        self.weights = {name: array.astype(np.float64) for name, array in stored.items()}

    def states(self, ids: list[int], *, causal: bool = False) -> Array:
        """The last hidden states, [tokens, width]."""
        x = self.weights["embed_tokens.weight"][ids]
        see = np.ones((len(ids), len(ids)), bool)
        see = np.tril(see) if causal else see
        for layer in range(self.config["num_hidden_layers"]):
            x = x + self._attention(self._norm(x, f"layers.{layer}.input_layernorm"), layer, see)
            h = self._norm(x, f"layers.{layer}.post_attention_layernorm")
            gate, up, down = (
                self.weights[f"layers.{layer}.mlp.{name}_proj.weight"]
                for name in ("gate", "up", "down")
            )
            g = h @ gate.T
            x = x + (g / (1 + np.exp(-g)) * (h @ up.T)) @ down.T
        return self._norm(x, "norm")

    def vector(self, ids: list[int], start: int, *, causal: bool = False) -> Array:
        """The unit mean of the states from `start` on, [width]."""
        mean = self.states(ids, causal=causal)[start:].mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _norm(self, x: Array, name: str) -> Array:
        scale = np.sqrt((x**2).mean(axis=-1, keepdims=True) + self.config["rms_norm_eps"])
        return x / scale * self.weights[f"{name}.weight"]

    def _attention(self, x: Array, layer: int, see: NDArray[np.bool_]) -> Array:
        q, k, v, o = (
            self.weights[f"layers.{layer}.self_attn.{name}_proj.weight"] for name in "qkvo"
        )
        heads, kv_heads = (
            self.config["num_attention_heads"],
            self.config["num_key_value_heads"],
        )
        width, out = self.config["head_dim"], []
        cos, sin = self._rotary(len(x))
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            group = head // (heads // kv_heads)
            shared = slice(group * width, (group + 1) * width)
            query, key = (_turn(x @ w.T, cos, sin) for w in (q[own], k[shared]))
            scores = np.where(see, query @ key.T / np.sqrt(width), -np.inf)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            out.append(weights / weights.sum(axis=-1, keepdims=True) @ (x @ v[shared].T))
        return np.concatenate(out, axis=-1) @ o.T

    def _rotary(self, tokens: int) -> tuple[Array, Array]:
        scaling, width = self.config["rope_scaling"], self.config["head_dim"]
        frequency = self.config["rope_theta"] ** (-np.arange(0, width, 2) / width)
        turns = scaling["original_max_position_embeddings"] * frequency / (2 * np.pi)
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        keep = np.clip((turns - low) / (high - low), 0, 1)
        frequency = keep * frequency + (1 - keep) * frequency / scaling["factor"]
        angles = np.arange(tokens)[:, None] * frequency
        return np.cos(angles), np.sin(angles)


def _turn(x: Array, cos: Array, sin: Array) -> Array:
    one, two = np.split(x, 2, axis=-1)
    return np.concatenate([one * cos - two * sin, two * cos + one * sin], axis=-1)
