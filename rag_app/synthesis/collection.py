"""A collection's passages, and the hard negatives that its own retrievers find among them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from rag_app.results import Hit
from rag_app.service import QueryOptions, Service
from rag_app.settings import RetrieverName
from retrieval.training.examples import Example
from retrieval.training.pairs import Passage

FIRST, LAST = 5, 50
"""Ranks, from 0, that negatives are taken from: the first ones are too often unjudged positives."""
MARGIN = 0.95
"""A passage that scores more than this share of the positive's score is taken for a positive (the
guard that NV-Retriever calls perc-pos-aware, https://arxiv.org/abs/2407.15831)."""


def unit(hit: Hit) -> str:
    """What relevance goes by: a pre-cut passage itself, or else the document."""
    return hit.record_id or hit.source


async def passages(
    service: Service, collection: str, encoder: str | None = None
) -> AsyncIterator[Passage]:
    """Every passage of a collection; what a negative may not share with it is its document."""
    async with aclosing(service.passages(collection, encoder)) as batches:
        async for batch in batches:
            for hit in batch.passages:
                yield Passage(unit(hit), hit.text, hit.headings, hit.source, hit.passage_id)


async def with_negatives(
    service: Service,
    collection: str,
    example: Example,
    *,
    retriever: RetrieverName = "dense",
    keep: int = 8,
    gold: frozenset[str] = frozenset(),
) -> Example:
    """The example with hard negatives: what is found for its query in other documents.

    The first ones are left out, and so is what scores almost as high as the best passage of the
    positive's document, since both are likely to be answers that nobody has marked. So is what an
    evaluation holds for an answer: `gold` has such passages' ids, documents and texts. As a
    negative and never a positive, it would be pushed away from its own questions.
    """
    options = QueryOptions(retriever=retriever, top_k=LAST)
    hits = (await service.search(collection, example.query, options)).hits
    positives = set(example.pos_id)
    others = [
        hit
        for hit in hits
        if unit(hit) not in positives
        and gold.isdisjoint((unit(hit), hit.source, hit.passage_id, hit.text))
    ]
    ceiling = max((hit.score for hit in hits if unit(hit) in positives), default=float("inf"))
    hard = [hit for hit in others[FIRST:] if hit.score < MARGIN * ceiling][:keep]
    return example.model_copy(
        update={"neg": [indexed(hit) for hit in hard], "neg_id": [unit(hit) for hit in hard]}
    )


def error_rate(examples: Sequence[Example], found: Sequence[Sequence[Hit]]) -> float:
    """Share of queries for which a retriever's first hit is of another document.

    The measure of the ReasonIR paper's figure 3c: near 0, the queries are too easy to teach much.
    """
    wrong = sum(
        not hits or unit(hits[0]) not in example.pos_id
        for example, hits in zip(examples, found, strict=True)
    )
    return wrong / max(1, len(examples))


def indexed(hit: Hit) -> str:
    """A passage as encoders read it: the titles, then the words."""
    return " ".join((*hit.headings, hit.text))
