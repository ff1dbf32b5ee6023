"""Numbers in words: one way of writing each kind, everywhere in a report.

A share is written in percent, a difference of two shares in percentage points with its sign. The
sign of minus is U+2212, and a percent sign stands behind a no-break space.
"""

import math
from collections.abc import Sequence

NONE = "–"
"""Stands where there is no number."""

_CLIPPED = " […]"
_HIDDEN = {
    **{code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"},
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F), None),
    **dict.fromkeys((*range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd"),
}


def harmless(text: str, limit: int = 1500) -> str:
    """Text of a data set as a report may show it.

    Control characters and lone surrogates become U+FFFD, marks that turn the direction of the text
    around (Unicode TR 9) go, and what is longer than `limit` characters is cut.
    """
    return visible(text if len(text) <= limit else text[:limit].rstrip() + _CLIPPED)


def visible(text: str) -> str:
    """Text without what commands or misleads, see `harmless`, at its full length."""
    return text.translate(_HIDDEN)


def count(number: float | None) -> str:
    """A whole number, such as ``14,042``."""
    return NONE if _absent(number) else f"{number:,.0f}"


def decimal(number: float | None, places: int = 3) -> str:
    """A number such as ``0.741``."""
    return NONE if _absent(number) else _minus(f"{number:.{places}f}")


def percent(share: float | None) -> str:
    """A share (0 to 1) such as ``63.1 %``."""
    return NONE if share is None or _absent(share) else _minus(f"{100 * share:.1f}\u00a0%")


def signed(number: float | None, places: int = 1) -> str:
    """A difference such as ``+4.2`` or ``−0.3``; zero has no sign."""
    if number is None or _absent(number):
        return NONE
    rounded = round(number, places)
    return _minus(f"{rounded:+,.{places}f}") if rounded else f"{0:.{places}f}"


def signed_percent(number: float | None) -> str:
    """A relative difference in percent such as ``+6.4 %``."""
    return NONE if _absent(number) else f"{signed(number)}\u00a0%"


def interval(bounds: Sequence[float] | None, places: int = 1, scale: float = 1.0) -> str:
    """Both ends of an interval, such as ``3.1 to 5.3``; each is multiplied by `scale`."""
    if not bounds or any(_absent(bound) for bound in bounds):
        return NONE
    low, high = (_minus(f"{scale * bound:.{places}f}") for bound in bounds)
    return f"{low} to {high}"


def probability(p: float | None) -> str:
    """A p-value such as ``0.021`` or ``< 0.001``."""
    if p is None or _absent(p):
        return NONE
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}"


def is_probability(p: float | None) -> str:
    """A p-value in a sentence, such as ``p = 0.021`` or ``p < 0.001``."""
    shown = probability(p)
    return f"p\u00a0{shown}" if shown.startswith("<") else f"p\u00a0=\u00a0{shown}"


def amount(number: float | None) -> str:
    """A large number with three digits and its power of 1000, such as ``1.79 T``."""
    if number is None or _absent(number) or number == 0:
        return NONE
    for power, sign in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= power:
            return f"{number / power:.3g}\u00a0{sign}"
    return f"{number:.3g}"


def milliseconds(number: float | None) -> str:
    """A time, with as many digits as matter."""
    if number is None or _absent(number):
        return NONE
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _absent(number: float | None) -> bool:
    return number is None or not math.isfinite(number)


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")
