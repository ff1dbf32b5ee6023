"""The outline (bookmarks) of a PDF as heading paths for its pages' text."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from data.blocks import Block
from data.cleaning import inline

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

    def blocks(self, page: int, text: str) -> Iterator[Block]:
        """Headings and paragraphs whose texts are that of `page` (from 1), white space apart.

        A bookmark points to a page; the heading is where its title stands on that page behind
        the headings before it. One whose title is not found has no text, and counts from the
        page's top when it is the page's first, else together with the next one that is found.
        """
        while self._pages and self._pages[-1] < page:  # pages that had no text
            yield from self._unfound(self._pages.pop())
        start, joint = 0, None
        for level, title in self._by_page.get(page, ()):
            at, end = _find(title, text, start)
            if at > start and text[start:at].strip():
                yield Block("paragraph", text[start:at], page, joint=joint)
                start, joint = at, ""
            if at >= 0:
                yield Block("heading", text[start:end], page, level=level, joint=joint, title=title)
                start, joint = end, ""
            else:
                yield Block("heading", "", page, level=level, joint="", title=title)
        if self._pages and self._pages[-1] == page:
            self._pages.pop()
        if start < len(text):
            yield Block("paragraph", text[start:], page, joint=joint)

    def _unfound(self, page: int) -> Iterator[Block]:
        for level, title in self._by_page[page]:
            yield Block("heading", "", page, level=level, joint="", title=title)


def _bookmarks(document: "pypdfium2.PdfDocument") -> Iterator[tuple[int, str, int]]:
    """Level (from 0), title and page (from 1) of the bookmarks that have a title and a page."""
    for bookmark in document.get_toc():
        destination = bookmark.get_dest()
        page = destination.get_index() if destination is not None else None
        title = inline(bookmark.get_title())[:_MAX_TITLE]
        if title and page is not None:
            yield bookmark.level, title, page + 1


def _find(title: str, text: str, start: int) -> tuple[int, int]:
    """Where a line begins with the title, and where the title ends; -1, -1: nowhere.

    White space and a number before it may differ.
    """
    words = r"\s+".join(re.escape(word) for word in title.split())
    found = re.compile(rf"^(?:[\w.]{{1,12}}[ \t]+)?{words}", re.MULTILINE | re.IGNORECASE).search(
        text, start
    )
    return found.span() if found else (-1, -1)
