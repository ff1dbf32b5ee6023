"""How well each quotable unit of the passages answers a question, in numbers.

Words are compared as stems without stop words and weighed by idf as in BM25 (Robertson and Spärck
Jones), counted over the units at hand; in scripts without spaces pairs of characters take the place
of words. `generation.fitted_weights` says what the numbers are worth.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from llama_index.core.schema import MetadataMode, NodeWithScore

from data.text import QUESTION_STOP_WORDS, Stems, content_words
from generation.passage_units import Unit, find_units
from generation.question_type import asking_part, has_answer, question_type

Array = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]

FEATURES: Final = (
    "cosine", "coverage", "context_coverage", "passage_coverage", "pairs", "names", "answer_type",
    "lacks_type", "novelty", "length", "leans", "row", "rank",
)  # fmt: skip
"""Columns of `Evidence.features`."""

_IDEOGRAPH: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_TOKEN: Final = re.compile(rf"[{_IDEOGRAPH}]+|[^\W{_IDEOGRAPH}_]+(?:[.,]\d+)*")
_KANA: Final = re.compile(r"[\u3040-\u309f]")
_CODE: Final = re.compile(r"(?<![\w-])[^\W\d_]{1,6}[-./]\d[\w/-]*")
"""A code of several tokens: "V-16" is neither 16 nor V-17."""
_NAME: Final = re.compile(r"(?<!^)(?<![.!?]\s)\b(?:[A-ZÀ-ÞА-Я][\w'’-]*|\w*\d[\w.,/-]*)")
_PASSAGES_REMEMBERED: Final = 2_048
_STORY: Final = 0.5
"""What a word counts that only the sentences before the one that asks have."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit of a passage that may be quoted; ``n`` is the passage's number, from 1."""

    n: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for each candidate.

    Attributes:
        candidates: What may be quoted, by passage and place.
        features: Float array ``(candidates, FEATURES)``.
        vectors: Unit rows ``(candidates, dimension)``; None without an encoder. A row of zeros is
            one that was not encoded.
        terms: The terms of each candidate.
        wanted: The idf of each term of the question.
        passage_coverage: For each passage, the share of the question's idf that it holds.
    """

    candidates: Sequence[Candidate]
    features: Array
    vectors: Vectors | None
    terms: Sequence[frozenset[str]]
    wanted: dict[str, float]
    passage_coverage: Sequence[float]


class Terms:
    """Turns text into stems without stop words; pairs of characters where nothing parts words.

    Raises:
        ValueError: Snowball has no such language.
    """

    def __init__(self, language: str) -> None:
        self._stems = Stems(language, QUESTION_STOP_WORDS)

    def __call__(self, text: str) -> list[str]:
        """The terms in their order, and then the codes as wholes."""
        found: list[str] = []
        for token in _TOKEN.findall(text.lower()):
            if ord(token[0]) < 0x3040 or not re.match(f"[{_IDEOGRAPH}]", token):
                found.append(self._stems[token])
            else:
                # pairs of kana are endings and particles more often than words
                pairs = (a + b for a, b in pairwise(token)) if len(token) > 1 else iter((token,))
                found.extend(pair for pair in pairs if not all(map(_KANA.match, pair)))
        return [term for term in [*found, *_CODE.findall(text.lower())] if term]


class EvidenceFinder:
    """Collects the evidence for a question; may be shared by threads.

    Args:
        embed: Encodes texts to unit rows ``(n, dimension)``; None for words alone.
        encoded: How many candidates are encoded, those that share most with the question. On
            XQuAD twelve choose as all do, and abstain as often.

    Attributes:
        terms: What texts are compared by.
    """

    def __init__(
        self,
        language: str = "english",
        embed: Embed | None = None,
        embed_query: Callable[[str], Vectors] | None = None,
        encoded: int = 12,
    ) -> None:
        self.terms = Terms(language)
        self._embed, self._embed_query, self._encoded = embed, embed_query, encoded
        self._analysed = lru_cache(_PASSAGES_REMEMBERED)(self._analyse)

    def find(self, question: str, passages: Sequence[NodeWithScore]) -> Evidence:
        """Evidence of ``passages``, best first, for ``question``."""
        analysed = [
            self._analysed(
                found.node.get_content(MetadataMode.NONE),
                tuple(map(str, found.node.metadata.get("headings") or ())),
            )
            for found in passages
        ]
        candidates: list[Candidate] = []
        parts: list[_Part] = []
        seen: set[str] = set()
        for n, passage in enumerate(analysed, start=1):
            for one in passage.units:
                if one.unit.text not in seen:
                    seen.add(one.unit.text)
                    candidates.append(Candidate(n, one.unit))
                    parts.append(one)
        asked_for = asking_part(question)
        asked_terms = self.terms(content_words(asked_for))
        wanted = self._idf(self.terms(content_words(question)), frozenset(asked_terms), parts)
        coverage = [_share(wanted, one.terms) for one in parts]
        held = [_share(wanted, passage.terms | passage.headings) for passage in analysed]
        cosine, vectors = self._cosines(question, asked_for, candidates, coverage)
        pairs = set(pairwise(asked_terms))
        kind, asked = question_type(asked_for), frozenset(re.findall(r"\w+", question.lower()))
        names = {name.lower() for name in _NAME.findall(question)}
        rows = []
        for i, (candidate, one) in enumerate(zip(candidates, parts, strict=True)):
            text = candidate.unit.text
            typed = bool(kind) and has_answer(kind, text, asked)
            words = set(re.findall(r"\w+", text.lower()))
            rows.append(
                (
                    cosine[i],
                    coverage[i],
                    _share(wanted, one.around | analysed[candidate.n - 1].headings),
                    held[candidate.n - 1],
                    len(pairs & one.pairs) / len(pairs) if pairs else 0.0,
                    len(names & words) / len(names) if names else 0.0,
                    float(typed),
                    float(bool(kind) and not typed),
                    len(one.terms - wanted.keys()) / (len(one.terms) or 1),
                    math.log(len(one.terms) + 1),
                    float(candidate.unit.span[0] < candidate.unit.core[0]),
                    float(candidate.unit.table is not None),
                    1 / candidate.n,
                )
            )
        features = np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))
        return Evidence(candidates, features, vectors, [one.terms for one in parts], wanted, held)

    def words(self, question: str, terms: Sequence[str]) -> list[str]:
        """The words of ``question`` that became these ``terms``, in its order, each once."""
        wanted = set(terms)
        words = dict.fromkeys(_TOKEN.findall(question))
        return [word for word in words if wanted & set(self.terms(word))]

    def _analyse(self, text: str, headings: tuple[str, ...]) -> "_Analysed":
        units = find_units(text, headings)
        terms = [self.terms(unit.text) for unit in units]
        found = []
        for i, unit in enumerate(units):
            near = (term for line in terms[max(0, i - 1) : i + 2] for term in line)
            around = frozenset(near) | frozenset(self.terms(unit.context))
            found.append(_Part(unit, frozenset(terms[i]), around, frozenset(pairwise(terms[i]))))
        titles = frozenset(term for title in headings for term in self.terms(title))
        return _Analysed(found, frozenset(self.terms(text)), titles)

    @staticmethod
    def _idf(
        terms: Sequence[str], asked: frozenset[str], parts: "Sequence[_Part]"
    ) -> dict[str, float]:
        """The weight of each term of a question, of which ``asked`` stand in what asks."""
        counts = Counter(term for one in parts for term in one.terms)
        total = len(parts) or 1
        return {
            term: math.log1p((total - counts[term] + 0.5) / (counts[term] + 0.5))
            * (1.0 if term in asked else _STORY)
            for term in dict.fromkeys(terms)
        }

    def _cosines(
        self,
        question: str,
        asked_for: str,
        candidates: Sequence[Candidate],
        coverage: Sequence[float],
    ) -> tuple[Array, Vectors | None]:
        """Cosine of each candidate with the question; 0 for those that are not encoded.

        A question that has a story before it is half that, and half what asks.
        """
        cosine = np.zeros(len(candidates))
        if self._embed is None or self._embed_query is None or not candidates:
            return cosine, None
        order = sorted(range(len(candidates)), key=lambda i: -coverage[i] - 0.3 / candidates[i].n)[
            : self._encoded
        ]
        query = self._query_vector(question, asked_for)
        encoded = np.asarray(
            self._embed([candidates[i].unit.context for i in order]), dtype=np.float32
        )
        vectors = np.zeros((len(candidates), query.shape[0]), dtype=np.float32)
        vectors[order] = encoded
        cosine[order] = encoded @ query
        return cosine, vectors

    def _query_vector(self, question: str, asked_for: str) -> Vectors:
        assert self._embed_query is not None  # noqa: S101 - the caller has looked
        texts = dict.fromkeys((question, asked_for))
        both = [np.asarray(self._embed_query(text), dtype=np.float32).reshape(-1) for text in texts]
        total: Vectors = np.sum(both, axis=0)
        return total if len(both) == 1 else total / np.linalg.norm(total)


@dataclass(frozen=True, slots=True)
class _Part:
    """A unit's terms, those of its neighbourhood, and pairs of terms that follow each other."""

    unit: Unit
    terms: frozenset[str]
    around: frozenset[str]
    pairs: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Analysed:
    """A passage's units, and the terms of its text and of its headings."""

    units: Sequence[_Part]
    terms: frozenset[str]
    headings: frozenset[str]


def _share(wanted: dict[str, float], terms: frozenset[str]) -> float:
    total = math.fsum(wanted.values()) or 1.0
    return sum(weight for term, weight in wanted.items() if term in terms) / total
