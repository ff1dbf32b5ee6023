"""Text to index terms: words, lower case, stop words, stems.

The order of steps is Lucene's (tokeniser, lower case, stop words, stemmer); the stemmers are
Snowball's (https://snowballstem.org), through PyStemmer.
"""

import re
import threading
import unicodedata

import Stemmer

# Function words of English: articles, pronouns, auxiliaries, prepositions, conjunctions. They
# occur in almost every passage and say nothing about its subject.
_FUNCTION_WORDS = """
    a about after all also am an and any are as at be because been before being both but by can
    could did do does doing for from had has have having he her here hers him his how i if in into
    is it its itself just me more most my no nor not of on only or other our out over own same she
    should so some such than that the their theirs them then there these they this those through
    to too under until up very was we were what when where which while who whom why will with would
    you your yours
"""
ENGLISH_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())

_WORD = re.compile(r"[^\W_]+")
_CACHE_LIMIT = 500_000  # words; about 60 MB, more than the vocabulary of a large collection


class Analyzer:
    """Turns text into the terms that BM25 counts.

    A text is normalised (Unicode NFKC, lower case), cut into runs of letters and digits, freed of
    stop words, and stemmed. Stop words exist for English; for other languages the inverse document
    frequency alone keeps function words from mattering, at some cost in index size.

    Args:
        language: a Snowball algorithm such as ``english`` or ``german``, or ``none`` for words
            as they stand, without stop words or stems.

    Raises:
        ValueError: `language` is neither ``none`` nor known to Snowball.

    An analyzer may be shared by threads.
    """

    def __init__(self, language: str = "english") -> None:
        allowed = ["none", *sorted(Stemmer.algorithms())]
        if language not in allowed:
            raise ValueError(f"language is {language!r}; allowed are {', '.join(allowed)}")
        self.language = language
        self._stop_words = ENGLISH_STOP_WORDS if language == "english" else frozenset()
        self._terms = _Terms(language, self._stop_words)

    def __call__(self, text: str) -> list[str]:
        """The terms of `text`, in order, with repetitions; empty when there is none."""
        if not text.isascii():
            text = unicodedata.normalize("NFKC", text)
        terms = map(self._terms.__getitem__, _WORD.findall(text.lower()))
        return [term for term in terms if term]

    @property
    def identity(self) -> dict[str, str | int]:
        """What a stored index must agree on: change of any value means other terms."""
        return {"analyzer": 1, "language": self.language}


class _Terms(dict[str, str]):
    """Word to term ("" for a stop word), filled on demand and emptied when it grows too large."""

    def __init__(self, language: str, stop_words: frozenset[str]) -> None:
        super().__init__()
        self._stop_words = stop_words
        self._stemmer = None if language == "none" else Stemmer.Stemmer(language, 0)
        self._lock = threading.Lock()  # a Snowball stemmer must not be used by two threads at once

    def __missing__(self, word: str) -> str:
        with self._lock:
            if len(self) >= _CACHE_LIMIT:
                self.clear()
            self[word] = term = self._make(word)
        return term

    def _make(self, word: str) -> str:
        if word in self._stop_words:
            return ""
        if self._stemmer is None:
            return word
        stem: str = self._stemmer.stemWord(word)
        return stem
