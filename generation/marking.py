"""Which sentences of the cited passages an answer in other words rests on."""

import re
from collections.abc import Mapping
from typing import Final

from llama_index.core.schema import MetadataMode, NodeWithScore

from data.sentences import split_sentences
from generation.evidence import Terms
from generation.passage_units import Span, Unit, find_units

_CITATION: Final = re.compile(r"\[(\d{1,3})\]")
_BEHIND: Final = re.compile(r"([.!?。！？]+[\"'”’»)]*)((?:[ \t]*\[\d{1,3}\])+)")
_ENOUGH: Final = 0.34
"""Share of a claim's terms that a sentence must hold to be marked for it."""
_LONGEST_CLAIM: Final = 1_000


def find_quotes(
    answer: str, passages: Mapping[int, NodeWithScore], terms: Terms
) -> dict[int, list[Span]]:
    """Return for each cited passage the spans that share most terms with what cites it.

    Returns:
        Spans of the passage's text in the order of the claims; none for a passage where no sentence
        shares a third of a claim's terms.
    """
    units = {
        n: [(unit.core, frozenset(terms(unit.text))) for unit in _units(passage)]
        for n, passage in passages.items()
        if f"[{n}]" in answer
    }
    found: dict[int, list[Span]] = {n: [] for n in units}
    answer = _BEHIND.sub(r"\2\1", answer)
    for start, end in split_sentences(answer, _LONGEST_CLAIM):
        claim = answer[start:end]
        cited = {int(n) for n in _CITATION.findall(claim)} & units.keys()
        wanted = frozenset(terms(_CITATION.sub(" ", claim)))
        for n in cited:
            shares = [(len(wanted & held) / (len(wanted) or 1), span) for span, held in units[n]]
            share, span = max(shares, key=lambda one: one[0], default=(0.0, (0, 0)))
            if share >= _ENOUGH and span not in found[n]:
                found[n].append(span)
    return found


def _units(passage: NodeWithScore) -> list[Unit]:
    headings = tuple(map(str, passage.node.metadata.get("headings") or ()))
    return find_units(passage.node.get_content(MetadataMode.NONE), headings)
