"""Questions without a language model: a sentence with a gap, or headings with rare words.

Both take their words from the passage, so a search by words has it easier with them than with what
people ask: they compare retrievers of one kind, and favour BM25 over vectors.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.own.questions import Kind
from generation.sentences import split_sentences

GAP = "_____"
_FEWEST_WORDS, _MOST_WORDS = 8, 40
_TELLING = 5
"""Rare words by which sentences are compared, and which stand beside headings."""
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True)
class Rarity:
    """How rare terms are in a collection.

    Attributes:
        terms: those of a text, as BM25 counts them.
        frequency: term -> passages that hold it.
        passages: how many there are.
    """

    terms: Callable[[str], list[str]]
    frequency: Counter[str]
    passages: int

    def of(self, word: str) -> float:
        """Inverse document frequency of a word; 0 for one that searches pass over."""
        terms = self.terms(word)
        return max((math.log1p(self.passages / (1 + self.frequency[t])) for t in terms), default=0)


def question(text: str, headings: Sequence[str], rarity: Rarity) -> tuple[str, Kind] | None:
    """A question that the passage answers, of its most telling sentence; None without one.

    Args:
        text: the passage.
        headings: above it, outermost first.
        rarity: tells which words are rare.
    """
    sentences = [text[start:end] for start, end in split_sentences(text)]
    fitting = [s for s in sentences if _FEWEST_WORDS <= len(s.split()) <= _MOST_WORDS]
    if not fitting:
        return None
    best = max(fitting, key=lambda sentence: _telling(sentence, rarity))
    return _of_heading(best, headings, rarity) or _cloze(best, rarity)


def _telling(sentence: str, rarity: Rarity) -> float:
    return sum(sorted(_rare(sentence, rarity).values(), reverse=True)[:_TELLING])


def _rare(sentence: str, rarity: Rarity) -> dict[str, float]:
    """Word -> rarity, of the words that searches do not pass over."""
    words = {word[0].lower(): rarity.of(word[0]) for word in _WORD.finditer(sentence)}
    return {word: rare for word, rare in words.items() if rare > 0}


def _of_heading(sentence: str, headings: Sequence[str], rarity: Rarity) -> tuple[str, Kind] | None:
    if not headings:
        return None
    above = set(rarity.terms(headings[-1]))
    rare = _rare(sentence, rarity)
    beside = [word for word in rare if not above.intersection(rarity.terms(word))]
    chosen = set(sorted(beside, key=lambda word: (-rare[word], word))[:_TELLING])
    if len(chosen) < 3:
        return None
    return f"{headings[-1]}: {' '.join(word for word in beside if word in chosen)}", "heading"


def _cloze(sentence: str, rarity: Rarity) -> tuple[str, Kind] | None:
    rare = {word: score for word, score in _rare(sentence, rarity).items() if word.isalpha()}
    if len(rare) < 3:
        return None
    key = set(rarity.terms(min(rare, key=lambda word: (-rare[word], word))))

    def blank(word: re.Match[str]) -> str:
        return GAP if key.intersection(rarity.terms(word[0])) else word[0]

    return " ".join(_WORD.sub(blank, sentence).split()), "cloze"
