"""PDF by PDFium: the text of each page; no text recognition."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data.blocks import Block
from data.cleaning import clean
from data.errors import UnreadableFile
from data.loaders.pdf_outline import PdfOutline

if TYPE_CHECKING:
    import pypdfium2

_WRONG_PASSWORD = 4
"""FPDF_ERR_PASSWORD of PDFium's fpdfview.h."""

_ALEF_LAM = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
_UNFOLDED = range(0xFB00, 0xFF00)
"""Ligatures and Arabic presentation forms: shapes of letters rather than letters."""


def load(path: Path) -> Iterator[Block]:
    """The blocks of each page that has text, in page order; `page` counts from 1.

    A page is one paragraph, or several where the document's outline (bookmarks) names headings
    on it.

    Invisible text (a text-recognition layer) is text. PDFium marks a word that is parted at a
    line's end with U+FFFE in place of hyphen and line feed; the mark is dropped, so the word is
    whole. Offsets count characters of the text given out here. Lines stay lines, tables are not
    rebuilt. Raises UnreadableFile for an
    encrypted or damaged file and for one without any text.
    """
    document = _open(path)
    try:
        pages = len(document)
        outline = PdfOutline(document)
        found = False
        for number in range(1, pages + 1):
            text = _page_text(document, number)
            if text:
                found = True
                yield from outline.blocks(number, text)
        if not found:
            raise UnreadableFile(
                f"cannot read {path.name}",
                cause=f"no text layer: its {pages} page(s) hold images only, as a scan does",
                hint="OCR it first, for instance with ocrmypdf",
            )
    finally:
        document.close()


def _open(path: Path) -> "pypdfium2.PdfDocument":
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(path)
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


def _page_text(document: "pypdfium2.PdfDocument", number: int) -> str:
    """The text of one page; empty for a page that cannot be loaded, as viewers show it."""
    import pypdfium2

    try:
        page = document[number - 1]
    except pypdfium2.PdfiumError:
        return ""
    try:
        content = page.get_textpage()
        try:
            text = _part_ligatures(content, content.get_text_range())
        finally:
            content.close()
    finally:
        page.close()
    return _letters(clean(text)).strip()


def _part_ligatures(content: "pypdfium2.PdfTextPage", text: str) -> str:
    """Text with the two letters of each Arabic lam-alef ligature in reading order.

    PDFium turns lines that run from right to left around letter by letter, and the letters of a
    ligature with them. Two letters that come of one glyph have the same box on the page.
    """
    from pypdfium2 import raw

    letters = list(text)
    for match in _ALEF_LAM.finditer(text):
        at = match.start()
        aligned = [raw.FPDFText_GetUnicode(content, i) for i in (at, at + 1)] == [
            ord(letter) for letter in match[0]
        ]
        if aligned and content.get_charbox(at) == content.get_charbox(at + 1):
            letters[at : at + 2] = reversed(match[0])
    return "".join(letters)


def _letters(text: str) -> str:
    """Text with ligatures and presentation forms as the letters they stand for (NFKC)."""
    if not any(ord(character) in _UNFOLDED for character in set(text)):
        return text
    return "".join(
        unicodedata.normalize("NFKC", character) if ord(character) in _UNFOLDED else character
        for character in text
    )
