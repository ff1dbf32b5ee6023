"""How a row of the registry is served by vLLM: the command, so that a server gives its vectors.

Written against vLLM 0.32. Each setting matters: without them it serves most of these models too,
with vectors of the right shape that are not the model's.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from retrieval.encoders.errors import EncoderError
from retrieval.encoders.registry import EncoderRow

PLUGIN = "./retrieval/vllm_plugin"
"""The vLLM plugin, from the root of the repository."""

_INSTRUCTED = {
    "query_template": "<|user|>\n{instruction}\n<|embed|>\n{text}",
    "document_template": "<|embed|>\n{text}",
    "plain_template": "{text}",
}
"""The only templates whose ends the plugin finds (`rag_app_vllm.prefix`)."""


class NotServableError(EncoderError):
    """An encoder that vLLM cannot run, or not with the vectors that its row promises."""


@dataclass(frozen=True)
class ServeCommand:
    """A command that starts a server."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    notes: tuple[str, ...]

    def shell(self) -> str:
        """The command for a POSIX shell, one option a line."""
        command, *options = _by_option(self.argv)
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.env.items()]
        return " \\\n    ".join([" ".join([*settings, command]), *options])


def serve_command(
    row: EncoderRow,
    model: str = "",
    *,
    host: str = "127.0.0.1",
    port: int = 8001,
    dtype: str = "auto",
    tensor_parallel: int = 1,
) -> ServeCommand:
    """The command that serves `row` over ``/v1/embeddings``.

    Args:
        dtype: of weights and activations; ``auto`` takes the checkpoint's, in 16 bits if it has 32.

    Raises:
        NotServableError: no vLLM server gives the vectors of this row.
    """
    _check(row)
    overrides: dict[str, object] = {}
    if not row.causal:
        overrides["is_causal"] = False
    if not row.pool_prefix:
        overrides["architectures"] = ["TextMeanModel"]
    pooler = {"pooling_type": row.pooling.upper(), "use_activation": row.normalise}
    options = {
        "host": host,
        "port": port,
        "revision": "" if model or ":" in row.revision else row.revision,
        "served-model-name": row.model_id,
        "runner": "pooling",
        "convert": "embed",
        "hf-overrides": json.dumps(overrides) if overrides else "",
        "pooler-config": json.dumps(pooler),
        "load-format": "safetensors",
        "dtype": dtype,
        "max-model-len": max(row.passage_length, row.query_length),
        "tensor-parallel-size": tensor_parallel if tensor_parallel > 1 else "",
    }
    flags = [word for name, value in options.items() if value for word in (f"--{name}", str(value))]
    if row.append_eos:
        flags.append("--enable-tokenizer-info-endpoint")
    return ServeCommand(
        argv=("vllm", "serve", model or row.model_id, *flags),
        env={"VLLM_NO_USAGE_STATS": "1"},
        notes=_notes(row, host),
    )


def _check(row: EncoderRow) -> None:
    if "vllm" not in row.backends:
        raise NotServableError(
            f"encoder {row.name} cannot be served by vLLM",
            cause=f"its row names only {', '.join(row.backends)}",
            hint=f"Run it with {row.backends[0]}",
        )
    templates = {name: getattr(row, name) for name in _INSTRUCTED}
    if not row.pool_prefix and templates != _INSTRUCTED:
        raise NotServableError(
            f"vLLM would give encoder {row.name} other vectors than its row",
            cause="the prefix is to be left out of the mean, and the server finds only ReasonIR's",
            hint="Run it with the transformers backend",
        )


def _notes(row: EncoderRow, host: str) -> tuple[str, ...]:
    notes = []
    if not row.pool_prefix:
        notes.append(
            "The server needs the plugin of this repository, which leaves instructions out of the "
            f"mean: pip install {PLUGIN}, in vLLM's environment. Without it, it does not start."
        )
    if row.append_eos:
        notes.append(
            "The server does not put the end token last, as this model needs: clients must, after "
            "any truncation. rag-app asks the server which it is."
        )
    if host not in {"127.0.0.1", "localhost", "::1"}:
        notes.append(
            "Anyone who reaches this address can use the server: set VLLM_API_KEY. It guards /v1 "
            "alone; keep the other paths from strangers by a proxy or firewall."
        )
    notes.append("Compare it with golden vectors before the first ingest: rag-app golden, doctor.")
    return tuple(notes)


def _by_option(argv: tuple[str, ...]) -> list[str]:
    """The quoted words of a command, each option with its value in one string."""
    lines: list[list[str]] = [[]]
    for word in argv:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(word)
    return [shlex.join(line) for line in lines]
