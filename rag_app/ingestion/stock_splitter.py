"""Anyone's LlamaIndex text splitter in the place of ours."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from llama_index.core.node_parser import TextSplitter

from data.blocks import Block, Loaded, place
from data.splitting import Passage, Splitter


class StockSplitter(Splitter):
    """Cuts the text of every page by a splitter that knows nothing of blocks.

    Where a piece is not found in the document word by word, its whole text counts as repeated.
    Passages that come with an id stay whole.

    Args:
        options: what it was made with; both decide where passages end, and so are its identity.
    """

    def __init__(self, stock: TextSplitter, path: str, options: Mapping[str, Any]) -> None:
        self._stock, self._path, self._options = stock, path, options

    @property
    def identity(self) -> dict[str, str | int]:
        """See `Splitter.identity`."""
        return {"name": self._path, **{key: str(value) for key, value in self._options.items()}}

    def _passages(
        self, loaded: Iterable[Loaded], on_count: Callable[[], None]
    ) -> Iterator[Passage]:
        for (_, whole), found in groupby(place(loaded), key=_part):
            on_count()
            blocks = list(found)
            if whole:
                yield from (_passage(block.text, start, start, block) for start, _, block in blocks)
            else:
                yield from self._cut(blocks)

    def _cut(self, blocks: list[tuple[int, str, Block]]) -> Iterator[Passage]:
        begin = blocks[0][0]
        text = blocks[0][2].text + "".join(gap + block.text for _, gap, block in blocks[1:])
        starts = [start for start, _, _ in blocks]
        at = 0
        for piece in filter(str.strip, self._stock.split_text(text)):
            found = text.find(piece, at)
            at = max(at, found)
            block = blocks[bisect_right(starts, begin + at) - 1][2]
            yield _passage(piece, begin + at, begin + at + len(piece) * (found >= 0), block)


def _part(placed: tuple[int, str, Block]) -> tuple[int | None, str | None]:
    block = placed[2]
    return block.page, block.passage_id


def _passage(text: str, start: int, end: int, block: Block) -> Passage:
    if block.passage_id is not None:
        end = start + len(text)
    repeated = len(text) - (end - start)
    return Passage(text, 0, block.page, start, end, (), block.passage_id, block.boxes, repeated)
