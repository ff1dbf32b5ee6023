"""Encoders that fail as workers of a cluster do: killed outright, or with an error."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from pydantic import PrivateAttr

from retrieval.encoders.base import Encoded
from retrieval.encoders.errors import EncoderError
from tests.encoders import HashingEncoder


class MortalEncoder(HashingEncoder):
    """Kills its process when it sees a word; afterwards it may live on.

    Args:
        word: what kills it; empty for nothing.
        deaths: folder that keeps a file a death, since a process remembers nothing.
        most: it dies no more often than that.
        error: raise EncoderError instead.
    """

    _word: str = PrivateAttr()
    _deaths: Path = PrivateAttr()
    _most: int = PrivateAttr()
    _error: bool = PrivateAttr()

    def __init__(self, word: str, deaths: Path, most: int = 1, error: bool = False) -> None:
        super().__init__()
        deaths.mkdir(exist_ok=True)
        self._word, self._deaths, self._most, self._error = word, deaths, most, error

    def __reduce__(self):
        return type(self), (self._word, self._deaths, self._most, self._error)

    def encode_passages(self, texts: Sequence[str]) -> Encoded:
        died = len(list(self._deaths.iterdir()))
        if died < self._most and any(self._word in text for text in texts):
            (self._deaths / str(died)).touch()
            if self._error:
                raise EncoderError("the model is gone", cause="it was lent", hint="Buy one")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_passages(texts)
