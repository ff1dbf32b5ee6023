"""A page of a PDF as a picture, with the places of what is quoted of it.

`draw` runs in the child process that reads documents (`data.parser_child`); others call
`data.parsing.Parser.draw`.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data.blocks import Box
from data.errors import UnreadableFile
from data.limits import MIB
from data.loaders.page import Page, Word
from data.text import nfkc

MOST_BYTES: Final = 4 * MIB
"""Largest picture."""
_QUALITY: Final = 82
_FEW: Final = 24
"""Letters of a quote that have to stand on a page, where the rest of it stands on the next."""


@dataclass(frozen=True, slots=True)
class PagePlace:
    """What to show of a document.

    Attributes:
        page: from 1; where no quote is found, this is shown.
        boxes: of the passage, on this page and others.
        quotes: what of it is to be boxed; all of it where there is none.
    """

    page: int
    boxes: tuple[tuple[float, ...], ...] = ()
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page as it is shown.

    Attributes:
        boxes: left, top, right and bottom of what is cited, in points from the upper left corner.
        exact: whether they are those of the quotes; if not, of the whole passage.
        image: WebP, in base64.
    """

    page: int
    width: float
    height: float
    boxes: tuple[tuple[float, ...], ...]
    exact: bool
    image: str


def draw(path: Path, place: PagePlace) -> PagePicture:
    """The page on which a quote stands, or that of the place.

    Raises:
        UnreadableFile: it is no PDF that can be read, or has no such page.
    """
    import pypdfium2

    from data.loaders.pdf import open_pdf
    from data.loaders.pdf_forms import PdfForms
    from data.loaders.pdf_page import read_page, render_page

    document = open_pdf(path)
    try:
        pages = dict.fromkeys([place.page, *(int(box[0]) for box in place.boxes)])
        known = [number for number in pages if 1 <= number <= len(document)]
        if not known:
            raise UnreadableFile("", cause=f"it has no page {place.page}")
        chosen, found, forms = known[0], [], PdfForms(document)
        for number in known if place.quotes else ():
            page, _ = read_page(document, number, forms)
            if found := find_quotes(page, place.quotes, place.boxes):
                chosen = number
                break
        pixels, points = render_page(document, chosen)
    except pypdfium2.PdfiumError as error:
        raise UnreadableFile("", cause="the page is damaged") from error
    finally:
        document.close()
    passage = tuple(tuple(box[1:5]) for box in place.boxes if int(box[0]) == chosen)
    return PagePicture(
        chosen,
        pixels.shape[1] * points,
        pixels.shape[0] * points,
        tuple(tuple(box.as_list()[1:]) for box in found) or passage,
        bool(found),
        _encoded(pixels),
    )


def find_quotes(
    page: Page, quotes: Iterable[str], near: Sequence[Sequence[float]] = ()
) -> list[Box]:
    """The places of quotes on a page, a rectangle a line; of one that runs on, what stands here.

    A quote and the page need to agree in letters and digits alone. Of equal sentences, one inside
    the rectangles `near` is meant.
    """
    inside = [word for word in page.words if _is_inside(page, word, near)]
    found: dict[int, Word] = {}
    for quote in quotes:
        words = _find(inside, quote) or _find(page.words, quote)
        found |= {id(word): word for word in words}
    return _lines(page, [word for word in page.words if id(word) in found])


def _is_inside(page: Page, word: Word, boxes: Sequence[Sequence[float]]) -> bool:
    place = page.box(word.left, word.top, word.right, word.bottom)
    x, y = (place.left + place.right) / 2, (place.top + place.bottom) / 2
    return any(
        number == page.number and left <= x <= right and top <= y <= bottom
        for number, left, top, right, bottom in boxes
    )


def _find(words: Sequence[Word], quote: str) -> Sequence[Word]:
    """The words of a quote, or of its beginning or end where only that is among them."""
    wanted = _letters(quote)
    text, owners = "", []
    for word in words:
        letters = _letters(word.text)
        text += letters
        owners += [word] * len(letters)
    if not wanted:
        return ()
    for part in (wanted, _longest_head(text, wanted), _longest_tail(text, wanted)):
        if len(part) >= min(_FEW, len(wanted)) and (at := text.find(part)) >= 0:
            return owners[at : at + len(part)]
    return ()


def _longest_head(text: str, wanted: str) -> str:
    """The longest beginning of what is wanted that the text holds."""
    low, high = 0, len(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if wanted[:middle] in text else (low, middle - 1)
    return wanted[:low]


def _longest_tail(text: str, wanted: str) -> str:
    return _longest_head(text[::-1], wanted[::-1])[::-1]


def _letters(text: str) -> str:
    folded = nfkc(text).casefold()
    return "".join(character for character in folded if character.isalnum())


def _lines(page: Page, words: Sequence[Word]) -> list[Box]:
    """The words' rectangles, those of one line joined."""
    lines: list[tuple[float, float, float, float]] = []
    last: Word | None = None
    for word in words:
        box = word.left, word.top, word.right, word.bottom
        if last and last.top <= word.middle <= last.bottom and _is_next(last, word):
            a = lines[-1]
            lines[-1] = min(a[0], box[0]), min(a[1], box[1]), max(a[2], box[2]), max(a[3], box[3])
        else:
            lines.append(box)
        last = word
    return [page.box(*line) for line in lines]


def _is_next(last: Word, word: Word) -> bool:
    """Whether no more than a few letters part two words; the gap between columns is wider."""
    gap = max(word.left - last.right, last.left - word.right)
    return gap < 2 * max(last.size, word.size, last.bottom - last.top)


def _encoded(pixels: object) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=_QUALITY, method=2)  # type: ignore[arg-type]
    if file.tell() > MOST_BYTES:
        raise UnreadableFile("", cause=f"the picture of its page is above {MOST_BYTES // MIB} MiB")
    return base64.b64encode(file.getvalue()).decode("ascii")
