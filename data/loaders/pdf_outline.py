"""The outline (bookmarks) of a PDF as heading paths for its pages' text."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from data.loaders.outline import inline
from data.sections import Section

if TYPE_CHECKING:
    import pypdfium2

_MAX_BOOKMARKS = 20_000
_MAX_TITLE = 300


class PdfOutline:
    """Cuts the text of pages, given in order, at the headings that the bookmarks name."""

    def __init__(self, document: "pypdfium2.PdfDocument") -> None:
        self._by_page: dict[int, list[tuple[int, str]]] = {}
        for level, title, page in islice(_bookmarks(document), _MAX_BOOKMARKS):
            self._by_page.setdefault(page, []).append((level, title))
        self._pages = sorted(self._by_page, reverse=True)
        self._trail: list[tuple[int, str]] = []

    def sections(self, page: int, text: str) -> Iterator[Section]:
        """Adjacent sections that cover the text of `page` (from 1), each under its headings.

        A bookmark points to a page; the heading is where its title stands on that page behind
        the headings before it. One whose title is not found counts from the page's top when it is
        the page's first, else together with the next heading that is found.
        """
        while self._pages and self._pages[-1] < page:  # pages that had no text
            for level, title in self._by_page[self._pages.pop()]:
                self._enter(level, title)
        start = 0
        for level, title in self._by_page.get(page, ()):
            at = _find(title, text, start)
            if at > start and text[start:at].strip():
                yield Section(text[start:at], page, self._path(), start)
                start = at
            self._enter(level, title)
        if self._pages and self._pages[-1] == page:
            self._pages.pop()
        if start < len(text):
            yield Section(text[start:], page, self._path(), start)

    def _enter(self, level: int, title: str) -> None:
        while self._trail and self._trail[-1][0] >= level:
            self._trail.pop()
        self._trail.append((level, title))

    def _path(self) -> tuple[str, ...]:
        return tuple(title for _, title in self._trail)


def _bookmarks(document: "pypdfium2.PdfDocument") -> Iterator[tuple[int, str, int]]:
    """Level (from 0), title and page (from 1) of the bookmarks that have a title and a page."""
    for bookmark in document.get_toc():
        destination = bookmark.get_dest()
        page = destination.get_index() if destination is not None else None
        title = inline(bookmark.get_title())[:_MAX_TITLE]
        if title and page is not None:
            yield bookmark.level, title, page + 1


def _find(title: str, text: str, start: int) -> int:
    """Where a line begins with the title, whatever the white space and numbering; -1: nowhere."""
    words = r"\s+".join(re.escape(word) for word in title.split())
    found = re.compile(rf"^(?:[\w.]{{1,12}}[ \t]+)?{words}", re.MULTILINE | re.IGNORECASE).search(
        text, start
    )
    return found.start() if found else -1
