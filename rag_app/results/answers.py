"""What questions give: hits, answers, and the trace of how they came about."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from llama_index.core.schema import NodeWithScore

from generation.citations import Citation
from generation.reading import TextDelta, ThinkingDelta

CANDIDATES_TRACED = 50
"""Candidates of each ranking that a trace keeps."""


PassagePlace = tuple[str | int | None, ...]
"""See `Hit.place`."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One passage found.

    Attributes:
        passage_id: its identity.
        source: the document it is from.
        page: page, slide or sheet, from 1; None where the format has none.
        char_start: offset of its first character in the text of the page (or document).
        char_end: offset behind its last one.
        text: its words.
        score: of the last stage that ordered the passages.
        ranks: its place, from 1, in each ranking that holds it (dense, bm25, fused, reranked).
        scores: its score in each of them.
        headings: the titles above it.
        record_id: a pre-cut passage's own id.
        boxes: where it stands, as page, left, top, right, bottom in points from the page's upper
            left corner; none where the format has no pages.
        grade: the reranker's own, mostly from 0 to 1; None where it gave none.
        collection: which of several collections it was found in; empty where one alone was asked.
    """

    passage_id: str
    source: str
    page: int | None
    char_start: int
    char_end: int
    text: str
    score: float
    ranks: Mapping[str, int]
    scores: Mapping[str, float]
    headings: tuple[str, ...] = ()
    record_id: str | None = None
    boxes: tuple[tuple[float, ...], ...] = ()
    grade: float | None = None
    collection: str = ""

    @property
    def place(self) -> PassagePlace:
        """What tells it from others in every index of the same documents, as its id does not.

        Its document and its place there, or the id that it was pre-cut under.
        """
        if self.record_id is not None:
            return (self.source, self.record_id)
        return (self.source, self.page, self.char_start, self.char_end)

    @classmethod
    def of(
        cls,
        found: NodeWithScore,
        ranks: Mapping[str, int],
        scores: Mapping[str, float],
        grade: float | None = None,
    ) -> "Hit":
        """From a node of the store, or one from elsewhere, which may lack some of this."""
        metadata = found.node.metadata
        place = Citation.of(1, found)  # knows what stands in for what is missing
        return cls(
            passage_id=place.passage_id,
            source=place.source,
            page=place.page,
            char_start=place.char_start,
            char_end=place.char_end,
            text=place.text,
            score=found.score or 0.0,
            ranks=ranks,
            scores=scores,
            headings=tuple(metadata.get("headings") or ()),
            record_id=metadata.get("passage_id"),
            boxes=tuple(map(tuple, metadata.get("boxes") or ())),
            grade=grade,
            collection=place.collection,
        )


@dataclass(frozen=True, slots=True)
class PassageBatch:
    """Some of a collection's passages, as hits that no ranking holds."""

    passages: list[Hit]


def notes(stages: Iterable[Mapping[str, Any]]) -> list[str]:
    """What became of the question on its way: made to stand alone, cut, or searched in vain."""
    found = []
    for stage in stages:
        if stand_alone := stage.get("question"):
            found.append(f"Searched for: \u2068{stand_alone}\u2069")  # of its own direction
        if stage.get("cut"):
            found.append("The question was too long for the encoder, and its end was not searched.")
        if stage["stage"] == "retrieve" and (fallback := stage.get("fallback")):
            found.append(f"{fallback}.")
        if stage.get("empty"):
            found.append(
                "There is nothing to find: no documents are here yet, or none has its words."
            )
    return found


@dataclass(slots=True)
class Trace:
    """How an answer came about, and what it cost.

    Attributes:
        stages: per stage, in order: its kind, milliseconds and details. Of reading: `coverage`, the
            share of the answer's sentences that carry a citation, and `thinking_tokens`, each
            where there is one.
        tokens: tokens read or written, by who did.
        models: model names, by role.
        candidates: per ranking, the best passage ids with score, and with the grade where the
            reranker gave one.
        flops: estimated floating-point operations of all models together.
        dollars: what the calls of language models cost; None where a price or count is not known.
        passages_given: passages offered to the reader.
        passages_used: those that fitted and were not a part of another.
        given: the ids of the passages offered to the reader, in their order.
        used: of these, the ids of those that it was shown.
        unknown_citations: citations of passages that do not exist, dropped from the answer.
    """

    stages: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    candidates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    flops: float = 0.0
    dollars: float | None = None
    passages_given: int = 0
    passages_used: int = 0
    given: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    unknown_citations: int = 0

    def stage(self, name: str, kind: str, milliseconds: float, **details: Any) -> None:
        """Note a stage that has finished."""
        entry = {"stage": name, "kind": kind, "ms": round(milliseconds, 3), **details}
        self.stages.append(entry)

    def copy(self) -> "Trace":
        """One that grows by itself; what stands in it already, neither changes."""
        return replace(self, **{one.name: copy(getattr(self, one.name)) for one in fields(self)})

    @property
    def milliseconds(self) -> float:
        """Wall time of all stages."""
        return float(sum(stage["ms"] for stage in self.stages))


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages found for a question."""

    query: str
    hits: list[Hit]
    trace: Trace

    def as_dict(self) -> dict[str, Any]:
        """The command line's JSON document."""
        return {"hits": [asdict(hit) for hit in self.hits], "trace": asdict(self.trace)}


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of texts."""

    encoder: str
    vectors: list[list[float]]
    tokens: int


@dataclass(frozen=True, slots=True)
class Relevance:
    """How well a text fits a question.

    Attributes:
        index: its place among the texts, from 0.
    """

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """An encoder in use."""

    name: str
    model: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its evidence.

    Attributes:
        text: the answer; `[n]` in it refers to the citation of that number.
        citations: the passages that it rests on.
        hits: all passages found, best first.
        grounded: whether passages were at hand.
        trace: how it came about.
        truncated: whether it broke off, at the token limit or with the connection.
        abstained: whether the reader found no answer in the passages; the text says so.
        answerability: the probability that the passages hold an answer, from 0 to 1, estimated
            without a language model; None where it was not.
    """

    text: str
    citations: list[Citation]
    hits: list[Hit]
    grounded: bool
    trace: Trace
    truncated: bool = False
    abstained: bool = False
    answerability: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The command line's JSON document."""
        return {
            "answer": self.text,
            "grounded": self.grounded,
            "truncated": self.truncated,
            "abstained": self.abstained,
            "answerability": self.answerability,
            "citations": [asdict(citation) for citation in self.citations],
            "hits": [asdict(hit) for hit in self.hits],
            "trace": asdict(self.trace),
        }


@dataclass(frozen=True, slots=True)
class PassageContext:
    """A passage among its neighbours on the same page; the three parts join to running text."""

    source: str
    page: int | None
    headings: tuple[str, ...]
    before: str
    text: str
    after: str


AskEvent = SearchResult | ThinkingDelta | TextDelta | Answer
"""What `Pipeline.ask` yields: what was found, thoughts and answer by pieces, the whole answer."""
