"""Text to index terms: words, lower case, stop words, stems.

The order of steps is Lucene's (tokeniser, lower case, stop words, stemmer); the stemmers are
Snowball's (https://snowballstem.org), through PyStemmer.
"""

import re

from data.text import ENGLISH_STOP_WORDS, Stems, nfkc

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
_STACK = "\u1039\u17d2"  # below a letter, puts the next one under it
_BASES = (  # letters that stand before their signs
    "\u0e01-\u0e2f\u0e46\u0e81-\u0eaf\u0ec6\u0edc-\u0edf\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3"
)
_CLUSTER = (  # a letter with the vowels and signs around it, of Thai, Lao, Burmese and Khmer
    f"[\u0e40-\u0e44\u0ec0-\u0ec4]?[{_BASES}]"
    f"(?:[{_STACK}][{_BASES}]|[{_MARKS}\u102b-\u103e\u1056-\u1059\u17b4-\u17d3\u17dd])*"
    "[\u0e30\u0e32\u0e45\u0eb0\u0eb2\u0ebd]*"
)
_WORD = re.compile(
    rf"['’]s\b|\d+|[{_IDEOGRAPH}]|{_CLUSTER}|(?:[^\W\d_{_IDEOGRAPH}{_BASES}]|[{_MARKS}])+"
)


class Analyzer:
    """Turns text into the terms that BM25 counts.

    A text is normalised (Unicode NFKC, lower case), cut into words, freed of stop words, and
    stemmed. A word is a run of letters with their combining signs, or a run of digits (so ``il-6``
    and ``il6`` have the same terms). Scripts that set no spaces give one Han or kana character, or
    one cluster of Thai, Lao, Burmese or Khmer (Theeramunkong et al., Character Cluster Based Thai
    Information Retrieval, 2000); the pairs that BM25 counts as well keep such pieces together.

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
            words = _WORD.findall(nfkc(text).lower())
        return [term for term in map(self._terms.__getitem__, words) if term]

    @property
    def identity(self) -> dict[str, str | int]:
        """What a stored index must agree on: change of any value means other terms."""
        # still 1: what clusters replaced were words as long as a sentence, which nobody asks for
        return {"analyzer": 1, "language": self.language}
