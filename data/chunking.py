"""Cutting sections into chunks that a reader can find again in the document."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from data.sections import Section


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one page, for which `page_text[char_start:char_end] == text` holds.

    `page_text` is the text of `page`, or of the document where `page` is None (see
    `data.sections.page_texts`). `index` counts the chunks of one `split` from 0.
    """

    text: str
    index: int
    page: int | None
    char_start: int
    char_end: int
    heading_path: tuple[str, ...]
    passage_id: str | None


@dataclass(frozen=True, slots=True)
class _Unit:
    """An indivisible span [start, end) of a run, without white space around it."""

    start: int
    end: int
    cost: int
    ends_paragraph: bool


@dataclass(slots=True)
class _Run:
    """Adjacent sections of one page under one heading path; `start` is the offset of text[0].

    Everything before `covered` (an offset in `text`) is in chunks given out already.
    """

    text: str
    page: int | None
    heading_path: tuple[str, ...]
    start: int
    covered: int = 0

    def takes(self, section: Section) -> bool:
        """Whether the section goes on where this run ends."""
        gap = section.char_start - self.start - len(self.text)
        same = (section.page, section.heading_path) == (self.page, self.heading_path)
        return section.passage_id is None and same and 0 <= gap <= _MAX_GAP

    def append(self, section: Section) -> None:
        """Add a section that `takes` accepts; the gap is line feeds, by the law of sections."""
        gap = section.char_start - self.start - len(self.text)
        self.text = f"{self.text}{chr(10) * gap}{section.text}"


_MAX_GAP = 8
_RUN_CHARS = 65_536
"""A longer run is cut down to its last chunk before it grows further."""

_CHARS_PER_TOKEN = 16
"""More characters than this count as a token of their own, see `Chunker`."""

_BOUNDARY = re.compile(
    r"\n[^\S\n]*+\n\s*+"  # blank line
    r"|[.!?…][\"'”’»)\]]{0,3}\s++(?=[\"'“‘«(\[]?[^\Wa-z_])"  # end of a sentence
    r"|[。！？][\"”’」』）]{0,3}\s*+"
)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_NO_END = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|[eE]\.g|i\.e|al|cf|Dr|Eqs?|etc|Figs?|Jr|Mrs?|Ms|No|pp?|Prof|Refs?|Sec|"
    r"St|Tab|vol|vs)\.$|(?:^|\n)[ \t]*\d{1,3}\.$"
)
_SEAMS = (re.compile(r"\n\s*"), re.compile(r"[,;:–—]\s+"), re.compile(r"\s+"))


