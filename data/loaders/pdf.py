"""PDF by PDFium: text, tables, form fields and remarks of each page, as blocks."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data.blocks import Loaded, LoadWarning, Scan
from data.errors import UnreadableFile
from data.loaders.assembling import Assembler
from data.loaders.ocr import INSTALL, MissingOcr, PictureReader
from data.loaders.page import Page
from data.loaders.pdf_forms import PdfForms
from data.loaders.pdf_outline import PdfOutline
from data.loaders.pdf_page import has_graphics, read_page, render_page

if TYPE_CHECKING:
    import pypdfium2

_WRONG_PASSWORD = 4
"""FPDF_ERR_PASSWORD of PDFium's fpdfview.h."""

_FEW_WORDS = 40
"""A page that a picture mostly covers and that has fewer words is read as a picture."""

_COVERED = 0.5


def load(path: Path) -> Iterator[Loaded | Scan]:
    """The blocks of each page in reading order; `page` counts from 1.

    Headings are found by their type and by the document's outline (bookmarks). Running heads,
    feet and page numbers are blocks of their own kind. A paragraph that runs over a page break is
    a block on each page, the second with a joint; a table that does is one that continues.
    Invisible text (a text-recognition layer) is text. Pages without text are read as pictures
    where the extra `ocr` is installed. Raises UnreadableFile for an encrypted or damaged file
    and for one without any text.
    """
    document = open_pdf(path)
    try:
        yield from _Reader(document, path.name).read()
    finally:
        document.close()


def open_pdf(path: Path) -> "pypdfium2.PdfDocument":
    """The document, to be closed. Raises UnreadableFile for an encrypted or damaged one."""
    import pypdfium2

    try:
        attached = str(path).startswith("/proc/self/fd/")  # a name that PDFium cannot follow
        return pypdfium2.PdfDocument(path.read_bytes() if attached else path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _WRONG_PASSWORD:
            raise UnreadableFile(
                f"cannot read {path.name}",
                cause="it is encrypted with a password",
                hint="Save a copy without the password",
            ) from error
        raise UnreadableFile(
            f"cannot read {path.name}", cause="it is damaged or not a whole PDF"
        ) from error


class _Reader:
    """Reads a document page by page; pages without text as pictures."""

    def __init__(self, document: "pypdfium2.PdfDocument", name: str) -> None:
        self._document, self._name = document, name
        self._forms = PdfForms(document)
        self._outline = PdfOutline(document)
        self._pictures: PictureReader | None = None
        self._missing = False

    def read(self) -> Iterator[Loaded | Scan]:
        """Blocks and warnings of all pages."""
        assembler = Assembler()
        for number in range(1, len(self._document) + 1):
            yield from self._page(number, assembler)
        yield from assembler.end()
        if not assembler.found:
            raise self._empty()

    def _page(self, number: int, assembler: Assembler) -> Iterator[Loaded | Scan]:
        import pypdfium2

        try:
            page, extra = read_page(self._document, number, self._forms)
            if self._is_picture(page):
                if not self._missing:
                    yield Scan(number, len(self._document))
                picture = self._read_picture(number)
                if picture is not None:
                    page = picture
                elif self._missing:
                    yield LoadWarning(
                        f"the page is a picture, and text recognition is not installed: {INSTALL}",
                        number,
                    )
        except pypdfium2.PdfiumError:
            yield LoadWarning("the page is damaged and was left out", number)
            return
        if not page.words and page.pictures and not self._missing:
            yield LoadWarning("no text was found in the page's picture", number)
        yield from assembler.add(page, self._outline.titles(number), extra)

    def _is_picture(self, page: Page) -> bool:
        if not page.words:
            return page.pictures > 0 or has_graphics(self._document, page.number)
        return page.pictures >= _COVERED and len(page.words) < _FEW_WORDS

    def _read_picture(self, number: int) -> Page | None:
        """The page as its picture shows it; None without the extra or where nothing is read."""
        if self._missing:
            return None
        try:
            self._pictures = self._pictures or PictureReader()
        except MissingOcr:
            self._missing = True
            return None
        pixels, points = render_page(self._document, number)
        page = self._pictures.read(pixels, number, points)
        return page if page.words else None

    def _empty(self) -> UnreadableFile:
        pages = len(self._document)
        if self._missing:
            return UnreadableFile(
                f"cannot read {self._name}",
                cause=f"no text layer: its {pages} page(s) hold images only, as a scan does, and "
                "text recognition is not installed",
                hint=f"Install it with {INSTALL}",
            )
        return UnreadableFile(
            f"cannot read {self._name}", cause=f"no text was found on its {pages} page(s)"
        )
