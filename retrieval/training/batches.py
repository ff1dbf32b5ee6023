"""Which examples are trained on together, and with which of their passages."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.training.examples import Example, TrainingDataError


@dataclass(frozen=True, slots=True)
class Row:
    """One example as it goes through the model once.

    Attributes:
        groups: of each passage, a number that passages of the same document share.
        reasoning_query: q' of Redapter.
    """

    query: str
    passages: tuple[str, ...]
    groups: tuple[int, ...]
    reasoning_query: str


def rows(
    examples: Sequence[Example], *, batch_size: int, negatives: int, epochs: float, seed: int
) -> list[Row]:
    """The whole training in order: `batch_size` rows after one another make a batch.

    An epoch has every example once, in an order of its own and with one of its positives by chance.
    An example with too few negatives gets positives of others. Those of the last batch that would
    not fill it are left out, so that all batches, on all devices, are equal.

    Raises:
        TrainingDataError: the examples do not fill a batch.
    """
    if len(examples) < batch_size:
        raise TrainingDataError(
            f"{len(examples)} training examples are too few",
            cause=f"a batch has {batch_size}",
            hint="Make more with `rag-app synthesize`, or set a smaller --batch-size",
        )
    chance = random.Random(seed)  # noqa: S311 - no secret
    order: list[Example] = []
    while len(order) < epochs * len(examples):
        order += chance.sample(examples, len(examples))
    kept = int(epochs * len(examples)) // batch_size * batch_size
    return [
        _row(example, negatives, examples, chance) for example in order[: max(kept, batch_size)]
    ]


def _row(
    example: Example, negatives: int, examples: Sequence[Example], chance: random.Random
) -> Row:
    at = chance.randrange(len(example.pos))
    chosen = [(example.pos[at], _id(example.pos, example.pos_id, at))]
    count = min(negatives, len(example.neg))
    chosen += [
        (example.neg[place], _id(example.neg, example.neg_id, place))
        for place in chance.sample(range(len(example.neg)), count)
    ]
    while len(chosen) <= negatives:
        other = chance.choice(examples)
        place = chance.randrange(len(other.pos))
        chosen.append((other.pos[place], _id(other.pos, other.pos_id, place)))
    groups = tuple(_number(identity) for _, identity in chosen)
    return Row(example.query, tuple(text for text, _ in chosen), groups, example.reasoning_query)


def _id(texts: Sequence[str], ids: Sequence[str], at: int) -> str:
    return ids[at] if ids else texts[at]


def _number(identity: str) -> int:
    """Equal for equal ids, in every process; 60 bits, so that it is a positive int64."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8]) >> 4
