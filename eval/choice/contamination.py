"""Whether a question stands, word for word, in passages: its answer may stand beside it.

The rule is that of GPT-3 (Brown et al., NeurIPS 2020, appendix C): texts overlap when they share
13 words in a row, case and punctuation aside; fewer where texts are short, but no less than 8. Here
a question of 8 to 12 words must be found whole, and one of fewer never counts, since it would be
found in passages that have nothing to do with it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

_FEWEST = 8
_WORD = re.compile(r"[^\W_]+")


def shares_ngram(question: str, passages: Iterable[str], n: int = 13) -> bool:
    """Whether any passage has n words in a row that the question has too.

    Args:
        question: without its choices, which recur in unrelated texts.
        passages: texts.
        n: words in a row; a question of fewer, but at least 8, must be found whole.
    """
    return bool(overlapping({"": question}, passages, n))


def overlapping(
    questions: Mapping[str, str], passages: Iterable[str], n: int = 13
) -> frozenset[str]:
    """Ids of the questions that any of the passages, read one at a time, overlaps with.

    Args:
        questions: id -> text without choices.
        passages: texts, such as a whole corpus.
        n: see `shares_ngram`.
    """
    words = {name: _words(text) for name, text in questions.items()}
    starts = _starts(words, n)
    found: set[str] = set()
    for passage in passages:
        there = _words(passage)
        # One pass in C finds where a match may begin; only then are whole n-grams compared.
        for start in starts.keys() & set(map(hash, _grams(there, min(n, _FEWEST)))):
            for name in starts[start]:
                if name not in found and _share(words[name], there, n):
                    found.add(name)
    return frozenset(found)


def _starts(words: Mapping[str, Sequence[str]], n: int) -> dict[int, tuple[str, ...]]:
    """Hash of the first words of each n-gram -> ids of the questions that have it."""
    starts: dict[int, tuple[str, ...]] = {}
    for name, text in words.items():
        length = min(n, _FEWEST)
        last = len(text) - min(n, max(len(text), length))
        for start in {hash(gram) for gram in _grams(text[: last + length], length)}:
            starts[start] = (*starts.get(start, ()), name)
    return starts


def _share(question: Sequence[str], passage: Sequence[str], n: int) -> bool:
    n = min(n, len(question))
    return not set(_grams(question, n)).isdisjoint(_grams(passage, n))


def _grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
