"""What must not be trained on: doubles, and what an evaluation asks."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from retrieval.training.examples import Example

_WORD = re.compile(r"\w+")
MOST_SHARED = 0.5
"""Share of a text's sequences of eight words above which it is a copy of another."""
_RUN = 8  # words in a row that two different questions hardly share


def distinct(examples: Iterable[Example], dropped: Counter[str]) -> Iterator[Example]:
    """Those whose query did not come before; how many did is counted under `duplicate`."""
    seen: set[str] = set()
    for example in examples:
        key = " ".join(_WORD.findall(example.query.lower()))
        if key in seen:
            dropped["duplicate"] += 1
        else:
            seen.add(key)
            yield example


def uncontaminated(
    examples: Iterable[Example], questions: Sequence[str], dropped: Counter[str]
) -> Iterator[Example]:
    """Those that share no eight words in a row, nor a whole short query, with a question.

    The others are counted under `contaminated`.
    """
    asked = {run for question in questions for run in _runs(question)}
    for example in examples:
        if asked.isdisjoint(_runs(example.query)):
            yield example
        else:
            dropped["contaminated"] += 1


def overlap(example: Example, terms: Callable[[str], Sequence[str]]) -> float:
    """Share of the query's terms that its first positive holds: near 1, words alone find it."""
    asked = set(terms(example.query))
    return len(asked & set(terms(example.pos[0]))) / max(1, len(asked))


def shared(text: str, other: str) -> float:
    """Share of a text's sequences of eight words that the other has, too."""
    runs = _runs(text)
    return len(runs & _runs(other)) / len(runs)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return {tuple(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1))}
