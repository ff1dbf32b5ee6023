"""What a report is made of, whether it becomes a web page or Markdown.

A report is sections of blocks; what a block says is plain text from here on, and is escaped only
where it is written (`eval.report.rendering`), since passages, questions and names come from data
that may be hostile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; a ``warning`` is one that must not be overlooked."""

    text: str
    tone: Literal["plain", "warning"] = "plain"
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        rows: cells, as many a row as the head has; the first is the row's name.
        texts: indexes of the columns beside the first that hold text; the others hold numbers.
        folded: whether a page shows it only on request, for long tables.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[int] = frozenset()
    folded: bool = False
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing; Markdown leaves it out, since a table beside it says the same.

    Attributes:
        svg: an SVG element of `eval.report.plots`, in which all text is escaped.
        description: what can be seen in it, for those who cannot see it.
    """

    svg: str
    title: str
    description: str
    kind: Literal["plot"] = "plot"


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that was offered."""

    source: str
    score: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One question that came out differently.

    Attributes:
        question: its text; empty where it is private or not at hand.
        outcomes: what was compared, and what each gave.
    """

    name: str
    question: str = ""
    choices: Sequence[tuple[str, str]] = ()
    outcomes: Sequence[tuple[str, str]] = ()
    passages: Sequence[Passage] = ()


@dataclass(frozen=True, slots=True)
class Cases:
    """Some questions, each folded."""

    title: str
    cases: Sequence[Case]
    kind: Literal["cases"] = "cases"


Block = Text | Table | Plot | Cases


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says, in one sentence, and what supports or limits it.

    Attributes:
        sentence: the finding, in plain words, without a full stop.
        evidence: its numbers, which follow in parentheses.
    """

    sentence: str
    evidence: str = ""
    reasons: Sequence[str] = ()
    figures: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said about a run, or about two.

    Attributes:
        kicker: what kind of evaluation of which data, above the title.
        sections: in order; those without blocks are left out.
    """

    title: str
    kicker: str
    verdict: Verdict
    sections: Sequence[Section] = field(default_factory=tuple)
    footer: str = ""
