"""Pages of original PDFs as pictures, drawn once and kept for a while."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from data.limits import MIB
from data.page_picture import PagePicture, PagePlace
from data.parsing import Parser
from rag_app.collections.context import PassageGone
from rag_app.errors import ApplicationError
from rag_app.ingestion.reading import Originals
from retrieval.index.base import PassageStore

_KEPT: Final = 48 * MIB
"""Of pictures; each is a few hundred KiB, and at most a few MiB."""
_AT_ONCE: Final = 2
_SECONDS: Final = 8.0
"""Of processor time for a page: a person waits for it."""


@dataclass(frozen=True, slots=True)
class Page:
    """What to draw: a place in an original, whose document is called `source`."""

    original: Path
    source: str
    place: PagePlace


def page_of(
    stores: Iterable[PassageStore], originals: Path, passage_id: str, quotes: Sequence[str]
) -> Page:
    """The page that a passage stands on, in the original of its document.

    Raises:
        PassageGone: no index holds the passage.
        ApplicationError: its format has no pages that can be shown.
    """
    for store in stores:
        if not (found := store.fetch([passage_id])):
            continue
        metadata = found[0].metadata
        source, page = metadata["source"], metadata["page"]
        record = store.record(source)
        if not (record and record.live and page and record.suffix == ".pdf"):
            raise ApplicationError(f"{source} has no pages that can be shown")
        original = Originals(originals).path(record.live, record.suffix)
        boxes = tuple(tuple(box) for box in metadata.get("boxes") or ())
        return Page(original, source, PagePlace(page, boxes, tuple(quotes)))
    raise PassageGone(passage_id)


class PagePictures:
    """Draws pages in child processes, few at once; to be closed.

    Args:
        parser: makes what draws, with its limits.
        most_bytes: of the pictures that are kept.
    """

    def __init__(self, parser: Callable[[], Parser], most_bytes: int = _KEPT) -> None:
        self._parser, self._most = parser, most_bytes
        # threads of its own: who waits for a page keeps nobody else from the usual ones
        self._drawers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="draw")
        self._noting = threading.Lock()
        self._kept: OrderedDict[Page, PagePicture] = OrderedDict()

    def close(self) -> None:
        """Draw no more."""
        self._drawers.shutdown(cancel_futures=True)

    async def draw(self, page: Page) -> PagePicture:
        """A page as a picture. Raises DataError where it cannot be drawn."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._drawers, self._drawn, page)

    def _drawn(self, page: Page) -> PagePicture:
        with self._noting:
            if picture := self._kept.get(page):
                self._kept.move_to_end(page)
                return picture
        limits = replace(self._parser().limits, seconds=_SECONDS)
        with Parser(limits) as parser:
            picture = parser.draw(page.original, page.place, page.source)
        with self._noting:
            self._kept[page] = picture
            while sum(len(one.image) for one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return picture
