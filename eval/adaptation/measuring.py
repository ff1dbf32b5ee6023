"""How well an encoder finds what answers questions, and whether another does better."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.adaptation.questions import Question
from eval.retrieval import metrics
from eval.statistics.bootstrap import paired_difference
from eval.statistics.paired import outcomes, sign_flip
from rag_app.service import QueryOptions, Service
from rag_app.synthesis.collection import unit

_DEPTH = 100
WORSE = 20
"""Questions that a report lists as having lost."""


async def ndcg(
    service: Service, collection: str, questions: Sequence[Question], encoder: str
) -> list[float]:
    """nDCG@10 of each question by dense retrieval; passages count as what they belong to."""
    options = QueryOptions(encoder=encoder, retriever="dense", top_k=_DEPTH)
    found = []
    for one in questions:
        scores: dict[str, float] = {}
        for hit in (await service.search(collection, one.question, options)).hits:
            key = unit(hit)
            scores[key] = max(hit.score, scores.get(key, -2.0))
        found.append(metrics.ndcg({"q": scores}, {"q": {one.gold: 1}})["q"])
    return found


def compared(before: Sequence[float], after: Sequence[float]) -> dict[str, Any]:
    """The mean difference in points with its interval and p, and how many won and lost."""
    low, high = paired_difference(after, before).scaled(100).pair()
    counts = outcomes(after, before)
    return {
        "points": 100 * (sum(after) - sum(before)) / len(after),
        "ci95": [low, high],
        "p": sign_flip(after, before).p,
        "wins": counts.wins,
        "ties": counts.ties,
        "losses": counts.losses,
    }


def lost(
    questions: Sequence[Question], before: Sequence[float], after: Sequence[float]
) -> list[Mapping[str, Any]]:
    """The questions that lost most, worst first."""
    rows = zip(questions, before, after, strict=True)
    worse = sorted((row for row in rows if row[2] < row[1]), key=lambda row: row[2] - row[1])
    return [
        {"question": one.question, "gold": one.gold, "before": old, "after": new}
        for one, old, new in worse[:WORSE]
    ]
