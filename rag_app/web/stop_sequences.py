"""Text that ends before a stop sequence, also while it is still being written."""

from collections.abc import Iterable


class StopSequences:
    """Passes a stream of text on, up to the stop sequence that is complete first; it is left out.

    What may be the beginning of one is held back until it is known. Where the stream is split does
    not change what is passed on.

    Args:
        stops: the sequences; empty ones are ignored.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self._ended = False

    def feed(self, piece: str) -> str:
        """Take the next piece; returns what can be shown now."""
        if self._ended:
            return ""
        text = self._held + piece
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self._ended, self._held = True, ""
            return text[: min(found)[1]]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """End the stream; returns what was held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)
