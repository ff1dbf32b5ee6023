"""How a model says that the passages do not hold the answer, so that a program can tell."""

from collections.abc import Callable
from typing import Final

ABSTENTION_LINE: Final = "NOT IN THE PASSAGES"
"""What the prompt tells the model to begin with; it is never shown."""
ABSTAINED: Final = "The passages that were found do not answer the question."
"""Shown where the model wrote that line and nothing else."""

_BEFORE: Final = frozenset(" \t\n*_#>\"'“`[(")
_AFTER: Final = frozenset(" \t*_\"'”`.:;,!–—-])")


class AbstentionFilter:
    """Incremental filter that recognises ``ABSTENTION_LINE`` at the beginning and takes it out.

    The line counts in its capitals only, emphasised or not, and what decorates it (``**``, a colon)
    goes with it. It is looked for before anything else was written; later it is text. Where the
    stream is split does not change the result. No more is held back than could still become the
    line.

    Attributes:
        abstained: Whether the line was found.
    """

    def __init__(self) -> None:
        self.abstained = False
        self._held = ""
        self._matched = 0
        self._step: Callable[[str], str] = self._seek

    def feed(self, delta: str) -> str:
        """Take the next piece and return the text that is certain by now."""
        return "".join(self._step(character) for character in delta)

    def finish(self) -> str:
        """End the stream and return what was still held back."""
        if self._step == self._end_word:  # the line is all there is
            self.abstained, self._held = True, ""
        text, self._held = self._held, ""
        return text

    def _seek(self, character: str) -> str:
        """Compare with the line, decoration before it aside."""
        self._held += character
        if character == ABSTENTION_LINE[self._matched]:
            self._matched += 1
            if self._matched == len(ABSTENTION_LINE):
                self._step = self._end_word
            return ""
        if self._matched == 0 and character in _BEFORE:
            return ""
        return self._give_up()

    def _end_word(self, character: str) -> str:
        """See that the line ends here, and is not the beginning of a longer word."""
        if character.isalnum():
            self._held += character
            return self._give_up()
        self.abstained, self._held, self._step = True, "", self._skip_line
        return self._step(character)

    def _skip_line(self, character: str) -> str:
        """Drop what decorates the line's end, then white space; a list's dash below it stays."""
        if character == "\n":
            self._step = self._skip_space
            return ""
        return "" if character in _AFTER else self._go_on(character)

    def _skip_space(self, character: str) -> str:
        return "" if character.isspace() else self._go_on(character)

    def _go_on(self, character: str) -> str:
        self._step = str
        return character

    def _give_up(self) -> str:
        text, self._held, self._step = self._held, "", str
        return text
