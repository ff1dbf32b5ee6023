"""BM25 as two sparse vectors whose dot product, with the engine's IDF, is the score."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from data.arguments import above_zero, at_least, within
from retrieval.analysis import Analyzer
from retrieval.sparse import SparseVector

_MASK = 2**32 - 1
_PAIR_FACTOR = 0x9E3779B1  # odd, so that a pair differs from its reverse and mixes all bits
_ID_CACHE_LIMIT = 500_000  # terms; about 60 MB


@dataclass(frozen=True, slots=True)
class TermCounts:
    """What BM25 needs to know of one passage: enough to weigh it for any average length.

    Attributes:
        counts: dimension -> occurrences of its term or pair.
        length: number of terms, repetitions included; stop words and pairs do not count.
    """

    counts: dict[int, int]
    length: int


class BM25:
    """The lexical half of a search: passages and queries to sparse vectors.

    The score of a passage p for a query q is Lucene's form of BM25 (Robertson and Zaragoza, The
    Probabilistic Relevance Framework: BM25 and Beyond, 2009; Kamphuis et al., Which BM25 Do You
    Mean?, ECIR 2020), over features t that are terms and pairs of adjacent terms::

        sum over t of q:  asked(t) * idf(t) * tf(t) * (k1 + 1) / (tf(t) + k1 * norm)
        norm     = 1 - b + b * length(p) / average_length
        idf(t)   = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))
        asked(t) = qtf(t) * (k3 + 1) / (qtf(t) + k3), for pairs times pair_weight

    The defaults are plain BM25. The application's own (settings `lexical`) do better on every
    collection measured: docs/decisions/0003-default-fusion.md. Pairs are the ordered feature of the
    sequential dependence model (Metzler and Croft, SIGIR 2005); counting the title's terms
    `title_weight` times is BM25F with one length (Robertson et al., CIKM 2004).

    The passage vector holds the saturated term frequency, the query vector asked(t). The factor idf
    is the engine's: Qdrant multiplies it in at search time (modifier ``idf``), from the N passages
    and n(t) holders of the feature at that moment, so it is never stale.

    A term's dimension is a 32-bit BLAKE2b hash and a pair's is mixed from those of its terms, so no
    vocabulary has to be stored or shared. Among V features a given one shares its dimension with
    odds of about V / 2**32: 1 in 4,300 at a million. Features that collide are counted as one.

    Args:
        analyzer: makes terms of text.
        k1: how soon repetition of a term stops to count; at least 0.
        b: how much long passages are held back; from 0 (not) to 1 (in full).
        k3: how soon repetition of a term in the query stops to count; from 0 (at once) to infinity
            (never).
        title_weight: how often a term of the title counts; at least 1.
        pair_weight: what a pair of adjacent terms counts in relation to a term. With 0 none are
            stored; otherwise the index is about twice as large.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        k1: float = 1.2,
        b: float = 0.75,
        k3: float = math.inf,
        title_weight: int = 1,
        pair_weight: float = 0.0,
    ) -> None:
        if not 0 <= k1 < math.inf:
            raise ValueError(f"k1 is {k1}; it must be 0 or more")
        within(0, 1, b=b)
        at_least(0, k3=k3)
        at_least(1, title_weight=title_weight)
        if not 0 <= pair_weight < math.inf:
            raise ValueError(f"pair_weight is {pair_weight}; it must be 0 or more")
        self.analyzer = analyzer
        self.k1 = k1
        self.b = b
        self.k3 = k3
        self.title_weight = title_weight
        self.pair_weight = pair_weight
        self._ids = _TermIds()

    def count(self, text: str, title: str = "") -> TermCounts:
        """Analyse a passage once; `weigh` then makes its vector for any average length."""
        body, head = self._dimensions(text), self._dimensions(title)
        terms = head * self.title_weight + body
        counts = Counter(terms)
        if self.pair_weight > 0:
            counts.update(_pairs(head))
            counts.update(_pairs(body))
        return TermCounts(counts, len(terms))

    def weigh(self, passage: TermCounts, average_length: float) -> SparseVector:
        """The vector of an analysed passage.

        Args:
            average_length: mean number of terms of the collection's passages, above 0; for an
                empty collection any positive number will do.

        Raises:
            ValueError: `average_length` is not above 0.
        """
        above_zero(average_length=average_length)
        held_back = self.k1 * (1 - self.b + self.b * passage.length / average_length)
        most = self.k1 + 1
        return SparseVector(
            list(passage.counts), [most * tf / (tf + held_back) for tf in passage.counts.values()]
        )

    def encode_passage(self, text: str, average_length: float, title: str = "") -> SparseVector:
        """The vector of one passage; see `count` and `weigh`."""
        return self.weigh(self.count(text, title), average_length)

    def encode_passages(
        self, texts: Sequence[str], average_length: float, titles: Sequence[str] | None = None
    ) -> tuple[list[SparseVector], list[int]]:
        """The vectors of several passages and their lengths in terms, in the order given."""
        titles = [""] * len(texts) if titles is None else titles
        counted = [self.count(text, title) for text, title in zip(texts, titles, strict=True)]
        vectors = [self.weigh(passage, average_length) for passage in counted]
        return vectors, [passage.length for passage in counted]

    def passage_length(self, text: str, title: str = "") -> int:
        """Number of terms of a passage, as `count` reports it."""
        return len(self.analyzer(text)) + self.title_weight * len(self.analyzer(title))

    def encode_query(self, text: str) -> SparseVector:
        """The query's vector; empty when it has no terms."""
        terms = self._dimensions(text)
        weights = {term: self._asked(qtf) for term, qtf in Counter(terms).items()}
        if self.pair_weight > 0:
            for pair, qtf in Counter(_pairs(terms)).items():
                weights[pair] = weights.get(pair, 0.0) + self.pair_weight * self._asked(qtf)
        return SparseVector(list(weights), list(weights.values()))

    @property
    def identity(self) -> dict[str, str | int | float]:
        """What a stored index must agree on with the one who searches it."""
        return {
            **self.analyzer.identity,
            "k1": self.k1,
            "b": self.b,
            "title_weight": self.title_weight,
            "pairs": self.pair_weight > 0,  # their weight, like k3, is the query's affair
            "dimension": "blake2b-32",
        }

    def _asked(self, qtf: int) -> float:
        return float(qtf) if math.isinf(self.k3) else qtf * (self.k3 + 1) / (qtf + self.k3)

    def _dimensions(self, text: str) -> list[int]:
        return list(map(self._ids.__getitem__, self.analyzer(text))) if text else []


def average(lengths: Sequence[int]) -> float:
    """Mean of passage lengths, or 1.0 where that would be 0 (no passages, or none with terms)."""
    return sum(lengths) / len(lengths) if any(lengths) else 1.0


def _pairs(terms: Sequence[int]) -> list[int]:
    """Dimension of each pair of adjacent terms, from theirs."""
    return [(left * _PAIR_FACTOR + right) & _MASK for left, right in pairwise(terms)]


class _TermIds(dict[str, int]):
    """Term to dimension, computed on demand and remembered."""

    def __missing__(self, term: str) -> int:
        if len(self) >= _ID_CACHE_LIMIT:
            self.clear()
        digest = hashlib.blake2b(term.encode(), digest_size=4).digest()
        self[term] = number = int.from_bytes(digest, "little")
        return number
