"""One question to several collections, and one ranking of what they find."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import chain

from llama_index.core.schema import NodeWithScore

from data.arguments import at_least
from retrieval.fusion import Scored, reciprocal_ranks
from retrieval.retriever import PassageRetriever, Retrieval, find_each

COLLECTION = "collection"
"""Key of a passage's metadata: which of several collections it was found in."""


class SeveralRetriever(PassageRetriever):
    """Searches several collections and merges what they find by `reciprocal_ranks`.

    Scores of two collections cannot be compared in general, ranks can. Passages of equal rank are
    ordered by their similarity to the query where an encoder searched, or else by their score, then
    by passage id. One that two collections hold is that of the first.

    Each ranking is called ``COLLECTION/STEP``, the merged one ``collections``.

    Args:
        retrievers: by the collection that each searches.
        top_k: number of passages.
    """

    def __init__(self, retrievers: Mapping[str, PassageRetriever], top_k: int = 10) -> None:
        super().__init__()
        at_least(1, top_k=top_k)
        self._retrievers, self._top_k = retrievers, top_k

    def find(self, query: str) -> Retrieval:
        """See `PassageRetriever.find`."""
        found = {name: one.find(query) for name, one in self._retrievers.items()}
        return _merged(found, self._top_k)

    async def afind(self, query: str) -> Retrieval:
        """As `find`; all collections are searched at once."""
        found = await find_each(one.afind(query) for one in self._retrievers.values())
        return _merged(dict(zip(self._retrievers, found, strict=True)), self._top_k)


def _merged(found: Mapping[str, Retrieval], top_k: int) -> Retrieval:
    hits: dict[str, NodeWithScore] = {}
    near: dict[str, float] = {}
    rankings: dict[str, list[Scored]] = {}
    milliseconds: dict[str, float] = defaultdict(float)
    for name, one in found.items():
        dense = dict(one.rankings.get("dense", ()))
        for hit in one.hits:
            key = hit.node.node_id
            if key not in hits:
                hits[key] = _placed(hit, name)
                near[key] = dense.get(key, hit.score or 0.0)
        rankings |= {f"{name}/{step}": list(ranking) for step, ranking in one.rankings.items()}
        for step, spent in one.milliseconds.items():
            milliseconds[step] += spent
    totals = reciprocal_ranks([hit.node.node_id for hit in one.hits] for one in found.values())
    merged = sorted(totals.items(), key=lambda one: (-one[1], -near[one[0]], one[0]))
    return Retrieval(
        [NodeWithScore(node=hits[key].node, score=score) for key, score in merged[:top_k]],
        {**rankings, "collections": merged},
        dict(milliseconds),
        sum(one.query_tokens for one in found.values()),
        any(one.query_cut for one in found.values()),
        next(chain((one.fallback for one in found.values() if one.fallback), [""])),
    )


def _placed(hit: NodeWithScore, name: str) -> NodeWithScore:
    """The hit, whose node knows its collection; no model is shown that."""
    node = hit.node
    node.metadata[COLLECTION] = name
    for hidden in (node.excluded_llm_metadata_keys, node.excluded_embed_metadata_keys):
        if COLLECTION not in hidden:
            hidden.append(COLLECTION)
    return hit
