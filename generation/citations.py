"""Citations: which passage a sentence of the answer rests on.

A passage's number is its place, from 1, among those the reader was given, and the reader marks
sentences with ``[n]``. The numbers are
the only thing taken from the model's text; source, page and position are looked up in the passage
that was given, so that a citation can never point at anything else.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llama_index.core.schema import MetadataMode, NodeWithScore


@dataclass(frozen=True, slots=True)
class Quote:
    """A piece of a passage that an answer rests on.

    Attributes:
        text: The piece as it stands in the passage.
        start: Where it begins in the passage's ``text``, in characters.
        end: Where it ends, exclusive.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """One passage that an answer cites.

    Attributes:
        n: The passage's number in the answer, from 1.
        passage_id: The id of the passage's node.
        source: Name of the document the passage comes from.
        page: Page of the document, from 1; None where the format has no pages.
        char_start: Where the passage begins in the page (or document), in characters.
        char_end: Where it ends, exclusive.
        text: The passage as it was given to the reader.
        title: The heading above the passage, or the name of its sheet; empty where there is none.
        place: Where it stands, for a person: "page 3", "slide 4", "sheet Pumps", or the title and
            id of a record; empty where the document has no such parts.
        boxes: Where it stands on its pages, as page, left, top, right, bottom in points.
        quotes: What the answer rests on, the best first; none where that is the whole passage.
        collection: Which of several collections it stands in; empty where one alone was asked.
    """

    n: int
    passage_id: str
    source: str
    page: int | None
    char_start: int
    char_end: int
    text: str
    title: str = ""
    place: str = ""
    boxes: tuple[tuple[float, ...], ...] = ()
    quotes: tuple[Quote, ...] = ()
    collection: str = ""

    @classmethod
    def of(cls, n: int, node: NodeWithScore, spans: Sequence[tuple[int, int]] = ()) -> "Citation":
        """Cite ``node`` as passage ``n``; ``spans`` are the ranges of its text that are quoted.

        Reads ``source``, ``page``, ``char_start`` and ``char_end`` from the node's metadata. A node
        from elsewhere that lacks them gets its document id (or its own) as source, no page, and
        a range that starts at its ``start_char_idx`` (or 0) and is as long as its text.

        Raises:
            ValueError: ``n`` is not positive.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        metadata = node.node.metadata
        text = node.node.get_content(MetadataMode.NONE)
        start = _as_int(metadata.get("char_start"))
        if start is None:
            start = _as_int(getattr(node.node, "start_char_idx", None)) or 0
        end = _as_int(metadata.get("char_end"))
        source = str(metadata.get("source") or node.node.ref_doc_id or node.node.node_id)
        page = _as_int(metadata.get("page"))
        headings = metadata.get("headings") or ()
        title = str(headings[-1]) if headings else ""
        return cls(
            n=n,
            passage_id=node.node.node_id,
            source=source,
            page=page,
            char_start=start,
            char_end=start + len(text) if end is None else end,
            text=text,
            title=title,
            place=describe_place(source, page, title, metadata.get("passage_id")),
            boxes=tuple(map(tuple, metadata.get("boxes") or ())),
            quotes=tuple(Quote(text[a:b], a, b) for a, b in spans),
            collection=str(metadata.get("collection") or ""),
        )


def describe_place(source: str, page: int | None, title: str, record_id: object = None) -> str:
    """Say where in its document a passage stands, as a person would."""
    if record_id:
        return f"{title} ({record_id})" if title else str(record_id)
    kind = source.rpartition(".")[2].lower()
    if page is None:
        return ""
    if kind in {"xlsx", "xlsm", "xls", "ods"}:
        return f"sheet {title or page}"
    return f"{'slide' if kind in {'pptx', 'ppt', 'odp'} else 'page'} {page}"


def _as_int(value: Any) -> int | None:
    """Return ``value`` when it is a whole number (bool is none), else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_LONGEST_MARKER: Final = 48
_OPEN: Final = "[【"
_CLOSE: Final = "]】"
_WORDS: Final = ("passage", "passages", "source", "sources", "document", "doc")
_NUMBER = r"(?:\b(?:passages?|sources?|document|doc)\s*|\^)?(\d{1,3})(?:†[^†,;\[\]【】\n]*)?"
_SEPARATOR = r"\s*(?:[,;、，；]|\band\b|&)\s*"
_ITEM = rf"{_NUMBER}(?:\s*[-–]\s*(\d{{1,3}}))?"
_ITEM_PATTERN: Final = re.compile(_ITEM, re.IGNORECASE)
_MARKER: Final = re.compile(rf"\s*{_ITEM}(?:{_SEPARATOR}{_ITEM})*\s*", re.IGNORECASE)
_LETTER_PREFIXES: Final = frozenset(
    word[:length] for word in (*_WORDS, "and") for length in range(1, len(word) + 1)
)
_BRACKETED: Final = re.compile(rf"[\[【]([^\[\]【】\n]{{1,{_LONGEST_MARKER}}})[\]】]")
_PLAIN_CONTENT: Final = frozenset("0123456789 ,;、，；&^-–")
_CLOSES_GAP: Final = frozenset(" .,;:!?)]\n")


