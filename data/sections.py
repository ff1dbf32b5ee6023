"""The unit that loaders give out: a run of text that has exactly one address in its document."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """A run of text with one address.

    `text[0]` lies at `char_start` (in characters, from 0) of the text of `page`, or of the
    document's text where `page` is None. `page` counts from 1: a PDF page, a slide or a sheet.
    `heading_path` holds the headings above the text, outermost first. `passage_id` is set for
    passages that were cut by their author (JSONL); such a section is never cut again.

    The sections of one page come in order and do not overlap; between two of them the page's
    text holds nothing but line feeds (see `page_texts`).
    """

    text: str
    page: int | None = None
    heading_path: tuple[str, ...] = ()
    char_start: int = 0
    passage_id: str | None = None

    @property
    def char_end(self) -> int:
        """The offset just behind the last character."""
        return self.char_start + len(self.text)


def page_texts(sections: Iterable[Section]) -> dict[int | None, str]:
    """The text of each page (key None: of the document) that the offsets of sections point into.

    Raises ValueError where two sections of a page overlap or come out of order.
    """
    parts: dict[int | None, list[str]] = {}
    ends: dict[int | None, int] = {}
    for section in sections:
        gap = section.char_start - ends.get(section.page, 0)
        if gap < 0:
            raise ValueError(f"section at {section.char_start} overlaps the one before it")
        parts.setdefault(section.page, []).extend(("\n" * gap, section.text))
        ends[section.page] = section.char_end
    return {page: "".join(texts) for page, texts in parts.items()}
