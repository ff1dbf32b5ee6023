"""The reader that needs no language model: it quotes.

The best sentence of the passages comes first, then what adds to it. Nothing is written that is not
in a document, except a line that says that there is probably no answer.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import MetadataMode, NodeWithScore

from data.tables import cells, markdown_row
from generation.answerability import answerability, is_answered
from generation.citations import Citation, defuse_markers
from generation.evidence import FEATURES, Array, Evidence, EvidenceFinder, Vectors
from generation.fitted_weights import QUOTING
from generation.passage_units import Block, Span, Unit, header_rows, parse_blocks, plain
from generation.reading import Reading, ReadingEvent, TextDelta

NO_PASSAGE: Final = "No passage was found for your question."
NOTHING_RELEVANT: Final = "No passage that was found seems to answer your question."
CLOSEST: Final = "Closest, but probably not an answer:"
MORE: Final = "More:"

_MOST_ROWS: Final = 8
_SHARE_OF_BEST: Final = 0.005
"""Odds, against those of the best quotation, below which nothing more is quoted."""
_REPEATS: Final = 0.9
"""Cosine or share of common terms from which a sentence says the same as one that is quoted."""
_LONGEST_TERMS: Final = 8
_NUMBER: Final = re.compile(r"^(\d{1,9})(?=[.)] )")
"""What Markdown would take for the mark of a list: a number that a quotation begins with."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """Adjoining units of one passage, quoted together.

    Attributes:
        n: Number of the passage, from 1.
        units: What was chosen, in the passage's order.
        best: The unit that was chosen first.
    """

    n: int
    units: tuple[Unit, ...]
    best: Unit

    @property
    def spans(self) -> list[Span]:
        """The ranges of the passage that are quoted: one, or one for each row of a table."""
        if self.best.table is not None:
            return [unit.core for unit in self.units]
        return [(min(u.span[0] for u in self.units), max(u.span[1] for u in self.units))]


class QuotingReader:
    """Quotes what in the passages comes closest to the question, the best first.

    Each sentence, list item and row of a table is scored by a weighted sum of its evidence (see
    `generation.evidence`); `generation.fitted_weights` tells what the weights were fitted on. A
    sentence that leans on the one before ("It ...") brings it, a lead-in brings its list, and
    chosen sentences that adjoin are quoted as one. Where the passages probably hold no answer
    (`generation.answerability`) the text says so and shows the closest ones.

    Of a quotation white space is joined, and a bracketed number of its own (``[3]``, a reference of
    the document) is shown as ``(3)``, since ``[3]`` would cite our passage 3; all else is verbatim.

    Args:
        finder: Finds the evidence; by words alone where it has no encoder.

    Raises:
        ValueError: A number is out of its range.
    """

    name = "quote"

    def __init__(
        self, *, sentences: int = 3, passages: int = 8, finder: EvidenceFinder | None = None
    ) -> None:
        for label, count in (("sentences", sentences), ("passages", passages)):
            if count < 1:
                raise ValueError(f"{label} must be at least 1, got {count}")
        self._sentences, self._passages = sentences, passages
        self._finder = finder or EvidenceFinder()

    async def read(
        self,
        question: str,
        passages: Sequence[NodeWithScore],
        history: Sequence[ChatMessage] = (),  # noqa: ARG002
    ) -> AsyncGenerator[ReadingEvent, None]:
        """Stream the quotations, one delta each, then the ``Reading``.

        Where nothing fits, the text says so, ``grounded`` is False and ``abstained`` is True. Each
        quoted sentence is cited, so the coverage is 1 where there is one.
        """
        used = passages[: self._passages]
        quotations: list[Quotation] = []
        probability: float | None = 0.0 if used else None
        asked = ""
        if used and question.strip():
            quotations, probability, asked = await asyncio.to_thread(self._choose, question, used)
        abstained = not quotations or not is_answered(probability)
        pieces = []
        for piece in _compose(quotations, used, asked, abstained=abstained):
            pieces.append(piece)
            yield TextDelta(piece)
        yield Reading(
            text="".join(pieces),
            citations=_cite(quotations, used),
            passages_used=len(used),
            passages_given=len(passages),
            unknown_citations=0,
            model="",
            prompt_tokens=0,
            completion_tokens=0,
            grounded=not abstained,
            coverage=None if abstained else 1.0,
            abstained=abstained,
            answerability=probability,
            used=tuple(range(1, len(used) + 1)),
        )

    def _choose(
        self, question: str, passages: Sequence[NodeWithScore]
    ) -> tuple[list[Quotation], float | None, str]:
        """What to quote, best first; the probability that it answers; what was looked for."""
        evidence = self._finder.find(question, passages)
        scores = evidence.features @ weights_of(QUOTING)
        relevant = evidence.features[:, :2].max(axis=1, initial=0) > 0
        chosen = pick(evidence, np.where(relevant, scores, -np.inf), self._sentences)
        rarest = sorted(evidence.wanted, key=lambda term: -evidence.wanted[term])
        asked = ", ".join(self._finder.words(question, rarest[:_LONGEST_TERMS]))
        return join_units(evidence, chosen, passages), answerability(evidence), asked


def weights_of(weights: Mapping[str, float]) -> Array:
    """Weights by name as an array in the order of ``FEATURES``."""
    return np.array([weights[name] for name in FEATURES])


def pick(evidence: Evidence, scores: Array, count: int) -> list[int]:
    """Indices of up to ``count`` candidates, best first, none that repeats another.

    It ends where the odds of the next fall below a share of the best one's. Scores of ``-inf`` are
    never picked.
    """
    chosen: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if len(chosen) == count or not np.isfinite(scores[i]):
            break
        if chosen and scores[i] < scores[chosen[0]] + np.log(_SHARE_OF_BEST):
            break
        if not any(_repeats(evidence, int(i), other) for other in chosen):
            chosen.append(int(i))
    return chosen


def _repeats(evidence: Evidence, one: int, other: int) -> bool:
    a, b = evidence.terms[one], evidence.terms[other]
    common = len(a & b) / (len(a | b) or 1)
    vectors: Vectors | None = evidence.vectors
    if common >= _REPEATS or vectors is None:
        return common >= _REPEATS
    return common > 0.5 and float(vectors[one] @ vectors[other]) >= _REPEATS


def join_units(
    evidence: Evidence, chosen: Sequence[int], passages: Sequence[NodeWithScore]
) -> list[Quotation]:
    """Put chosen units that adjoin, and rows of one table, into one quotation each."""
    quotations: list[Quotation] = []
    for i in chosen:
        candidate = evidence.candidates[i]
        for k, known in enumerate(quotations):
            if known.n == candidate.n and _adjoin(passages, known, candidate.unit):
                if not _is_title_above(candidate.unit, known):
                    units = sorted((*known.units, candidate.unit), key=lambda unit: unit.core)
                    quotations[k] = replace(known, units=tuple(units))
                break
        else:
            quotations.append(Quotation(candidate.n, (candidate.unit,), candidate.unit))
    return quotations


def _adjoin(passages: Sequence[NodeWithScore], known: Quotation, unit: Unit) -> bool:
    """Whether ``unit`` is a row of the same table, or lies in or next to what is quoted."""
    if known.best.table is not None:
        return unit.table == known.best.table
    ((start, end),) = known.spans
    if unit.span[0] <= end and start <= unit.span[1]:
        return True
    if unit.table is not None:
        return False
    text = passages[known.n - 1].node.get_content(MetadataMode.NONE)
    gap = text[end : unit.span[0]] if unit.span[0] > end else text[unit.span[1] : start]
    return not gap.strip() and gap.count("\n") <= 1


def _is_title_above(unit: Unit, known: Quotation) -> bool:
    """Whether it is the title of a list that an item is quoted of, which needs no other items.

    A lead-in ends in a colon, and without it no item would be understood.
    """
    titles = unit.core[1] <= known.best.core[0] < unit.span[1]
    return titles and not unit.text.endswith((":", "："))


def _cite(quotations: Sequence[Quotation], passages: Sequence[NodeWithScore]) -> list[Citation]:
    spans: dict[int, list[Span]] = {}
    for one in quotations:
        spans.setdefault(one.n, []).extend(one.spans)
    return [Citation.of(n, passages[n - 1], found) for n, found in spans.items()]


def _compose(
    quotations: Sequence[Quotation],
    passages: Sequence[NodeWithScore],
    asked: str,
    *,
    abstained: bool,
) -> Iterator[str]:
    """Yield the pieces of the text: the best quotation, then the others as a list."""
    if not quotations:
        looked = f" I looked for: {asked}." if asked else ""
        yield (NOTHING_RELEVANT + looked) if passages else NO_PASSAGE
        return
    if abstained:
        looked = f" I looked for: {asked}." if asked else ""
        yield f"{NOTHING_RELEVANT}{looked}\n\n{CLOSEST}\n"
    for i, one in enumerate(quotations):
        text = passages[one.n - 1].node.get_content(MetadataMode.NONE)
        if i == 0 and not abstained:
            yield _best(text, one)
            continue
        if i == 1 and not abstained:
            yield f"\n\n{MORE}\n"
        yield f"\n{_further(text, one)}"


def _best(text: str, one: Quotation) -> str:
    """The first quotation: its best sentence in bold among its neighbours."""
    if one.best.table is not None:
        return _cited(_table(text, one), one.n)
    ((start, end),) = one.spans
    core = one.best.core
    parts = (_prose(text[start : core[0]]), _prose(text[core[0] : core[1]]))
    before, best = parts
    behind = _lines(text[core[1] : end])
    bold = f"**{best}**" if best else ""
    head = f"{before} {bold}".strip()
    if behind and "\n" in behind:
        return f"{head} [{one.n}]\n\n{_cited(behind, one.n)}"
    return f"{head} {behind}".rstrip() + f" [{one.n}]"


def _further(text: str, one: Quotation) -> str:
    """A further quotation as a list item, indented where it has lines of its own."""
    if one.best.table is not None:
        body = _cited(_table(text, one), one.n)
    else:
        ((start, end),) = one.spans
        body = _cited(_lines(text[start:end]), one.n)
    return "- " + body.replace("\n", "\n  ")


def _cited(shown: str, n: int) -> str:
    """With the citation behind it: below a table, which would take it for a cell."""
    return f"{shown}\n\n[{n}]" if shown.endswith("|") else f"{shown} [{n}]"


def _prose(text: str) -> str:
    words = defuse_markers(plain(text)).replace("*", "\\*") if text.strip() else ""
    return _NUMBER.sub(r"\1\\", words)


def _lines(text: str) -> str:
    """Prose in one line, and list items or a table behind it as such."""
    blocks = parse_blocks(text)
    tables = any(block.kind == "table" for block in blocks)
    if not tables and sum(block.kind == "item" for block in blocks) < 2:
        return _prose(text)
    shown = []
    for block in blocks:
        if block.kind == "table":
            lines = _lines_of(text, block)
            if rows := list(map(cells, lines[header_rows(lines) :])):
                shown.append(_shown_rows(lines, rows))
            continue
        words = _prose(text[block.start : block.end])
        shown.append(f"- {words}" if block.kind == "item" else f"{words}\n")
    return "\n".join(shown)


def _table(text: str, one: Quotation) -> str:
    """The header of a table with the rows that were chosen."""
    block = one.best.table
    assert block is not None  # noqa: S101 - callers have looked
    rows = [cells(text[slice(*unit.core)]) for unit in one.units[:_MOST_ROWS]]
    return _shown_rows(_lines_of(text, block), rows)


def _lines_of(text: str, block: Block) -> list[str]:
    return [line for line in text[block.start : block.end].splitlines() if line.strip()]


def _shown_rows(lines: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of the table of ``lines`` under its header, without columns that they leave empty."""
    top = header_rows(lines)
    width = max(map(len, rows))
    names = cells(lines[top - 2]) if top > 1 else [""] * width
    used = [k for k in range(width) if any(k < len(row) and row[k] for row in rows)]

    def shown(row: Sequence[str]) -> str:
        return markdown_row(defuse_markers(row[k]) if k < len(row) else "" for k in used)

    return "\n".join([shown(names), markdown_row(["---"] * len(used)), *map(shown, rows)])