class CitationResolver:
    """Incremental parser of citation markers in a streamed answer.

    A marker is a bracket, square or lenticular, that holds nothing but passage numbers of one to
    three digits: ``[1]``, ``[1, 2]``, ``[1-3]``, ``【1】``, and the spellings models are known to
    use instead: ``[Passage 1]``, ``[^1]``, ``【1†L3-L9】``. Each is rewritten as ``[1][2]``.
    Numbers of passages that were not given are removed and counted.

    Decisions:

    - ``[x]``, ``[sic]``, ``[2024]`` and ``[text](url)`` are not markers and stay as they are.
    - ``capital[1]`` is a marker (models often leave out the space), so ``a[3]`` in running prose is
      one too. Inside code, between back-ticks, nothing is a marker. An inline code span that is not
      closed ends with its line.
    - A marker followed by ``(`` or ``:`` gets a space after it. ``[1](http://..)`` and
      ``[1]: http://..`` would otherwise be Markdown that turns our marker into somebody's link.
    - Where a marker is removed, the blank before it goes too if punctuation or a blank follows, and
      a blank is left where two words would grow together, or ``[[9]1]`` become ``[1]``.

    The parser is a state machine over single characters, so where the stream is split does not
    change the result. It holds back at most a blank and an unfinished marker (``_LONGEST_MARKER``
    characters; a bracket is released as soon as it can no longer become a marker).

    Args:
        given: The numbers of the passages that were given.

    Attributes:
        cited: Passage numbers in the order of their first use.
        unknown: How many numbers were removed because no such passage was given.
    """

    def __init__(self, given: Iterable[int]) -> None:
        self._given = frozenset(given)
        self.cited: list[int] = []
        self.unknown = 0
        self._out: list[str] = []
        self._gap = ""
        self._removed = False
        self._bracket = ""
        self._after_marker = False
        self._code = _CodeSpans()

    def feed(self, delta: str) -> str:
        """Take the next piece of the stream and return the text that is safe to show now."""
        for character in delta:
            self._step(character)
        return self._drain()

    def finish(self) -> str:
        """End the stream and return what was still held back; an open bracket is plain text."""
        self._release_bracket()
        if not self._removed:
            self._out.append(self._gap)
        self._gap = ""
        return self._drain()

    def _step(self, character: str) -> None:
        if self._bracket:
            if character in _CLOSE:
                self._close_bracket(character)
                return
            if self._may_continue(character):
                self._bracket += character
                return
            self._release_bracket()
        self._code.step(character)
        if character in _OPEN and not self._code.inside:
            self._bracket = character
        elif character == " " and (self._removed or not self._gap):
            self._gap = character
        else:
            self._write(character)

    def _may_continue(self, character: str) -> bool:
        """Say whether the open bracket plus ``character`` can still become a marker."""
        if len(self._bracket) >= _LONGEST_MARKER or character in _OPEN or character == "\n":
            return False
        if character in _PLAIN_CONTENT or "†" in self._bracket:
            return character != "`"
        if character == "†":
            return self._bracket[-1].isdigit()
        letters = re.search(r"[a-z]*$", (self._bracket + character).lower())
        return letters is not None and letters.group() in _LETTER_PREFIXES

    def _close_bracket(self, character: str) -> None:
        content = self._bracket[1:]
        if not _MARKER.fullmatch(content):
            self._bracket += character
            self._release_bracket()
            return
        self._bracket = ""
        known = self._resolve(_numbers(content))
        if known:
            self._write("".join(f"[{n}]" for n in known))
            self._after_marker = True
        else:
            self._removed = True

    def _resolve(self, numbers: list[int]) -> list[int]:
        """Keep the numbers of given passages, once each, and book both kinds."""
        known = [n for n in dict.fromkeys(numbers) if n in self._given]
        self.unknown += len(set(numbers) - self._given)
        self.cited.extend(n for n in known if n not in self.cited)
        return known

    def _release_bracket(self) -> None:
        text, self._bracket = self._bracket, ""
        if text:
            self._write(text)

    def _write(self, text: str) -> None:
        """Emit text, after the blank it needs (see the class's decisions) or none."""
        gap = self._gap
        if self._removed:
            if gap and text[0] in _CLOSES_GAP:
                gap = ""
            elif not gap and (text[0].isalnum() or text[0] in "[]"):
                gap = " "
        if self._after_marker and text[0] in "(:":
            gap = " "
        self._out.append(gap + text)
        self._gap = ""
        self._removed = self._after_marker = False

    def _drain(self) -> str:
        text = "".join(self._out)
        self._out.clear()
        return text


def defuse_markers(text: str) -> str:
    """Put what would be read as our citations in ``text`` into round brackets: ``[3]`` to ``(3)``.

    For text of documents that is shown as part of an answer: their references are not ours.
    """

    def defuse(match: re.Match[str]) -> str:
        return f"({match[1]})" if _MARKER.fullmatch(match[1]) else match[0]

    return _BRACKETED.sub(defuse, text)


class _CodeSpans:
    """Follows back-ticks, one character at a time, and knows whether we are inside code.

    A run of back-ticks opens a span and a run of the same length closes it (a fence, three or more,
    is closed by a run at least as long); a new line ends an inline span.
    """

    def __init__(self) -> None:
        self._open = 0
        self._run = 0

    @property
    def inside(self) -> bool:
        """Whether the next character is inside code."""
        return self._open > 0

    def step(self, character: str) -> None:
        """Take one character of text."""
        if character == "`":
            self._run += 1
            return
        if self._run:
            self._end_run()
        if character == "\n" and self._open in (1, 2):
            self._open = 0

    def _end_run(self) -> None:
        run, self._run = self._run, 0
        if not self._open:
            self._open = run
        elif run == self._open or (self._open >= 3 and run > self._open):
            self._open = 0


def _numbers(content: str) -> list[int]:
    """Read the passage numbers of a marker's content, ranges spelled out, in order."""
    numbers: list[int] = []
    for match in _ITEM_PATTERN.finditer(content):
        first, last = int(match[1]), int(match[2] or match[1])
        numbers.extend(range(min(first, last), max(first, last) + 1))
    return numbers
