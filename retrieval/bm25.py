"""BM25 as two sparse vectors whose dot product, with the engine's IDF, is the score."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from retrieval.analysis import Analyzer
from retrieval.sparse import SparseVector


@dataclass(frozen=True, slots=True)
class TermCounts:
    """What BM25 needs to know of one passage: enough to weigh it for any average length.

    Attributes:
        counts: term id -> occurrences.
        length: number of terms, repetitions included (stop words are not terms).
    """

    counts: dict[int, int]
    length: int


class BM25:
    """The lexical half of a search: passages and queries to sparse vectors.

    The score of a passage p for a query q is Lucene's form of BM25 (Robertson and Zaragoza, The
    Probabilistic Relevance Framework: BM25 and Beyond, 2009, eq. 3.15; Kamphuis et al., Which BM25
    Do You Mean?, ECIR 2020)::

        sum over terms t of q:  qtf(t) * idf(t) * tf(t) * (k1 + 1) / (tf(t) + k1 * norm(p))
        norm(p) = 1 - b + b * length(p) / average_length
        idf(t)  = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))

    The passage vector holds the saturated term frequency, the query vector the count qtf. The
    factor idf is the engine's: Qdrant multiplies it in at search time (modifier ``idf``), from the
    N passages and n(t) holders of the term at that moment, so it is never stale.

    A term's dimension is a 32-bit BLAKE2b hash, so no vocabulary has to be stored or shared. Among
    V terms a given one shares its dimension with odds of about V / 2**32: 1 in 43,000 at V =
    100,000, and about one pair of terms is expected among those; 1 in 4,300 at a million. Terms
    that collide are counted as one.

    Args:
        analyzer: makes terms of text.
        k1: how soon repetition of a term stops to count; at least 0.
        b: how much long passages are held back; from 0 (not) to 1 (in full).

    Raises:
        ValueError: `k1` or `b` is out of its range.
    """

    def __init__(self, analyzer: Analyzer, k1: float = 1.2, b: float = 0.75) -> None:
        if not 0 <= k1 < float("inf"):
            raise ValueError(f"k1 is {k1}; it must be 0 or more")
        if not 0 <= b <= 1:
            raise ValueError(f"b is {b}; it must be from 0 to 1")
        self.analyzer = analyzer
        self.k1 = k1
        self.b = b
        self._ids = _TermIds()

    def count(self, text: str) -> TermCounts:
        """Analyse a passage once; `weigh` then makes its vector for any average length."""
        terms = self.analyzer(text)
        return TermCounts(Counter(map(self._ids.__getitem__, terms)), len(terms))

    def weigh(self, passage: TermCounts, average_length: float) -> SparseVector:
        """The vector of an analysed passage.

        Args:
            passage: what `count` returned.
            average_length: mean number of terms of the collection's passages, above 0; for an
                empty collection any positive number will do.

        Raises:
            ValueError: `average_length` is not above 0.
        """
        if not average_length > 0:
            raise ValueError(f"average_length is {average_length}; it must be above 0")
        k1, b = self.k1, self.b
        held_back = k1 * (1 - b + b * passage.length / average_length)
        most = k1 + 1
        return SparseVector(
            list(passage.counts),
            [most * tf / (tf + held_back) for tf in passage.counts.values()],
        )

    def encode_passage(self, text: str, average_length: float) -> SparseVector:
        """The vector of one passage; see `weigh` for the average length and the errors."""
        return self.weigh(self.count(text), average_length)

    def encode_passages(
        self, texts: Iterable[str], average_length: float
    ) -> tuple[list[SparseVector], list[int]]:
        """The vectors of several passages, and their lengths in terms; both in the order given."""
        counted = [self.count(text) for text in texts]
        vectors = [self.weigh(passage, average_length) for passage in counted]
        return vectors, [passage.length for passage in counted]

    def passage_length(self, text: str) -> int:
        """Number of terms of a passage."""
        return len(self.analyzer(text))

    def encode_query(self, text: str) -> SparseVector:
        """The query's vector: how often each of its terms occurs; empty when it has no terms."""
        counts = self.count(text).counts
        return SparseVector(list(counts), [float(count) for count in counts.values()])

    @property
    def identity(self) -> dict[str, str | int | float]:
        """What a stored index must agree on with the one who searches it."""
        return {**self.analyzer.identity, "k1": self.k1, "b": self.b, "term_id": "blake2b-32"}


def average(lengths: Sequence[int]) -> float:
    """Mean of passage lengths, or 1.0 where that would be 0 (no passages, or none with terms)."""
    return sum(lengths) / len(lengths) if any(lengths) else 1.0


class _TermIds(dict[str, int]):
    """Term to dimension, computed on demand and remembered."""

    _LIMIT = 500_000

    def __missing__(self, term: str) -> int:
        if len(self) >= self._LIMIT:
            self.clear()
        digest = hashlib.blake2b(term.encode(), digest_size=4).digest()
        self[term] = number = int.from_bytes(digest, "little")
        return number
