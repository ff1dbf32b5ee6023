"""Hits of the application -> a ranking of the data set's documents."""

from collections.abc import Callable, Collection, Mapping, Sequence

from rag_app.results import Hit

MOST_HITS = 1000
"""Hits that the application gives at most."""
NameDocument = Callable[[str, Hit], str]
"""The document that a hit counts as, for a query's id."""


def by_passage(parents: Mapping[str, str]) -> NameDocument:
    """Documents by the passages' own ids, or by place where a passage has none.

    Args:
        parents: passage id -> the document it is a part of, where judgements are of documents.
    """

    def name(query: str, hit: Hit) -> str:  # noqa: ARG001 - other data sets look at it
        page = "" if hit.page is None else hit.page
        passage = hit.record_id or f"{hit.source}#{page}:{hit.char_start}"
        return parents.get(passage, passage)

    return name


def ranking(
    hits: Sequence[Hit], document: Callable[[Hit], str], excluded: Collection[str], depth: int
) -> list[tuple[str, float]]:
    """Documents with scores, best first: each once, by its best hit, without excluded ones.

    Args:
        excluded: documents that are taken out, before the ranking is cut.
    """
    found: dict[str, float] = {}
    for hit in hits:
        found.setdefault(document(hit), hit.score)
    kept = [(one, score) for one, score in found.items() if one not in excluded]
    return kept[:depth]


def hits_wanted(depth: int, excluded: int, graded: int | None) -> int:
    """How many hits to ask for, so that `depth` are left when the excluded ones are gone.

    Args:
        graded: candidates of the reranker, which grades all that it is given; None for no
            reranker. More are never asked for, but for those that will be taken out.
    """
    return min(MOST_HITS, (depth if graded is None else graded) + excluded)
