"""The public names of a package: imported when they are first used, from our own packages only."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def lazy(
    package: str, homes: Mapping[str, Iterable[str]], below: Iterable[str] = ()
) -> Callable[[str], Any]:
    """A module's ``__getattr__`` (PEP 562) that imports a public name when it is first used.

    Args:
        homes: the names, by the module of the package that defines them.
        below: packages of rag-app that this one imports.

    Raises:
        ImportError: `data`, or a package in `below`, is hidden by another of its name.
    """
    for name in ("data", *below):  # an editable install finds our modules in another's `data`
        require(name)

    def get(name: str) -> Any:
        for home, names in homes.items():
            if name in names:
                return getattr(import_module(f"{package}.{home}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get


def require(name: str) -> None:
    """Raise ImportError where Python finds another package of that name before ours.

    Our packages have plain names (`data`, `eval`), and lie in one folder.
    """
    spec = find_spec(name)
    places = (spec.origin and [spec.origin]) or spec.submodule_search_locations if spec else None
    ours = Path(__file__).parent.parent / name / "__init__.py"
    if not places or Path(places[0]).resolve() != ours.resolve():
        raise ImportError(
            f"the package `{name}` of rag-app, {ours.parent}, is hidden by "
            f"{places[0] if places else 'nothing'}, which comes first on Python's path; "
            "docs/llamaindex.md tells what to do"
        )
