"""Text as searches compare it: well-formed, without function words, and words by their stems."""

import threading
from collections.abc import Set
from typing import Final

_FUNCTION_WORDS: Final = """
    a about after all also am an and any are as at be because been before being both but by can
    could did do does doing for from had has have having he her here hers him his how i if in into
    is it its itself just me more most my no nor not of on only or other our out over own same she
    should so some such than that the their theirs them then there these they this those through
    to too under until up very was we were what when where which while who whom why will with would
    you your yours 's ’s
"""
ENGLISH_STOP_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
"""Function words: articles, pronouns, auxiliaries, prepositions, conjunctions, the possessive s.

They are a part of what a stored index is made of: a change needs a new `Analyzer.identity`."""
QUESTION_STOP_WORDS: Final = (ENGLISH_STOP_WORDS - {"'s", "’s", "itself", "yours"}) | {
    "between", "describe", "down", "during", "each", "explain", "few", "further", "off", "once",
    "tell", "us",
}  # fmt: skip
"""What is passed over where a question is compared with sentences: more, as no idf weighs there.

Weights of `generation.option_scoring` were fitted with these words."""
_WORDS_REMEMBERED: Final = 500_000
"""About 60 MB, more than the vocabulary of a large collection."""


def well_formed(text: str) -> str:
    """The text as UTF-8 can hold it: halves of surrogate pairs are joined, or become U+FFFD.

    JSON can carry a lone half (``"\\ud800"``); tokenizers, engines and sockets refuse it.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Stems(dict[str, str]):
    """Word to stem, and to "" for a stop word; filled on demand. Threads may share it.

    Args:
        language: a Snowball algorithm (https://snowballstem.org), such as ``english`` or
            ``german``, or ``none`` for words as they stand.
        stop_words: in lower case, as the words that are looked up must be.

    Raises:
        ValueError: `language` is neither ``none`` nor known to Snowball.
    """

    def __init__(self, language: str, stop_words: Set[str] = frozenset()) -> None:
        import Stemmer

        super().__init__()
        allowed = ["none", *sorted(Stemmer.algorithms())]
        if language not in allowed:
            raise ValueError(f"language is {language!r}; allowed are {', '.join(allowed)}")
        self._stop_words = stop_words
        self._stemmer = None if language == "none" else Stemmer.Stemmer(language, 0)
        self._lock = threading.Lock()  # a Snowball stemmer must not be used by two threads at once

    def __missing__(self, word: str) -> str:
        with self._lock:
            if len(self) >= _WORDS_REMEMBERED:
                self.clear()
            self[word] = stem = self._stem(word)
        return stem

    def _stem(self, word: str) -> str:
        if word in self._stop_words:
            return ""
        return word if self._stemmer is None else str(self._stemmer.stemWord(word))
