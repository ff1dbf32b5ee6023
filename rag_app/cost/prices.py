"""What calls of language models cost in money."""

from collections.abc import Mapping

from rag_app.cost.metering import Meter


def dollars_of(meter: Meter, prices: Mapping[str, tuple[float, float]]) -> float | None:
    """US dollars for the calls of a meter; None where a call's price or tokens are not known.

    Args:
        meter: the calls.
        prices: by model, of a million tokens read and of a million written; none: nothing is known.
    """
    total = 0.0
    for call in meter.calls:
        if call.model not in prices or None in (call.prompt_tokens, call.completion_tokens):
            return None
        read, written = prices[call.model]
        total += read * (call.prompt_tokens or 0) + written * (call.completion_tokens or 0)
    return total / 1e6 if prices else None
