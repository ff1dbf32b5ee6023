"""Reasoning blocks: what a model thinks aloud is not its answer.

Models mark their thoughts in ways of their own, and a server without a parser for them hands the
marks on as text. Known are ``<think>`` (Qwen, DeepSeek), ``<thinking>``, ``<thought>``,
``<reasoning>``, ``<seed:think>``, ``[THINK]`` (Magistral), ``<|START_THINKING|>`` (Command),
``<|begin_of_thought|>`` (OpenThinker), ``◁think▷`` (Kimi), Gemma's ``<|channel>thought`` and the
channels of OpenAI's Harmony (https://github.com/openai/harmony), of which ``final`` is the answer.
"""

import re
from typing import Final

_PAIRS: Final = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|channel>thought", "<channel|>"),
)
_SOLITARY: Final = (
    "<|end|>", "<|return|>", "<|call|>", "<|message|>", "<|start_response|>", "<|end_response|>",
    "<|begin_of_solution|>", "<|end_of_solution|>",
)  # fmt: skip
"""Marks that begin or end a message, and say nothing."""
_OPENING: Final = frozenset(pair[0] for pair in _PAIRS)
_ENDING: Final = frozenset({"<|end|>"})
"""What ends a message of any kind, an answer as well as a thought."""
_CLOSING: Final = frozenset(pair[1] for pair in _PAIRS) | _ENDING
_PARTING: Final = (_OPENING | _CLOSING) - _ENDING
_MARKS: Final = (*_OPENING, *_CLOSING, *_SOLITARY)
_HELD: Final = (*_MARKS, "<|start|>", "<|channel|>")
_LONGEST_MARK: Final = max(map(len, _MARKS))

_NAME: Final = r"[^<]{0,64}"
"""What stands between two marks of Harmony: a role, or the name of a channel."""
_HEADER: Final = rf"<\|channel\|>(?P<channel>{_NAME})<\|message\|>|<\|start\|>{_NAME}(?=<|\Z)"
_ENDS: Final = rf"<\|channel\|>{_NAME}\Z"
_ALONE: Final = r"<\|(?:start|channel)\|>"
_ANY: Final = "|".join(re.escape(mark) for mark in sorted(_MARKS, key=len, reverse=True))
_MARK: Final = re.compile(f"{_HEADER}|{_ANY}|{_ALONE}", re.IGNORECASE)
_LAST_MARK: Final = re.compile(f"{_HEADER}|{_ENDS}|{_ANY}|{_ALONE}", re.IGNORECASE)
_UNFINISHED_HEADER: Final = re.compile(
    rf"<\|(?:start|channel)\|>{_NAME}(?:<\|?[a-z]{{0,7}}\|?)?\Z", re.IGNORECASE
)
_FIRST_CHARACTER: Final = re.compile(r"[<\[◁]")


class ThinkingFilter:
    """Incremental filter that removes reasoning blocks from streamed text.

    An unclosed block runs to the end. White space at the beginning of the answer and after a block
    at its beginning is dropped. What stands in the blocks is kept for `thought`. Where the stream
    is split does not change the result.

    Some chat templates write the opening mark themselves (DeepSeek-R1, QwQ), and a server without a
    parser for the model then hands on the closing one alone. All text before it was a thought;
    `retracted` tells that some of it has been returned.

    Args:
        opened: Whether the stream is known to begin inside a block.

    Attributes:
        began_inside: Whether it began inside a block, as known or found out.
        marked: Whether there has been a mark that parts thoughts from the answer.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self.began_inside = opened
        self.marked = False
        self._inside = opened
        self._held = ""
        self._started = self._retracted = False
        self._thought: list[str] = []
        self._unmarked: list[str] = []

    def feed(self, delta: str) -> str:
        """Take the next piece and return the answer's text that is certain by now."""
        text = self._held + delta
        cut = _possible_mark(text)
        self._held = text[cut:]
        return self._parted(text[:cut], _MARK)

    def finish(self) -> str:
        """End the stream and return what was still held back."""
        text, self._held = self._held, ""
        return self._parted(text, _LAST_MARK)

    def thought(self) -> str:
        """Return what stood in reasoning blocks since the last call, without their marks."""
        text = "".join(self._thought)
        self._thought.clear()
        return text

    def retracted(self) -> bool:
        """Whether all that was returned before the last piece was thought; True only once.

        `thought` returns it again.
        """
        found, self._retracted = self._retracted, False
        return found

    def _parted(self, text: str, marks: re.Pattern[str]) -> str:
        """Keep the thoughts of a text and return the rest."""
        shown: list[str] = []
        position = 0
        for match in marks.finditer(text):
            self._side(shown).append(text[position : match.start()])
            position = match.end()
            mark, channel = match[0].lower(), match["channel"]
            final = channel is not None and channel.strip().lower() == "final"
            if (final or mark in _PARTING - _OPENING) and not (self.marked or self._inside):
                self._take_back(shown)
            if channel is not None:
                self._inside = not final
            elif mark in _OPENING:
                self._inside = True
            elif mark in _CLOSING:
                self._inside = False
            self.marked |= channel is not None or mark in _PARTING
        self._side(shown).append(text[position:])
        shown_text = self._strip_start("".join(shown))
        if not self.marked:
            self._unmarked.append(shown_text)
        return shown_text

    def _take_back(self, shown: list[str]) -> None:
        """Make a thought of all text up to the first mark, which closes what nothing opened."""
        text = "".join([*self._unmarked, *shown]).lstrip()
        if text:
            self._thought.append(text)
            self._retracted = any(self._unmarked)
            self._started, self.began_inside = False, True
            shown.clear()

    def _side(self, shown: list[str]) -> list[str]:
        """Where text belongs now: to the thoughts, or to what is shown."""
        return self._thought if self._inside else shown

    def _strip_start(self, text: str) -> str:
        if not self._started:
            text = text.lstrip()
            self._started = bool(text)
        return text


def part_thoughts(text: str) -> tuple[str, str]:
    """The thoughts of a whole text, and the rest, both without white space around them."""
    thinking = ThinkingFilter()
    rest = thinking.feed(text) + thinking.finish()
    return thinking.thought().strip(), rest.strip()


def _possible_mark(text: str) -> int:
    """Return where a mark may have begun that ``text`` does not finish, or the text's length."""
    header = _UNFINISHED_HEADER.search(text)
    cut = header.start() if header else len(text)
    for match in _FIRST_CHARACTER.finditer(text, max(0, len(text) - _LONGEST_MARK + 1)):
        tail = text[match.start() :].lower()
        if any(mark.startswith(tail) and mark != tail for mark in _HELD):
            return min(cut, match.start())
    return cut
