"""Identifiers in texts: numbers of parts, orders, accounts and errors, however they are punctuated.

An identifier is a run of letters, digits and what joins them (``CVE-2024-12354``, ``4711/08-15a``,
``978-3-16-148411-7``), or digits in groups of four as accounts and cards have them. It is known by
its letters and digits alone, so that ``DE44 5001 0517`` and ``DE4450010517`` are the same one.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from itertools import chain
from typing import Final

from data.text import nfkc
from retrieval.fusion import Scored, ranked

_LETTERS: Final = "a-zß-öø-ɏα-ωа-яё"
_JOINTS: Final = "-‐‑–/.:_\\"
_JOINT: Final = re.escape(_JOINTS)
_IDENTIFIER: Final = re.compile(
    r"(?<!\w)(?:[a-z]{2}\d\d|\d{4})(?: \d{4}){2,7}(?: \d{1,4})?(?!\w)"
    rf"|(?<![{_LETTERS}0-9{_JOINT}])[{_LETTERS}{_JOINT}]*+\d[{_LETTERS}0-9{_JOINT}]*+"
)
_BETWEEN: Final = re.compile(rf"[{_JOINT} ]+")
_DOTTED: Final = re.compile(r"[\d.]+")
"""Addresses of machines and numbers of versions: 192.168.0.1 is not 192.16.80.1."""
_AMOUNT: Final = re.compile(r"\d{1,3}(?:\.\d{3})+|\d+\.\d+|\d+00")
_SHORTEST, _LONGEST, _FEWEST_DIGITS = 5, 64, 2
_RARE: Final = 5
"""Candidates that may hold an identifier for it to tell them from the others."""


def identifiers_of(text: str) -> set[str]:
    """The identifiers of a text, by their letters and digits in small letters.

    Plain words, amounts and round numbers are none; nor is what is shorter than five characters
    (``IL-6``).
    """
    found: set[str] = set()
    for match in _IDENTIFIER.finditer(nfkc(text.replace("\u00ad", "")).lower()):
        written = match[0].strip(_JOINTS)
        joined = written if _DOTTED.fullmatch(written) else _BETWEEN.sub("", written)
        if not _SHORTEST <= len(joined) <= _LONGEST or _AMOUNT.fullmatch(written):
            continue
        if sum(map(str.isdigit, joined)) >= _FEWEST_DIGITS:
            found.add(joined)
    return found


def raise_holders(ranking: Sequence[Scored], held: Mapping[str, Set[str]]) -> list[Scored]:
    """The same passages, those raised that hold an identifier of the query, if few others do.

    Encoders hardly tell numbers apart, and in a small collection nothing outweighs them. Each
    identifier raises a score by half the distance from the best to the last, and by a fifth of the
    best at least, as in a few passages that are alike. On SciFact's 809 training claims that gives
    .003 of nDCG@10, and twice as much nothing.

    Args:
        ranking: best first.
        held: by passage id, which of the query's identifiers it holds.

    Returns:
        Best first, equal scores by passage id.
    """
    holders = Counter(chain.from_iterable(held.values()))
    rare = {identifier for identifier, count in holders.items() if count <= _RARE}
    if not rare or not ranking:
        return list(ranking)
    best, last = ranking[0][1], ranking[-1][1]
    step = max((best - last) / 2, abs(best) / 5)
    return ranked({one: score + step * len(rare & held.get(one, set())) for one, score in ranking})
