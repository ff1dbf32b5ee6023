"""Which texts go through a model together."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def plan(lengths: Sequence[int], budget: int, multiple: int = 8) -> list[list[int]]:
    """Batches of neighbours in length, longest first, so that memory runs out early or never.

    Args:
        lengths: tokens of each text.
        budget: most tokens of a batch, counted as `cost` does; a longer text is a batch by itself.
        multiple: what the length of a batch is rounded up to.

    Returns:
        Positions in `lengths`, each once.
    """
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        batch = batches[-1] if batches else []
        if batch and padded(lengths[batch[0]], multiple) * (len(batch) + 1) <= budget:
            batch.append(position)
        else:
            batches.append([position])
    return batches


def cost(lengths: Sequence[int], multiple: int = 8) -> int:
    """Tokens of a batch when each text is as long as the longest, rounded up."""
    return padded(max(lengths), multiple) * len(lengths)


def padded(length: int, multiple: int = 8) -> int:
    """`length` rounded up to a multiple, as matrix kernels like it."""
    return -(-length // multiple) * multiple


def halves(batch: Sequence[T]) -> tuple[list[T], list[T]]:
    """A batch of two or more as two, for one that did not fit into memory."""
    middle = (len(batch) + 1) // 2
    return list(batch[:middle]), list(batch[middle:])


def windows(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Positions by falling length, at most `most` at a time."""
    order = sorted(range(len(lengths)), key=lambda at: -lengths[at])
    for start in range(0, len(order), most):
        yield order[start : start + most]
