"""Rounding of results, so that files of the same results are the same bytes."""

from typing import Any


def rounded(value: Any, digits: int = 6) -> Any:
    """JSON-like data with each float at so many significant digits, at any depth.

    Significant ones, not decimals, since p values of 1e-9 must not become 0. There is no -0.0.
    """
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") + 0.0
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry, digits) for entry in value]
    return value
