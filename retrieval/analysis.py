"""Text to index terms: words, lower case, stop words, stems.

The order of steps is Lucene's (tokeniser, lower case, stop words, stemmer); the stemmers are
Snowball's (https://snowballstem.org), through PyStemmer.
"""

import re
import unicodedata

from data.text import ENGLISH_STOP_WORDS, Stems

_ASCII_WORD = re.compile(r"'s\b|[0-9]+|[a-z]+")
_IDEOGRAPH = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_INDIC_SIGNS = "".join(  # vowel signs and viramas lie at the same places of nine script blocks
    f"{chr(block)}-{chr(block + 3)}{chr(block + 0x3A)}-{chr(block + 0x4F)}"
    f"{chr(block + 0x51)}-{chr(block + 0x57)}{chr(block + 0x62)}{chr(block + 0x63)}"
    for block in range(0x0900, 0x0D80, 0x80)
)
_MARKS = (  # combining signs inside words, which Python does not count as letters
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece" + _INDIC_SIGNS
)
_WORD = re.compile(rf"['’]s\b|\d+|[{_IDEOGRAPH}]|(?:[^\W\d_{_IDEOGRAPH}]|[{_MARKS}])+")


class Analyzer:
    """Turns text into the terms that BM25 counts.

    A text is normalised (Unicode NFKC, lower case), cut into words, freed of stop words, and
    stemmed. A word is a run of letters with their combining signs, a run of digits (so ``il-6``
    and ``il6`` have the same terms), or one Han or kana character, since those scripts set no
    spaces; the pairs that BM25 counts as well keep such pieces together.

    Stop words exist for English; in other languages the inverse document frequency alone keeps
    function words from mattering, at some cost in index size.

    Args:
        language: a Snowball algorithm such as ``english`` or ``german``, or ``none`` for words
            as they stand, without stop words or stems.

    Raises:
        ValueError: `language` is neither ``none`` nor known to Snowball.

    An analyzer may be shared by threads.
    """

    def __init__(self, language: str = "english") -> None:
        self.language = language
        stop_words = ENGLISH_STOP_WORDS if language == "english" else frozenset({"'s", "’s"})
        self._terms = Stems(language, stop_words)

    def __call__(self, text: str) -> list[str]:
        """The terms of `text`, in order, with repetitions; empty when there is none."""
        if text.isascii():
            words = _ASCII_WORD.findall(text.lower())
        else:
            words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
        return [term for term in map(self._terms.__getitem__, words) if term]

    @property
    def identity(self) -> dict[str, str | int]:
        """What a stored index must agree on: change of any value means other terms."""
        return {"analyzer": 1, "language": self.language}
