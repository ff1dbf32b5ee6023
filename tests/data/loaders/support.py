"""What a loader's blocks come to."""

from collections.abc import Iterable

from data.blocks import Loaded, LoadWarning
from data.loaders.making import tidied
from data.splitting import Passage, Splitter


def runs(loaded: Iterable[Loaded]) -> list[Passage]:
    """One passage for each heading and page, however long."""
    return list(Splitter(lambda _: 1, 10**6, 0).split(tidied(loaded)))


def reasons(loaded: Iterable[Loaded]) -> list[str]:
    """The reasons of the warnings."""
    return [one.reason for one in loaded if isinstance(one, LoadWarning)]
