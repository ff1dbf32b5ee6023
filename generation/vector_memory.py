"""An encoder that remembers: the same sentences and passages come with many questions."""

import hashlib
from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from data.arguments import at_least
from data.recent import Recent

Vectors = npt.NDArray[np.float32]


class VectorMemory:
    """Keeps the vectors of the texts that it was asked for last; may be shared by threads.

    Args:
        embed: texts to vectors ``(n, dimension)``, each text's own whatever stands beside it; may
            be called from several threads.
        size: how many are kept, at about 2 kB for 384 dimensions.

    Raises:
        ValueError: ``size`` is below 1.
    """

    def __init__(self, embed: Callable[[Sequence[str]], Vectors], size: int) -> None:
        at_least(1, size=size)
        self._embed = embed
        self._known: Recent[bytes, Vectors] = Recent(size)
        self._lock = Lock()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Vectors ``(n, dimension)`` of one text or more."""
        keys = [_key(text) for text in texts]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if new:
            vectors = np.asarray(self._embed(list(new.values())), dtype=np.float32)
            found |= dict(zip(new, map(np.copy, vectors), strict=True))  # rows of their own
        with self._lock:
            self._known.update((key, found[key]) for key in keys)
        return np.stack([found[key] for key in keys])


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
