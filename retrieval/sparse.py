"""A sparse vector as the stores take it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A vector of 2**32 dimensions, given by its non-zero coordinates.

    Attributes:
        indices: distinct dimensions in [0, 2**32), in any order; length n.
        values: the value at each of them; length n.
    """

    indices: list[int]
    values: list[float]

    def __len__(self) -> int:
        """How many coordinates are non-zero."""
        return len(self.indices)
