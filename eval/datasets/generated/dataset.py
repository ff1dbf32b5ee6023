"""Questions generated of a collection as a data set: kept, found again, and judged."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from eval.datasets.generated.questions import GeneratedQuestion, Place, revision
from eval.datasets.generated.sampling import place, survey
from eval.datasets.retrieval import RetrievalDataset
from eval.errors import EvalError
from rag_app.results import Hit
from rag_app.service import Service

PREFIX = "own:"
"""Begins the name of such a data set; the collection follows."""
NOTES: Mapping[str, str] = {
    "llm": "The questions were written by a language model that saw the passage; it may have kept "
    "some of its words.",
    "heading": "Questions of headings and rare words take their words from the passage, so they "
    "favour retrieval by words (BM25) over retrieval by meaning.",
    "cloze": "Questions that are a sentence with a gap take their words from the passage, so they "
    "favour retrieval by words (BM25) over retrieval by meaning.",
}
"""What is to be known of results, by how questions were made."""


def dataset(collection: str, questions: Sequence[GeneratedQuestion]) -> RetrievalDataset:
    """One relevant document a question: its gold passage."""
    return RetrievalDataset(
        name=f"{PREFIX}{collection}",
        corpus=None,
        queries={question.id: question.question for question in questions},
        qrels={question.id: {question.gold.id: 1} for question in questions},
        revision=revision(questions),
    )


def document_of(questions: Sequence[GeneratedQuestion]) -> Callable[[str, Hit], str]:
    """Which document a hit counts as, for a query's id: the gold one where it holds half of it."""
    gold = {question.id: question.gold for question in questions}

    def named(query: str, hit: Hit) -> str:
        found = place(hit)
        return gold[query].id if found.holds_half_of(gold[query]) else found.id

    return named


def notes(questions: Sequence[GeneratedQuestion]) -> list[str]:
    """What is to be known of results with these questions."""
    return list(dict.fromkeys(NOTES[question.kind] for question in questions))


async def still_there(
    service: Service,
    collection: str,
    questions: Sequence[GeneratedQuestion],
    encoder: str | None = None,
) -> list[GeneratedQuestion]:
    """The questions whose gold passage the collection still has, by place.

    Raises:
        EvalError: half of them or more have lost it.
    """
    held: dict[tuple[str, int | None], list[Place]] = defaultdict(list)
    for one in (await survey(service, collection, encoder, shortest=1)).places:
        held[one.source, one.page].append(one)
    kept = [
        question
        for question in questions
        if any(
            one.holds_half_of(question.gold)
            for one in held[question.gold.source, question.gold.page]
        )
    ]
    if 2 * len(kept) <= len(questions):
        raise EvalError(
            f"{len(questions) - len(kept)} of {len(questions)} questions about collection "
            f"{collection!r} have lost their passage",
            cause="its documents, or how they are cut, have changed",
            hint="Make new ones with --fresh",
        )
    return kept
