"""The outline (bookmarks) of a PDF: which headings stand on which page."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from data.cleaning import inline
from data.loaders.paragraphs import Titles

if TYPE_CHECKING:
    import pypdfium2

_MAX_BOOKMARKS = 20_000
_MAX_TITLE = 300


class PdfOutline:
    """The titles that the bookmarks name, by page."""

    def __init__(self, document: "pypdfium2.PdfDocument") -> None:
        self._by_page: dict[int, list[tuple[str, int]]] = {}
        for level, title, page in islice(_bookmarks(document), _MAX_BOOKMARKS):
            self._by_page.setdefault(page, []).append((title, level + 1))
        levels = [level for titles in self._by_page.values() for _, level in titles]
        self._depth = max(levels, default=0)

    def titles(self, page: int) -> Titles:
        """The titles on a page (from 1)."""
        return Titles(self._by_page.get(page, ()), self._depth)


def _bookmarks(document: "pypdfium2.PdfDocument") -> Iterator[tuple[int, str, int]]:
    """Level (from 0), title and page (from 1) of the bookmarks that have a title and a page."""
    for bookmark in document.get_toc():
        destination = bookmark.get_dest()
        page = destination.get_index() if destination is not None else None
        title = inline(bookmark.get_title())[:_MAX_TITLE]
        if title and page is not None:
            yield bookmark.level, title, page + 1
