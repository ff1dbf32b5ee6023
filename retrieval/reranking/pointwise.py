"""What all graders share: each passage is graded by itself, many at once, until a deadline."""

import asyncio
import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import NodeWithScore, TextNode

from data.arguments import above_zero, at_least, within
from data.tokens import estimate_tokens
from retrieval.llm_calls import failures, reason
from retrieval.passages import indexed_text
from retrieval.reranking.base import Reranked, Reranker
from retrieval.reranking.cutting import CountTokens, cut
from retrieval.reranking.interpolation import Normalise, interpolate, order

Status = Literal["ok", "wrong_format", "missing", "failed", "skipped", "timeout"]
STATUSES: Final[tuple[Status, ...]] = (
    "ok", "wrong_format", "missing", "failed", "skipped", "timeout",
)  # fmt: skip
"""How a passage fared: graded; the answer holds no grade in the right form; it lacks what the grade
is read from; the call failed; not asked for, as the server only failed; not done by the deadline.
"""

_HOPELESS: Final = 8
"""Calls that fail one after the other before no more are made."""
_LOGGER: Final = logging.getLogger(__name__)


class Graded(NamedTuple):
    """What became of one passage.

    Attributes:
        grade: mostly from 0 to 1, more is better; None where there is none.
        status: how it fared.
        cut: whether the grader read only its beginning.
    """

    grade: float | None
    status: Status
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Grading:
    """How passages are graded, whoever grades.

    Attributes:
        weight: share of the grade in the final score, from 0 to 1; 1 leaves the retriever's score
            to break ties.
        normalise: how the retriever's scores are brought to the scale of the grades.
        passage_tokens: what is longer is cut to its beginning of that length; None cuts nothing.
        count_tokens: counts them; an estimate on the safe side by default.
        concurrency: calls at a time, at least 1.
        deadline: most seconds for all passages together, above 0.

    Raises:
        ValueError: a value is out of its range.
    """

    weight: float = 0.5
    normalise: Normalise = "minmax"
    passage_tokens: int | None = None
    count_tokens: CountTokens = estimate_tokens
    concurrency: int = 32
    deadline: float = 30.0

    def __post_init__(self) -> None:
        within(0, 1, weight=self.weight)
        if self.normalise not in ("none", "minmax"):
            raise ValueError(f"normalise is {self.normalise!r}; it must be 'none' or 'minmax'")
        if self.passage_tokens is not None and self.passage_tokens < 1:
            raise ValueError(f"passage_tokens is {self.passage_tokens}; it must be 1 or more")
        at_least(1, concurrency=self.concurrency)
        above_zero(deadline=self.deadline)


class PointwiseReranker(Reranker):
    """Grades every passage with calls to a server, then interpolates with the retriever's scores.

    Calls start in the retriever's order. One that fails costs its passages their grade, no more; at
    the deadline all that are under way are cancelled, and the grades that there are count. What
    passages without a grade are worth: `retrieval.reranking.interpolation.interpolate`.

    The notes count the passages by `Status`, the passages that were ``cut``, and tell the first
    ``error``.
    """

    default_grading: ClassVar[Grading] = Grading()
    _grading: Grading = PrivateAttr()
    _batch: int = PrivateAttr(default=1)

    def __init__(self, grading: Grading = default_grading) -> None:
        super().__init__()
        self._grading = grading

    @abstractmethod
    async def _grade(self, query: str, passages: Sequence[str]) -> list[Graded]:
        """One outcome a passage; `_batch` passages at most. Raises what `failures` names."""

    def _calibrated(self, grades: Sequence[float | None]) -> Sequence[float | None]:
        """The grades of all passages on the scale of interpolation."""
        return grades

    async def rerank(self, query: str, nodes: Sequence[NodeWithScore]) -> Reranked:
        """See `Reranker.rerank`."""
        grading = self._grading
        texts = [_text(found) for found in nodes]
        passages = [self._cut(text) for text in texts]
        run = _Run(len(nodes), self._batch)
        try:
            async with asyncio.timeout(grading.deadline), asyncio.TaskGroup() as workers:
                for _ in range(min(grading.concurrency, len(nodes))):
                    workers.create_task(self._work(run, query, passages))
        except TimeoutError:
            run.error = run.error or f"not done within {grading.deadline:g} s"
        shorter = sum(
            outcome.cut or len(passage) < len(text)
            for outcome, passage, text in zip(run.outcomes, passages, texts, strict=True)
        )
        grades = self._calibrated([outcome.grade for outcome in run.outcomes])
        scores = [node.score for node in nodes]
        finals = interpolate(grades, scores, grading.weight, grading.normalise)
        if run.error:
            _LOGGER.warning("reranking with %s: %s", self.name, run.error)
        ranked = [NodeWithScore(node=nodes[at].node, score=finals[at]) for at in order(finals)]
        given = {
            found.node.node_id: grade
            for found, grade in zip(nodes, grades, strict=True)
            if grade is not None
        }
        return Reranked(ranked, run.notes(shorter), given)

    def _cut(self, text: str) -> str:
        if self._grading.passage_tokens is None:
            return text
        return cut(text, self._grading.passage_tokens, self._grading.count_tokens)

    async def _work(self, run: "_Run", query: str, passages: Sequence[str]) -> None:
        for part in run.parts:
            if run.failed_in_a_row >= _HOPELESS:
                run.set(part, [Graded(None, "skipped")] * len(passages[part]))
                continue
            try:
                run.set(part, await self._grade(query, passages[part]))
                run.failed_in_a_row = 0
            except failures() as error:
                run.set(part, [Graded(None, "failed")] * len(passages[part]))
                run.error = run.error or reason(error)
                run.failed_in_a_row += 1


class _Run:
    """One reranking under way: its workers share this.

    Attributes:
        failed_in_a_row: calls that failed since the last that did not.
    """

    def __init__(self, size: int, batch: int) -> None:
        self.outcomes = [Graded(None, "timeout")] * size
        self.parts: Iterator[slice] = (slice(at, at + batch) for at in range(0, size, batch))
        self.failed_in_a_row = 0
        self.error = ""

    def set(self, part: slice, outcomes: Sequence[Graded]) -> None:
        self.outcomes[part] = outcomes

    def notes(self, shorter: int) -> dict[str, str | int | float]:
        counted = Counter(outcome.status for outcome in self.outcomes)
        notes: dict[str, str | int | float] = {status: counted[status] for status in STATUSES}
        return notes | {"cut": shorter} | ({"error": self.error} if self.error else {})


def _text(found: NodeWithScore) -> str:
    """What is graded: the headings above the passage, then its words."""
    node = found.node
    return indexed_text(node) if isinstance(node, TextNode) else node.get_content()
