"""Text as searches compare it: well-formed, without function words, and words by their stems."""

import re
import threading
import unicodedata
from collections.abc import Set
from functools import cache
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
_FUNCTION_WORDS_ELSEWHERE: Final = {
    "german": """
        aber als am an auch auf aus bei beim bin bis da damit dann das dass dem den denn der des die
        dies diese dieser dieses doch du durch ein eine einem einen einer eines er es für gab gibt
        habe haben hat hatte ich ihr im in ist ja kann können man mich mir mit muss nach nicht noch
        nur ob oder sein seine sich sie sind so soll über um und uns unter vom von vor war waren was
        welche welchem welchen welcher welches wem wen wenn wer werden wessen wie viel viele wieviel
        wir wird wo woher wohin womit worin wurde wurden zu zum zur zwischen warum weshalb wann""",
    "french": """
        à au aux avec ce ces cet cette combien comment dans de des du elle elles en est et était
        êtes eu fait il ils je la le les leur lui mais ne nous on où ou par pas pour pourquoi qu
        quand que quel quelle quelles quels qui quoi sa se ses si son sont sur ta te tes tu un une
        vous y a ont l d s n c j quoi""",
    "spanish": """
        a al como cómo con cuál cuáles cual cuando cuándo cuánta cuántas cuánto cuántos de del donde
        dónde el ella en era es esta está están este fue ha han hay la las le les lo los más mi no o
        para pero por porque qué que quién quiénes quien se ser si sin son su sus tiene un una
        y ya""",
    "italian": """
        a al alla che chi ci come con cosa cui da dal dalla dei del della delle di dove e è era gli
        ha hanno i il in la le lo ma nel nella non o per perché più quale quali quando quanta quante
        quanti quanto se si sono su sua suo tra un una uno""",
    "portuguese": """
        a ao à as com como da das de do dos e é ele ela em era está foi há mais mas na não nas no
        nos o onde os ou para pela pelo por porque qual quais quando quanta quantas quanto quantos
        que quem se são sem seu sua tem um uma""",
    "dutch": """
        aan als bij dan dat de deze die dit door een en er had heeft het hij hoe hoeveel ik in is
        kan maar met naar niet of om onder ook op over te tot uit van voor waar waarom wanneer waren
        was wat welk welke werd wie wordt zijn ze zij""",
    "danish": """
        af at da de den der det dette du efter en er et for fra før gør han har havde hun hvad hvem
        hvilke hvilken hvilket hvis hvor hvordan hvorfor hvornår i ikke jeg kan man med mange meget
        mellem når og om op over på sig skal som til ud under var ved vi vil være""",
    "swedish": """
        att av de den det du där efter ej en ett för från får han har hon hur hos i inte kan man med
        många mellan mycket när och om på sin ska som till under ut vad var varför vem vid vilka
        vilken vilket är""",
}
_WORDS_REMEMBERED: Final = 500_000
"""About 60 MB, more than the vocabulary of a large collection."""
_NORMALISED_AT_ONCE: Final = 1000
_PIECE: Final = re.compile(rf"(?s).{{1,{_NORMALISED_AT_ONCE}}}(?=\s)|.{{1,{_NORMALISED_AT_ONCE}}}")


def content_words(question: str) -> str:
    """A question without the function words of its language, where that is not English.

    The language is the one that most of its words are function words of, at least two. Those of
    English are left to `QUESTION_STOP_WORDS`.
    """
    words = question.split()
    plain = [word.strip("¿¡?!.,;:()\"'«»„“”’").lower() for word in words]
    english = sum(word in QUESTION_STOP_WORDS for word in plain)
    known = {
        language: sum(word in function_words for word in plain)
        for language, function_words in _elsewhere().items()
    }
    language = max(known, key=lambda name: known[name])
    if known[language] < max(2, english + 1):
        return question
    unwanted = _elsewhere()[language]
    kept = [word for word, bare in zip(words, plain, strict=True) if bare not in unwanted]
    return " ".join(kept) or question


@cache
def _elsewhere() -> dict[str, frozenset[str]]:
    return {name: frozenset(words.split()) for name, words in _FUNCTION_WORDS_ELSEWHERE.items()}


def nfkc(text: str) -> str:
    """A text in Unicode's normal form KC, in time that grows with its length.

    Python's own takes the square of the length of a run of combining signs.
    """
    if len(text) <= _NORMALISED_AT_ONCE:
        return unicodedata.normalize("NFKC", text)
    return "".join(unicodedata.normalize("NFKC", piece) for piece in _PIECE.findall(text))


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
