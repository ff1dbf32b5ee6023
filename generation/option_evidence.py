"""What passages say for each choice of a question, in numbers, without a language model.

Words are compared as stems without stop words, and weighed by how rare they are. A passage speaks
for a choice where words of the choice that the question lacks stand near words of the question;
nearness is soft (``exp(-distance / REACH)``), so that there need be no sentences, as in glossaries.
Kernels over term positions: Lv and Zhai, Positional Language Models (SIGIR 2009). Sentences are
compared with question and choice by the cosines of an encoder as well.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from llama_index.core.schema import MetadataMode, NodeWithScore

from data.sentences import split_sentences
from data.text import QUESTION_STOP_WORDS, Stems
from generation.vector_memory import VectorMemory

Array = npt.NDArray[np.float64]
Share = Callable[[str], float]

NAMES: Final = (
    "cosine", "statement", "length", "words", "shared", "all", "none",
    "near", "sum", "passages", "context", "phrase",
    "sentence", "sentences", "product", "choice", "passage", "passage_choice",
)  # fmt: skip
"""Columns of evidence; see `Comparison.of`."""
CLOSED: Final = 7
"""How many of them, the first ones, need no passages."""

REACH: Final = 40.0
"""Words over which nearness falls to 1/e."""
FOCUS: Final = 15.0
"""How sharply the passages that match the question stand out in ``context``."""
SHARPNESS: Final = 40.0
"""Of the soft maximum over sentences."""
SENTENCES: Final = 16
"""About how many sentences are encoded for a question."""
_REMEMBERED_PASSAGES: Final = 2_048  # about 15 kB each
_REMEMBERED_VECTORS: Final = 50_000  # about 2 kB each

_WORD: Final = re.compile(r"[^\W_]+")
_BLANK: Final = re.compile(r"_{2,}")
_LETTERS: Final = r"\(?[a-e1-5]\)?,? (?:and|&|or|nor) \(?[a-e1-5]\)?"
_ALL: Final = re.compile(
    rf"\W*(?:all (?:of )?(?:(?:the )?above|these|them|the (?:answers|choices|options))\b.*"
    rf"|all (?:three|four)|(?:both )?{_LETTERS}(?: only| above)?|both (?:of )?(?:the )?"
    rf"(?:above|these).*|both {_LETTERS} .*)\W*",
    re.IGNORECASE,
)
_NONE: Final = re.compile(
    rf"\W*(?:none of (?:the )?(?:above|these|them|choices|answers)|neither (?:{_LETTERS}|of .*)"
    r"|none)\W*",
    re.IGNORECASE,
)
_NEGATED: Final = re.compile(
    r"\b(?:NOT|EXCEPT|LEAST|FALSE|except|incorrect|untrue)\b"
    r"|\b(?:[Ww]hich|[Ww]hat|following)\b.*(?<!\bat )\b(?:not|least|false|cannot|never)\b",
    re.DOTALL,
)


def is_negated(question: str) -> bool:
    """Whether ``question`` asks for the choice that does not hold (``not``, ``EXCEPT``, ...)."""
    return bool(_NEGATED.search(question))


def statement(question: str, choice: str) -> str:
    """The question with the choice in its blank, or behind it."""
    if _BLANK.search(question):
        return _BLANK.sub(lambda _: choice, question, count=1)
    return f"{question} {choice}"


class Terms:
    """Text to stems without (English) stop words, each with the number of its word.

    May be shared by threads.

    Raises:
        ValueError: Snowball has no such language.
    """

    def __init__(self, language: str = "english") -> None:
        self.language = language
        self._stems = Stems(language, QUESTION_STOP_WORDS)

    def __call__(self, text: str) -> list[tuple[int, str]]:
        """Place of the word, from 0, and its stem, in order."""
        stems = (self._stems[word] for word in _WORD.findall(text.lower()))
        return [(place, stem) for place, stem in enumerate(stems) if stem]


class TermShares:
    """The share of a collection's passages that hold a stem; what makes rare words weigh more."""

    def __init__(self, texts: Iterable[str], terms: Terms) -> None:
        self._counts: Counter[str] = Counter()
        self.passages = 0
        for text in texts:
            self._counts.update({term for _, term in terms(text)})
            self.passages += 1

    def __call__(self, term: str) -> float:
        """From 0 to 1; half a passage is taken to hold what none holds."""
        return (self._counts[term] + 0.5) / (self.passages + 1)

    @property
    def fingerprint(self) -> str:
        """Differs where the counts do."""
        import hashlib

        counted = "\n".join(f"{term} {n}" for term, n in sorted(self._counts.items()))
        return hashlib.sha256(f"{self.passages}\n{counted}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, with its stems; ``passage`` counts from 1."""

    passage: int
    text: str
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Passage:
    """A passage as it is compared: stem -> numbers of its words; stems of its headings."""

    text: str
    places: Mapping[str, Sequence[int]]
    headings: frozenset[str]
    sentences: tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known for each choice.

    Attributes:
        features: ``(choices, len(NAMES))``, centred within the question: each column sums to 0.
        best: For each choice the sentence nearest to it; empty without passages.
    """

    features: Array
    best: tuple[Sentence, ...]


class Comparison:
    """Compares questions with passages.

    Args:
        share: Share of all passages that hold a stem; None weighs all stems alike.
    """

    def __init__(
        self,
        embed: Callable[[Sequence[str]], npt.NDArray[np.float32]],
        terms: Terms,
        share: Share | None = None,
    ) -> None:
        self._terms, self._share = terms, share
        self._embed = VectorMemory(embed, _REMEMBERED_VECTORS)
        self._embed_passages = VectorMemory(embed, _REMEMBERED_VECTORS)  # dear; sentences are many
        self._passage = lru_cache(_REMEMBERED_PASSAGES)(self._analyse)

    def of(
        self, question: str, choices: Sequence[str], passages: Sequence[NodeWithScore]
    ) -> Evidence:
        """Compare.

        Columns (``NAMES``), for each choice; those of the passages are all 0 without passages:

        - cosine, statement: of the question with the choice, and with question and choice;
        - length, words: logarithms of its characters and of its stems;
        - shared: how much of it the question has;
        - all, none: whether it is ``all of the above`` or the like, or ``none of ...``;
        - near: its words near the question's, over all passages;
        - sum: the best place by the question's and its words together;
        - passages: the mean over the three best passages that hold both;
        - context: how much of it the passages have that match the question best;
        - phrase: its pairs of neighbours, kept together by a passage that matches the question;
        - sentence, sentences: cosine of question and choice with the nearest sentence, and a soft
          maximum over all;
        - product: best product of a sentence's cosines with the question and the choice;
        - choice: cosine of the choice alone with the nearest sentence;
        - passage, passage_choice: cosines of both, and of the choice, with the nearest passage.

        For a negated question the columns of the passages change their sign. ``all`` and
        ``none`` have the mean of the other choices there.
        """
        asked = _Asked(question, choices, self._terms, self._share)
        # in an order of their own, so that not even rounding depends on the given one
        numbered = sorted(enumerate(map(self._read, passages), start=1), key=_by_text)
        read = [passage for _, passage in numbered]
        sentences = asked.pick(numbered)
        n = len(choices)
        given = [[question], asked.statements, choices, [one.text for one in sentences]]
        vectors = iter(self._embed([text for texts in given for text in map(_spoken, texts)]))
        q, stated, chosen, in_passages = (
            np.array(list(islice(vectors, len(texts))), dtype=np.float64) for texts in given
        )
        columns = [chosen @ q[0], stated @ q[0], *asked.plain()]
        found = [np.zeros(n)] * (len(NAMES) - CLOSED)
        best: tuple[Sentence, ...] = ()
        if read:
            found[:5] = asked.lexical(read)
            whole = self._embed_passages([_spoken(passage.text) for passage in read])
            found[9:] = (whole @ stated.T).max(axis=0), (whole @ chosen.T).max(axis=0)
        if sentences:
            both = in_passages @ stated.T
            found[5:9] = _nearest(both, in_passages @ chosen.T, in_passages @ q.T)
            best = tuple(sentences[i] for i in both.argmax(axis=0))
        features = np.stack([*columns, *map(asked.oriented, found)], axis=1).astype(np.float64)
        return Evidence(features - features.mean(axis=0), best)

    def _read(self, found: NodeWithScore) -> _Passage:
        headings = found.node.metadata.get("headings") or ()
        text = found.node.get_content(MetadataMode.NONE)
        return self._passage(text, " ".join(map(str, headings)))

    def _analyse(self, text: str, headings: str) -> _Passage:
        places: dict[str, list[int]] = {}
        for place, term in self._terms(text):
            places.setdefault(term, []).append(place)
        quotes = [" ".join(text[start:end].split()) for start, end in split_sentences(text)]
        sentences = tuple((q, frozenset(t for _, t in self._terms(q))) for q in quotes)
        return _Passage(text, places, frozenset(t for _, t in self._terms(headings)), sentences)


class _Asked:
    """A question and its choices as weighted stems.

    Attributes:
        statements: Question and choice, for each choice.
    """

    def __init__(
        self, question: str, choices: Sequence[str], terms: Terms, share: Share | None
    ) -> None:
        self.statements = [statement(question, choice) for choice in choices]
        self._choices = choices
        self._all = np.array([bool(_ALL.fullmatch(choice)) for choice in choices])
        self._none = np.array([bool(_NONE.fullmatch(choice)) for choice in choices])
        self._sign = -1.0 if is_negated(question) else 1.0
        asked = {term for _, term in terms(question)}
        self._words = [[term for _, term in terms(choice)] for choice in choices]
        self._terms = sorted(asked.union(*self._words))
        self._column = {term: n for n, term in enumerate(self._terms)}
        weight = [1.0 if share is None else -math.log(share(term)) for term in self._terms]
        idf = np.maximum(np.array(weight, dtype=np.float64), 1e-3)
        of_question = np.array([term in asked for term in self._terms], dtype=np.float64)
        held = np.array([[t in set(w) for t in self._terms] for w in self._words], dtype=np.float64)
        self._idf, self._asked, self._held = idf, of_question, held
        self._question_total = max(float(of_question @ idf), 1e-9)
        self._question = of_question * idf / self._question_total
        self._new = held * (1 - of_question) * idf  # what a choice adds to the question
        self._total = np.maximum(self._new.sum(axis=1), 1e-9)
        self._distinct = self._new * (1 - held.mean(axis=0))  # less so what others add as well
        self._distinct_total = np.maximum(self._distinct.sum(axis=1), 1e-9)

    def plain(self) -> list[Array]:
        """Columns ``length``, ``words``, ``shared``, ``all``, ``none``."""
        total = np.maximum(self._held @ self._idf, 1e-9)
        return [
            np.log1p([len(choice) for choice in self._choices]),
            np.log1p([len(words) for words in self._words]),
            (self._held * self._asked) @ self._idf / total,
            self._all.astype(np.float64),
            self._none.astype(np.float64),
        ]

    def oriented(self, column: Array) -> Array:
        """A column of the passages, turned round for negated questions."""
        special = self._all | self._none
        if special.any() and not special.all():
            column = np.where(special, column[~special].mean(), column)
        return np.asarray(self._sign * (column - column.mean()))

    def lexical(self, passages: Sequence[_Passage]) -> list[Array]:
        """Columns ``near``, ``sum``, ``passages``, ``context``, ``phrase``."""
        places = [self._places(passage) for passage in passages]
        near = np.stack([near for near, _ in places])
        held = self._held_by(passages)
        match = held @ self._question  # of passage and question, from 0 to 1
        apart = held @ self._distinct.T / self._distinct_total
        focus = np.exp(FOCUS * (match - match.max()))
        return [
            np.cbrt((near**3).sum(axis=0)),  # several passages say more than one
            np.stack([both for _, both in places]).max(axis=0),
            np.sort(match[:, None] * apart, axis=0)[-3:].mean(axis=0),
            focus @ apart / focus.sum(),
            self._phrase(passages, match, held @ self._new.T / self._total),
        ]

    def _held_by(self, passages: Sequence[_Passage]) -> Array:
        return np.array(
            [[t in p.places or t in p.headings for t in self._terms] for p in passages],
            dtype=np.float64,
        ).reshape(len(passages), len(self._terms))

    def _places(self, passage: _Passage) -> tuple[Array, Array]:
        """Over the places of a passage, the best product (question squared) and the best sum."""
        columns: list[int] = []
        places: list[int] = []
        starts: list[int] = []
        for column, term in enumerate(self._terms):
            if found := passage.places.get(term):
                starts.append(len(places))
                columns.append(column)
                places.extend(found)
        if not places:
            return np.zeros(len(self._choices)), np.zeros(len(self._choices))
        at = np.array(places, dtype=np.float64)
        apart: Array = np.minimum.reduceat(np.abs(at[:, None] - at), starts, axis=1)
        nearness = np.exp(-apart / REACH)
        question = (nearness @ self._question[columns])[:, None]
        choice = nearness @ self._new[:, columns].T
        near = (question**2 * choice / self._total**0.7).max(axis=0)
        return near, (question + choice / self._question_total).max(axis=0)

    def _phrase(self, passages: Sequence[_Passage], match: Array, cover: Array) -> Array:
        column = (match[:, None] * cover).max(axis=0)  # of a choice of one word
        for n, words in enumerate(self._words):
            pairs = [(a, b) for a, b in pairwise(words) if a != b]
            if pairs:
                kept = [sum(_together(p.places, a, b) for a, b in pairs) for p in passages]
                column[n] = (np.array(kept) / len(pairs) * match).max()
        return np.asarray(column)

    def pick(self, passages: Sequence[tuple[int, _Passage]]) -> list[Sentence]:
        """The sentences that hold most of the question and of any one choice, about as many each.

        Which these are depends neither on the order of the choices nor on that of the passages.
        """
        ranked: dict[str, tuple[int, frozenset[str]]] = {}
        for n, passage in passages:
            for text, terms in passage.sentences:
                ranked.setdefault(text, (n, terms))
        texts = sorted(ranked)
        held = np.zeros((len(texts), len(self._terms)))
        for row, text in enumerate(texts):
            columns = [self._column[t] for t in ranked[text][1] if t in self._column]
            held[row, columns] = 1
        match = (held @ self._question)[:, None]
        value = 0.5 * match + (match + 0.2) * (held @ self._new.T / self._total)
        each = math.ceil(SENTENCES / len(self._choices))
        rows = np.unique(np.argsort(-value, axis=0, kind="stable")[:each])
        return [Sentence(ranked[texts[row]][0], texts[row], ranked[texts[row]][1]) for row in rows]


def _spoken(text: str) -> str:
    """The text, or a dash for a blank one, which encoders refuse."""
    return text if text.strip() else "-"


def _by_text(numbered: tuple[int, _Passage]) -> tuple[str, list[str]]:
    return numbered[1].text, sorted(numbered[1].headings)


def _together(places: Mapping[str, Sequence[int]], first: str, second: str) -> bool:
    """Whether ``second`` stands within three words behind ``first``."""
    behind = places.get(second, ())
    return any(0 < b - a <= 3 for a in places.get(first, ()) for b in behind)


def _nearest(both: Array, choice: Array, question: Array) -> list[Array]:
    """Columns ``sentence``, ``sentences``, ``product``, ``choice``.

    Args:
        both: Cosines of each sentence with question and choice, ``(sentences, choices)``.
        choice: With the choice, ``(sentences, choices)``.
        question: With the question, ``(sentences, 1)``.
    """
    top = both.max(axis=0)
    soft = top + np.log(np.exp(SHARPNESS * (both - top)).mean(axis=0)) / SHARPNESS
    product = (np.clip(question, 0, 1) * np.clip(choice, 0, 1)).max(axis=0)
    return [top, soft, product, choice.max(axis=0)]
