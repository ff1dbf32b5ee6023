"""What is closed when the `with` block that uses it ends."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class ClosedOnExit(ABC):
    """Base of classes with a `close` that also are context managers."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held; the end of a `with` block calls it, whatever happened in it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
