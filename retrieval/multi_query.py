"""Searching with several queries at once, and one ranking of what they find."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Literal, get_args

from llama_index.core.schema import NodeWithScore

from data.arguments import at_least
from retrieval.fusion import reciprocal_ranks
from retrieval.retriever import PassageRetriever, Retrieval, find_each

Combine = Literal["rrf", "sum", "join"]
Ranking = Mapping[str, float]
"""Passage id -> score, best first."""


async def find_all(
    retriever: PassageRetriever, queries: Sequence[str], combine: Combine, top_k: int
) -> Retrieval:
    """Search with all queries concurrently; their order makes no difference but to ``join``.

    The passages that the searches return are merged by passage id, equal scores by passage id:

    - ``rrf``: `retrieval.fusion.reciprocal_ranks`.
    - ``sum``: the sum of the scores (Fox and Shaw's CombSUM, TREC-2), as BGE-Reasoner does it. A
      passage that a list lacks scored no more than the list's last and is taken to have scored just
      that; but 0 or that, whichever is less, in a list shorter than `top_k`, which was not cut off.
    - ``join``: nothing is merged: the queries, a blank line between them, are searched as one, as
      DIVER does it (https://github.com/AQ-MedAI/Diver, QExpand). Here their order counts.

    A query that is there twice is searched once.

    Args:
        retriever: searches; it should return `top_k` passages or more.

    Returns:
        Of a single query what the retriever returns. Of several: the merged hits, the rankings of
        the first query with the whole merged one as ``combined``; milliseconds (which overlap) and
        tokens of all queries added up.

    Raises:
        RetrievalError: a search failed.
        ValueError: there is no query, or an argument is out of its range.
    """
    unlike = list(dict.fromkeys(queries))
    if not unlike:
        raise ValueError("there is no query")
    at_least(1, top_k=top_k)
    if combine not in get_args(Combine):
        raise ValueError(f"combine is {combine!r}; it must be 'rrf', 'sum' or 'join'")
    if combine == "join":
        unlike = ["\n\n".join(unlike)]
    if len(unlike) == 1:
        return await retriever.afind(unlike[0])
    found = await find_each(map(retriever.afind, unlike))
    rankings = [_ranking(one) for one in found]
    totals = reciprocal_ranks(rankings) if combine == "rrf" else _by_score(rankings, top_k)
    ranking = sorted(totals.items(), key=lambda scored: (-scored[1], scored[0]))
    nodes = {hit.node.node_id: hit.node for one in found for hit in one.hits}
    hits = [NodeWithScore(node=nodes[passage], score=score) for passage, score in ranking[:top_k]]
    milliseconds: dict[str, float] = defaultdict(float)
    for step, spent in chain.from_iterable(one.milliseconds.items() for one in found):
        milliseconds[step] += spent
    tokens = sum(one.query_tokens for one in found)
    kept = {**found[0].rankings, "combined": ranking}
    cut = any(one.query_cut for one in found)
    fallback = next((one.fallback for one in found if one.fallback), "")
    return Retrieval(hits, kept, dict(milliseconds), tokens, cut, fallback)


def _ranking(found: Retrieval) -> Ranking:
    ranking: dict[str, float] = {}
    for hit in found.hits:
        ranking.setdefault(hit.node.node_id, hit.score or 0.0)
    return ranking


def _by_score(rankings: Sequence[Ranking], top_k: int) -> dict[str, float]:
    """What all lists together give a passage; the same in whatever order they come."""
    passages = set().union(*rankings)
    parts: dict[str, list[float]] = {passage: [] for passage in passages}
    for ranking in rankings:
        last = min(ranking.values(), default=0.0)
        missing = last if len(ranking) >= top_k else min(last, 0.0)
        for passage in passages:
            parts[passage].append(ranking.get(passage, missing))
    return {passage: math.fsum(given) for passage, given in parts.items()}
