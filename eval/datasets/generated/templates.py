"""Questions without a language model: a sentence with gaps, or a heading with some words.

The rarest words of the sentence are left out, since any search by words finds a passage by these
alone and nothing would be compared. What is left is still the passage's own, so a search by words
has it easier with such questions than with what people ask.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data.sentences import sentences_of
from eval.datasets.generated.questions import Kind

GAP = "_____"
_FEWEST_WORDS, _MOST_WORDS = 8, 40
_TELLING = 5
"""Rare words by which sentences are compared."""
_HIDDEN = 3
"""One in so many of a sentence's words is left out, the rarest of them."""
_BESIDE = 3
"""Words beside a heading."""
_FEWEST_LEFT = 3
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True)
class Rarity:
    """How rare terms are in a collection."""

    terms: Callable[[str], list[str]]
    frequency: Counter[str]
    passages: int

    def of(self, word: str) -> float:
        """Inverse document frequency of a word; 0 for one that searches pass over."""
        terms = self.terms(word)
        return max((math.log1p(self.passages / (1 + self.frequency[t])) for t in terms), default=0)


def question(text: str, headings: Sequence[str], rarity: Rarity) -> tuple[str, Kind] | None:
    """A question that the passage answers, of its most telling sentence; None without one."""
    fitting = [s for s in sentences_of(text) if _FEWEST_WORDS <= len(s.split()) <= _MOST_WORDS]
    if not fitting:
        return None
    best = max(fitting, key=lambda sentence: _telling(sentence, rarity))
    return _of_heading(best, headings, rarity) or _cloze(best, rarity)


def _telling(sentence: str, rarity: Rarity) -> float:
    return sum([*_rare(sentence, rarity).values()][:_TELLING])


def _rare(sentence: str, rarity: Rarity) -> dict[str, float]:
    """Word -> rarity, the rarest first, of the words that searches do not pass over."""
    words = {word[0].lower(): rarity.of(word[0]) for word in _WORD.finditer(sentence)}
    found = sorted(words, key=lambda word: (-words[word], word))
    return {word: words[word] for word in found if words[word] > 0 and word.isalpha()}


def _of_heading(sentence: str, headings: Sequence[str], rarity: Rarity) -> tuple[str, Kind] | None:
    if not headings:
        return None
    above = set(rarity.terms(headings[-1]))
    beside = [w for w in _rare(sentence, rarity) if not above.intersection(rarity.terms(w))]
    chosen = beside[_hidden(beside) :][:_BESIDE]
    if len(chosen) < _BESIDE:
        return None
    in_order = sorted(chosen, key=sentence.lower().index)
    return f"{headings[-1]}: {' '.join(in_order)}", "heading"


def _cloze(sentence: str, rarity: Rarity) -> tuple[str, Kind] | None:
    words = [*_rare(sentence, rarity)]
    if len(words) - _hidden(words) < _FEWEST_LEFT:
        return None
    keys = {term for word in words[: _hidden(words)] for term in rarity.terms(word)}

    def blank(word: re.Match[str]) -> str:
        return GAP if keys.intersection(rarity.terms(word[0])) else word[0]

    return " ".join(_WORD.sub(blank, sentence).split()), "cloze"


def _hidden(words: Sequence[str]) -> int:
    return max(1, len(words) // _HIDDEN)
