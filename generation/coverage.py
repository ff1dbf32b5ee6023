"""How much of an answer shows its evidence."""

import re
from typing import Final

from data.sentences import split_sentences

_BEHIND: Final = re.compile(
    r"(?P<stop>[.!?…。！？]+[\"'”’»)」』]*)(?P<cited>[ \t]*(?:\[\d{1,3}\])+)"
)
_CITATION: Final = re.compile(r"\[\d{1,3}\]")
_CLAIM: Final = re.compile(r"(?!#)(?s:.*[^\W\d_].*)(?<![:：])")


def citation_coverage(text: str) -> float | None:
    """Return the share of the sentences of ``text`` that carry a citation ``[n]``.

    What can be measured without a judge of the citation recall of Gao et al.
    (https://arxiv.org/abs/2305.14627): whether a sentence cites, not whether the passage bears it
    out. Citations right behind a sentence (``Dough rests. [1]``) are its own. Headings, lines that
    end in a colon and what has no letter claim nothing and do not count.

    Args:
        text: A finished answer with its citations resolved.

    Returns:
        A number from 0 to 1; None where no sentence counts.
    """
    found = claims(text)
    return sum(bool(_CITATION.search(claim)) for claim in found) / len(found) if found else None


def claims(text: str) -> list[str]:
    """The sentences of an answer that claim something, each with its citations ``[n]`` inside."""
    return [claim for line in claims_by_line(text) for claim in line]


def claims_by_line(text: str) -> list[list[str]]:
    """Those sentences in groups: a new one where a line ends between two of them."""
    text = _BEHIND.sub(r"\g<cited>\g<stop> ", text)
    lines: list[list[str]] = []
    last = 0
    for start, end in split_sentences(text):
        if not _CLAIM.fullmatch(claim := text[start:end]):
            continue
        if lines and "\n" not in text[last:start]:
            lines[-1].append(claim)
        else:
            lines.append([claim])
        last = end
    return lines
