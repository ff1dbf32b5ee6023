"""The form of a registry: one row says what stands behind a name that settings or a user give."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True)
class Row:
    """One choice of a stage: a loader, a reranker, an evaluation data set.

    Attributes:
        name: as settings and commands write it.
        path: ``package.module:Name`` of the class or function; imported when it is used.
        help: one line for `--help`, the doctor and the documentation.
        needs: what must be there, such as an extra (``rag-app[ray]``) or a server; empty for
            nothing.
    """

    name: str
    path: str
    help: str
    needs: str = ""

    def load(self) -> Any:
        """What the path names.

        Raises:
            ImportError: the module, or what it needs, is not installed.
            AttributeError: the module has no such name.
        """
        module, _, name = self.path.partition(":")
        return getattr(import_module(module), name)


Each = TypeVar("Each", bound=Row)


def registry(*rows: Each) -> Mapping[str, Each]:
    """The rows by name, in their order. Raises ValueError: two rows have one name."""
    table = {row.name: row for row in rows}
    if len(table) < len(rows):
        raise ValueError("two rows of a registry have one name")
    return MappingProxyType(table)
