"""The public names of a package: imported when they are first used, from our own packages only.

The package's stub, `__init__.pyi`, lists them once: for type checkers, and for `lazy`.
"""

import ast
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent


def lazy(package: str, below: Iterable[str] = ()) -> tuple[Callable[[str], Any], list[str]]:
    """A package's ``__getattr__`` (PEP 562), which imports public names, and its ``__all__``.

    Args:
        below: packages of rag-app that this one imports.

    Raises:
        ImportError: `data`, or a package in `below`, is hidden by another of its name.
    """
    for name in ("data", *below):  # an editable install finds our modules in another's `data`
        require(name)
    stub = ast.parse((_ROOT / package / "__init__.pyi").read_text("utf-8"))
    homes = {
        one.name: node.module or ""
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for one in node.names
    }

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, sorted(homes)


def require(name: str) -> None:
    """Raise ImportError where Python finds another package of that name before ours.

    Our packages have plain names (`data`, `eval`), and lie in one folder.
    """
    spec = find_spec(name)
    places = (spec.origin and [spec.origin]) or spec.submodule_search_locations if spec else None
    expected = _ROOT / name / "__init__.py"
    if not places or Path(places[0]).resolve() != expected.resolve():
        raise ImportError(
            f"the package `{name}` of rag-app, {expected.parent}, is hidden by "
            f"{places[0] if places else 'nothing'}, which comes first on Python's path; "
            "docs/llamaindex.md tells what to do"
        )
