"""What lies beside trained weights: where they come from, and what they were trained on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.training.examples import Example


def card(
    name: str,
    origin: str,
    weights: str,
    examples: Sequence[Example],
    settings: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
) -> str:
    """The card of a trained model, in Markdown."""
    kinds = Counter(one.kind or "unnamed" for one in examples)
    last = history[-max(1, len(history) // 20) :]
    lines = [
        f"# {name}",
        "",
        f"Trained from {origin}.",
        f"Weights: {weights}.",
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
        *(f"| {key} | {value} |" for key, value in settings.items()),
        "",
    ]
    return "\n".join(lines)
