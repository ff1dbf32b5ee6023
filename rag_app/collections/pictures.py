"""Pages of original PDFs as pictures, drawn once and kept for a while."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from data.page_picture import PagePicture, PagePlace
from data.parsing import Parser
from rag_app.collections.context import PassageGone
from rag_app.errors import ApplicationError
from rag_app.ingestion.reading import Originals
from retrieval.index.base import PassageStore

_KEPT: Final = 48
"""Pictures; each is a few hundred KiB, and at most a few MiB."""
_AT_ONCE: Final = 2
_SECONDS: Final = 8.0
"""Of processor time for a page: a person waits for it."""


class PagePictures:
    """Draws pages in child processes, few at once; to be closed.

    Args:
        originals: folder of the original files, a folder a collection.
        parser: makes what draws, with its limits.
    """

    def __init__(self, originals: Path, parser: Callable[[], Parser]) -> None:
        self._originals, self._parser = originals, parser
        # threads of its own: who waits for a page keeps nobody else from the usual ones
        self._drawers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="draw")
        self._noting = threading.Lock()
        self._kept: OrderedDict[tuple[Path, PagePlace], PagePicture] = OrderedDict()

    def close(self) -> None:
        """Draw no more."""
        self._drawers.shutdown(cancel_futures=True)

    async def of_passage(
        self,
        stores: Iterable[PassageStore],
        collection: str,
        passage_id: str,
        quotes: Sequence[str],
    ) -> PagePicture:
        """The page that a passage stands on, from the original of its document.

        Raises:
            PassageGone: no index holds the passage.
            ApplicationError: its format has no pages that can be shown.
            DataError: the page cannot be drawn.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._drawers, self._of_passage, stores, collection, passage_id, quotes
        )

    def _of_passage(
        self,
        stores: Iterable[PassageStore],
        collection: str,
        passage_id: str,
        quotes: Sequence[str],
    ) -> PagePicture:
        for store in stores:
            if not (found := store.fetch([passage_id])):
                continue
            metadata = found[0].metadata
            source, page = metadata["source"], metadata["page"]
            record = store.record(source)
            if not (record and record.live and page and record.suffix == ".pdf"):
                raise ApplicationError(f"{source} has no pages that can be shown")
            original = Originals(self._originals / collection).path(record.live, record.suffix)
            boxes = tuple(tuple(box) for box in metadata.get("boxes") or ())
            return self._drawn(original, source, PagePlace(page, boxes, tuple(quotes)))
        raise PassageGone(passage_id)

    def _drawn(self, original: Path, source: str, place: PagePlace) -> PagePicture:
        key = original, place
        with self._noting:
            if picture := self._kept.get(key):
                self._kept.move_to_end(key)
                return picture
        limits = replace(self._parser().limits, seconds=_SECONDS)
        with Parser(limits) as parser:
            picture = parser.draw(original, place, source)
        with self._noting:
            self._kept[key] = picture
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return picture