class Chunker:
    """Packs whole sentences into chunks of at most `chunk_tokens`, in the sense of `count_tokens`.

    Consecutive chunks of a run share up to `overlap_tokens` of whole sentences. A chunk never
    crosses a page or a heading; it ends with a paragraph where one ends in its second half. A
    sentence that is too long is cut at a line, a comma, a space, else anywhere. All text but
    white space is in some chunk, and no chunk is empty. Passages that come with an id stay whole.

    `count_tokens` counts without special tokens and is called about once a sentence and once a
    chunk. Some tokenisers see one unknown token in a word of any length, so 16 characters count
    as one token at least. Raises ValueError for chunk_tokens < 1 or an overlap outside
    0 .. chunk_tokens - 1. Why not a library: docs/decisions/0004-own-chunker.md.
    """

    def __init__(
        self,
        count_tokens: Callable[[str], int],
        chunk_tokens: int = 200,
        overlap_tokens: int = 32,
    ) -> None:
        if chunk_tokens < 1:
            raise ValueError(f"chunk_tokens must be at least 1, got {chunk_tokens}")
        if not 0 <= overlap_tokens < chunk_tokens:
            raise ValueError(
                f"overlap_tokens must be 0 to {chunk_tokens - 1}, got {overlap_tokens}"
            )
        self._count = count_tokens
        self._limit = chunk_tokens
        self._overlap = overlap_tokens

    @property
    def identity(self) -> dict[str, str | int]:
        """What decides where chunks begin and end, for the fingerprint of an index."""
        return {
            "name": "sentence-packer",
            "version": 1,
            "chunk_tokens": self._limit,
            "overlap_tokens": self._overlap,
        }

    def split(self, sections: Iterable[Section]) -> Iterator[Chunk]:
        """The chunks of one document's sections, in order, numbered from 0; holds little text."""
        for index, (text, start, section) in enumerate(self._pieces(sections)):
            end = start + len(text)
            path = section.heading_path
            yield Chunk(text, index, section.page, start, end, path, section.passage_id)

    def _pieces(self, sections: Iterable[Section]) -> Iterator[tuple[str, int, Section]]:
        """Text and offset of each chunk, with a section it belongs to."""
        run: _Run | None = None
        owner = Section("")
        for section in sections:
            if run is not None and run.takes(section):
                run.append(section)
            else:
                if run is not None:
                    yield from self._drain(run, owner, last=True)
                run = None
                owner = section
                if section.passage_id is None:
                    run = _Run(section.text, section.page, section.heading_path, section.char_start)
                elif section.text.strip():
                    yield section.text, section.char_start, section
            if run is not None and len(run.text) > _RUN_CHARS:
                yield from self._drain(run, owner, last=False)
        if run is not None:
            yield from self._drain(run, owner, last=True)

    def _drain(
        self, run: _Run, owner: Section, *, last: bool
    ) -> Iterator[tuple[str, int, Section]]:
        """The chunks of a run; unless it is the last time, its final one stays in the run."""
        spans = list(self._pack(run))
        kept = () if last or not spans else spans[-1]
        for begin, end in spans[: len(spans) - 1 if kept else None]:
            yield run.text[begin:end], run.start + begin, owner
        if kept:
            covered = spans[-2][1] if len(spans) > 1 else run.covered
            run.covered = covered - kept[0]
            run.start += kept[0]
            run.text = run.text[kept[0] :]

    def _pack(self, run: _Run) -> Iterator[tuple[int, int]]:
        """Spans of chunks: units are taken while they fit, each span reaches further."""
        units = list(self._units(run.text))
        first, covered = 0, 0
        while covered < len(units) and units[covered].end <= run.covered:
            covered += 1
        while covered < len(units):
            stop = self._stop(run.text, units, first, covered)
            if stop <= covered:  # together they count more than each alone
                first = covered
                continue
            yield units[first].start, units[stop - 1].end
            first, covered = self._restart(units, first, stop), stop

    def _stop(self, text: str, units: list[_Unit], first: int, covered: int) -> int:
        """Index behind the last unit of the chunk that begins with unit `first`."""
        stop, cost, paragraph = first, 0, 0
        while stop < len(units) and cost + units[stop].cost <= self._limit:
            cost += units[stop].cost
            stop += 1
            if units[stop - 1].ends_paragraph and 2 * cost >= self._limit:
                paragraph = stop
        if stop < len(units) and paragraph > covered:
            stop = paragraph
        while stop - 1 > max(first, covered - 1) and (
            self._cost(text[units[first].start : units[stop - 1].end]) > self._limit
        ):
            stop -= 1
        return stop

    def _restart(self, units: list[_Unit], first: int, stop: int) -> int:
        """Index of the first unit of the next chunk, which repeats the end of this one."""
        if stop == len(units):
            return stop
        room = min(self._overlap, self._limit - units[stop].cost)
        begin = stop
        while begin - 1 > first and units[begin - 1].cost <= room:
            begin -= 1
            room -= units[begin].cost
        return begin

    def _units(self, text: str) -> Iterator[_Unit]:
        """Sentences, cut where they are too long, in order; white space is between them."""
        begin = 0
        for match in _BOUNDARY.finditer(text):
            paragraph = _BLANK_LINE.search(match[0]) is not None
            if not paragraph and _NO_END.search(
                text, max(begin, match.start() - 8), match.start() + 1
            ):
                continue
            yield from self._fit(text, begin, match.end(), paragraph)
            begin = match.end()
        yield from self._fit(text, begin, len(text), True)

    def _fit(self, text: str, begin: int, end: int, paragraph: bool) -> Iterator[_Unit]:
        """The span as units that fit a chunk, halved at the best seam until they do."""
        todo = [(begin, end, paragraph)]
        while todo:
            begin, end, paragraph = todo.pop()
            piece = text[begin:end]
            end -= len(piece) - len(piece.rstrip())
            begin += len(piece) - len(piece.lstrip())
            if begin >= end:
                continue
            cost = self._cost(text[begin:end])
            if cost <= self._limit or end - begin == 1:
                yield _Unit(begin, end, min(cost, self._limit), paragraph)
                continue
            middle = begin + _seam(text[begin:end])
            todo += [(middle, end, paragraph), (begin, middle, False)]

    def _cost(self, text: str) -> int:
        """Tokens of a text, at least one for each 16 characters; long texts are not counted."""
        least = -(-len(text) // _CHARS_PER_TOKEN)
        return least if least > self._limit else max(least, self._count(text))


def _seam(text: str) -> int:
    """Where to cut a text in two: near the middle behind a line, a comma or a space."""
    middle = len(text) // 2
    low, high = len(text) // 4, len(text) - len(text) // 4
    for seam in _SEAMS:
        cuts = [match.end() for match in seam.finditer(text, low, high)]
        if cuts:
            at = bisect_right(cuts, middle)
            return min(cuts[max(0, at - 1) : at + 1], key=lambda cut: abs(cut - middle))
    return max(1, middle)
