"""Reasoning blocks: what a model thinks aloud is not its answer."""

import re
from typing import Final

_TAG: Final = re.compile(r"<(/?)(?:think|thinking)>", re.IGNORECASE)
_LONGEST_TAG: Final = len("</thinking>")


class ThinkingFilter:
    """Incremental filter that removes ``<think>…</think>`` from streamed text.

    For servers that leave the reasoning of a model in its text (vLLM without a reasoning parser).
    An unclosed block runs to the end; a closing tag without an opening one is removed. White space
    at the beginning of the answer and after a block at its beginning is dropped. What stands in the
    blocks is kept for `thought`. Where the stream is split does not change the result.

    Args:
        opened: Whether the stream begins inside a block, as with models whose chat template writes
            the opening tag itself (DeepSeek-R1, QwQ).
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._inside = opened
        self._held = ""
        self._started = False
        self._thought: list[str] = []

    def feed(self, delta: str) -> str:
        """Take the next piece and return the answer's text that is certain by now."""
        text, self._held = self._held + delta, ""
        shown: list[str] = []
        position = 0
        for match in _TAG.finditer(text):
            self._side(shown).append(text[position : match.start()])
            self._inside = not match[1]
            position = match.end()
        rest = text[position:]
        cut = _possible_tag(rest)
        self._held = rest[cut:]
        self._side(shown).append(rest[:cut])
        return self._strip_start("".join(shown))

    def finish(self) -> str:
        """End the stream and return what was still held back."""
        shown: list[str] = []
        self._side(shown).append(self._held)
        self._held = ""
        return self._strip_start("".join(shown))

    def thought(self) -> str:
        """Return what stood in reasoning blocks since the last call, without their tags."""
        text = "".join(self._thought)
        self._thought.clear()
        return text

    def _side(self, shown: list[str]) -> list[str]:
        """Where text belongs now: to the thoughts, or to what is shown."""
        return self._thought if self._inside else shown

    def _strip_start(self, text: str) -> str:
        if not self._started:
            text = text.lstrip()
            self._started = bool(text)
        return text


def _possible_tag(text: str) -> int:
    """Return where a tag may have begun that ``text`` does not finish, or the text's length."""
    start = text.rfind("<", max(0, len(text) - _LONGEST_TAG + 1))
    if start < 0:
        return len(text)
    tail = text[start:].lower()
    unfinished = any(
        tag.startswith(tail) for tag in ("<think>", "</think>", "<thinking>", "</thinking>")
    )
    return start if unfinished else len(text)
