"""The reference for lexical search: rank_bm25, in memory and unhurried."""

import threading
from collections.abc import Iterable, Sequence

import numpy as np
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from rank_bm25 import BM25Okapi

from data.arguments import at_least
from retrieval.analysis import Analyzer
from retrieval.passages import indexed_text


class RankBM25Retriever(BaseRetriever):
    """Finds passages with ``rank_bm25.BM25Okapi`` over the terms of our own analyzer.

    It exists to be compared with: it reads every passage into memory at the first query and scores
    all of them, in Python, at each (about 170 ms at 100,000 passages). Its formula differs from
    that of `retrieval.bm25.BM25` on Qdrant:

    * idf here is ``ln((N - n + 0.5) / (n + 0.5))``, without Lucene's ``1 +`` inside the logarithm;
    * a term that more than half of the passages hold gets a quarter (epsilon) of the mean idf of
      all terms instead, since that logarithm is negative; one that exactly half hold gets 0;
    * there is no k3 (a term that the query repeats counts each time), there are no pairs of terms,
      and terms of headings count once: the defaults of `BM25`, not those of the application.

    Saturation, the factor ``k1 + 1`` and length normalisation are the same. So by those defaults
    both rank alike where all terms of the query have the same n below N / 2, and nearly alike while
    they are rare (``ln(1 + x)`` tends to ``ln x``).

    Hits with a score of zero or less are dropped; equal scores are ordered by passage id.

    Raises:
        ValueError: `top_k` is below 1.
    """

    def __init__(
        self,
        nodes: Iterable[TextNode],
        analyzer: Analyzer,
        k1: float = 1.5,
        b: float = 0.75,
        top_k: int = 10,
    ) -> None:
        at_least(1, top_k=top_k)
        super().__init__()
        self._source: Iterable[TextNode] = nodes
        self._analyzer = analyzer
        self._k1 = k1
        self._b = b
        self._top_k = top_k
        self._lock = threading.Lock()
        self._built: tuple[list[TextNode], BM25Okapi | None] | None = None

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        nodes, index = self._index()
        terms = self._analyzer(query_bundle.query_str)
        if index is None or not terms:
            return []
        scores = index.get_scores(terms)
        found = np.flatnonzero(scores > 0)
        best = sorted(found.tolist(), key=lambda row: (-scores[row], nodes[row].node_id))
        return [
            NodeWithScore(node=nodes[row], score=float(scores[row])) for row in best[: self._top_k]
        ]

    def _index(self) -> tuple[list[TextNode], BM25Okapi | None]:
        with self._lock:
            if self._built is None:
                nodes = list(self._source)
                self._source = ()
                terms = [self._analyzer(indexed_text(node)) for node in nodes]
                self._built = nodes, self._okapi(terms)
            return self._built

    def _okapi(self, terms: Sequence[list[str]]) -> BM25Okapi | None:
        """None where no passage has a term: BM25Okapi would divide by zero."""
        return BM25Okapi(terms, k1=self._k1, b=self._b) if any(terms) else None
