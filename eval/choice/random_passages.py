"""Passages that have nothing to do with a question, but look like those that were found for it.

They separate what passages say from what it does to a reader that there are any.
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from llama_index.core.schema import NodeWithScore

from eval.choice.finding import node_of
from eval.choice.permutation import digest
from eval.errors import EvalError
from rag_app.results import Hit
from rag_app.service import Service

TOLERANCE = 0.1
"""Share by which the total length may differ."""
_TRIES = 32


class PassagePool:
    """All passages of a collection, ordered by length and id; about 2.5 kB each."""

    def __init__(self, passages: Iterable[Hit]) -> None:
        self._passages = sorted(
            passages, key=lambda passage: (_words(passage.text), passage.passage_id)
        )
        self._lengths = [_words(passage.text) for passage in self._passages]

    @classmethod
    async def of(cls, service: Service, collection: str, encoder: str | None) -> "PassagePool":
        """The passages that searches in an encoder's index see."""
        found: list[Hit] = []
        async for batch in service.passages(collection, encoder):
            found.extend(batch.passages)
        return cls(found)

    def draw(self, like: Sequence[NodeWithScore], seed: int, question: str) -> list[NodeWithScore]:
        """As many other passages, in total as long in words within 10 %.

        Each is drawn among those that are as long as one of `like` within 10 %, or else is the
        one nearest to it in length.

        Raises:
            EvalError: the collection has no such passages.
        """
        draw = random.Random(digest(f"{seed}:random:{question}"))  # noqa: S311 - no secret
        chosen = {found.node.node_id for found in like}
        wanted = [_words(found.node.get_content()) for found in like]
        drawn = []
        for words in wanted:
            place = self._pick(words, chosen, draw)
            if place is None:
                break
            drawn.append(self._passages[place])
            chosen.add(self._passages[place].passage_id)
        total = sum(_words(passage.text) for passage in drawn)
        if len(drawn) < len(like) or abs(total - sum(wanted)) > TOLERANCE * sum(wanted):
            raise EvalError(
                f"there are no {len(like)} random passages of {sum(wanted)} words",
                cause=f"the collection has {len(self._passages)} passages",
                hint="Leave the arm random away, or ask for fewer --passages",
            )
        return [node_of(passage) for passage in drawn]

    def _pick(self, words: int, chosen: set[str], draw: random.Random) -> int | None:
        low = bisect_left(self._lengths, (1 - TOLERANCE) * words)
        high = bisect_right(self._lengths, (1 + TOLERANCE) * words)
        for _ in range(_TRIES if low < high else 0):
            place = low + int(draw.random() * (high - low))
            if self._passages[place].passage_id not in chosen:
                return place
        free = (n for n, p in enumerate(self._passages) if p.passage_id not in chosen)
        return min(free, key=lambda n: abs(self._lengths[n] - words), default=None)


def _words(text: str) -> int:
    return len(text.split())
