"""Loaders, one file a format family; each is imported when the first such file comes.

`data.components.LOADERS` has a row for each.
"""

from collections.abc import Iterator
from pathlib import Path

from data.blocks import Loaded, Scan
from data.components import BY_ENDING, LOADERS
from data.errors import UnreadableFile
from data.limits import Limits
from data.loaders.making import captioned, tidied


def load(path: Path, kind: str) -> Iterator[Loaded | Scan]:
    """The blocks of a file, and warnings about it, by the loader of its kind (see `sniff`).

    Raises UnreadableFile as the loader does, and ValueError for a kind that does not exist. A
    damaged file may also raise what the library beneath raises: run it through `data.parsing`.
    """
    if kind not in LOADERS:
        raise ValueError(f"kind must be one of {sorted(LOADERS)}, got {kind!r}")
    loaded: Iterator[Loaded | Scan] = LOADERS[kind].load()(path)
    return captioned(tidied(loaded))


def require_size(name: str, size: int, limits: Limits) -> None:
    """Raise UnreadableFile where a file of that name and size in bytes is too large."""
    from data.loaders.content import check_size

    kind = BY_ENDING.get(Path(name).suffix.lower())
    check_size(size, name, kind.name if kind else "", limits)


def sniff(path: Path, name: str = "", limits: Limits | None = None) -> str:
    """The kind of a file by extension and content, which must agree.

    `name` is the name its owner gave it, where that is not the name of `path`. Sizes, and for
    zip containers the members, are held against `limits`. Raises UnreadableFile with the reason.
    """
    from data.loaders.content import check

    name = name or path.name
    extension = Path(name).suffix.lower()
    kind = BY_ENDING.get(extension)
    if kind is None:
        raise UnreadableFile(
            f"cannot read {name}",
            cause=f"files of type {extension or '(no extension)'} are not supported",
            hint=f"Supported are {' '.join(sorted(BY_ENDING))}",
        )
    check(path, name, kind.name, limits or Limits())
    return kind.name
