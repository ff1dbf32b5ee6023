"""Form fields and annotations of a PDF page: what was filled in, and what was remarked."""

import ctypes
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from data.cleaning import clean, inline
from data.loaders.page import Page, Piece, pieces_of
from data.loaders.paragraphs import Draft

if TYPE_CHECKING:
    import pypdfium2

_MAX_ITEMS = 1000
_MAX_CHARACTERS = 100_000
_REMARKS = {
    1: "Comment",
    3: "Text",
    4: "Remark",
    5: "Remark",
    6: "Remark",
    7: "Remark",
    8: "Remark",
    9: "Marked",
    10: "Marked",
    11: "Marked",
    12: "Struck out",
    13: "Stamp",
    14: "Inserted",
    15: "Remark",
}
"""Annotation subtypes of PDFium's fpdf_annot.h whose contents somebody wrote."""

_MARKUP = frozenset({9, 10, 11, 12})
_FREE_TEXT = 3
_WIDGET = 20
_HIDDEN = 0x02


class PdfForms:
    """Reads the fields and remarks of a document's pages."""

    def __init__(self, document: "pypdfium2.PdfDocument") -> None:
        self._document = document
        document.init_forms()

    def drafts(
        self, page: "pypdfium2.PdfPage", shown: Page, box: Callable[..., tuple[float, ...]]
    ) -> Iterator[Draft]:
        """Fields and remarks of a page as blocks; `box` places PDF's rectangles on it."""
        from pypdfium2 import raw

        count = min(_MAX_ITEMS, raw.FPDFPage_GetAnnotCount(page.raw))
        pieces = pieces_of(shown.words) if count else []
        for index in range(count):
            item = raw.FPDFPage_GetAnnot(page.raw, index)
            if not item:
                continue
            try:
                kind = raw.FPDFAnnot_GetSubtype(item)
                if raw.FPDFAnnot_GetFlags(item) & _HIDDEN:
                    continue
                edges = raw.FS_RECTF()
                raw.FPDFAnnot_GetRect(item, edges)
                place = box(edges.left, edges.bottom, edges.right, edges.top)
                if kind == _WIDGET:
                    text = self._field(item, place, pieces)
                    shape = "form_field"
                elif kind in _REMARKS:
                    text = _remark(item, kind, place, shown)
                    shape = "note"
                else:
                    continue
            finally:
                raw.FPDFPage_CloseAnnot(item)
            if text:
                yield Draft(shape, text, place, 10.0)  # type: ignore[arg-type]

    def _field(self, item: Any, place: tuple[float, ...], pieces: list[Piece]) -> str:
        """A field as "label: value"; empty for one that holds nothing."""
        from pypdfium2 import raw

        form = self._document.formenv
        if form is None:
            return ""
        kind = raw.FPDFAnnot_GetFormFieldType(form.raw, item)
        name = _string(raw.FPDFAnnot_GetFormFieldName, form.raw, item)
        given = _string(raw.FPDFAnnot_GetFormFieldAlternateName, form.raw, item)
        if kind in {raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON}:
            checked = bool(raw.FPDFAnnot_IsChecked(form.raw, item))
            beside = _beside(place, pieces, after=True) or _beside(place, pieces, after=False)
            if kind == raw.FPDF_FORMFIELD_CHECKBOX:
                return f"{given or beside or _words(name)}: {'yes' if checked else 'no'}"
            export = _string(raw.FPDFAnnot_GetFormFieldExportValue, form.raw, item)
            label = given if given and given != beside else _words(name)
            return f"{label}: {beside or export}" if checked else ""
        if kind in {raw.FPDF_FORMFIELD_PUSHBUTTON, raw.FPDF_FORMFIELD_UNKNOWN}:
            return ""
        if kind in {raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX}:
            value = _chosen(form.raw, item) or _string(
                raw.FPDFAnnot_GetFormFieldValue, form.raw, item
            )
        else:
            value = _string(raw.FPDFAnnot_GetFormFieldValue, form.raw, item)
        if not value.strip():
            return ""
        label = given or _beside(place, pieces, after=False) or _words(name)
        return f"{label.rstrip(' :')}: {value.strip()}" if label else value.strip()


def _chosen(form: Any, item: Any) -> str:
    from pypdfium2 import raw

    count = min(1000, raw.FPDFAnnot_GetOptionCount(form, item))
    chosen = [index for index in range(count) if raw.FPDFAnnot_IsOptionSelected(form, item, index)]
    return ", ".join(_string(raw.FPDFAnnot_GetOptionLabel, form, item, index) for index in chosen)


def _string(read: Callable[..., int], *given: Any) -> str:
    """What one of PDFium's functions writes as UTF-16, its length asked first."""
    size = read(*given, None, 0)
    if not 2 < size <= 2 * _MAX_CHARACTERS:
        return ""
    buffer = ctypes.create_string_buffer(size)
    read(*given, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return clean(buffer.raw.decode("utf-16-le", "replace")).rstrip("\x00").strip()


def _value(item: Any, key: bytes) -> str:
    from pypdfium2 import raw

    return _string(raw.FPDFAnnot_GetStringValue, item, key)


def _remark(item: Any, kind: int, place: tuple[float, ...], page: Page) -> str:
    """A remark with what it marks and who wrote it; empty for one without words."""
    contents = _value(item, b"Contents")
    if not contents:
        return ""
    if kind == _FREE_TEXT:
        return contents
    author = inline(_value(item, b"T"))
    marked = ""
    if kind in _MARKUP:
        inside = [
            word
            for word in page.words
            if place[0] - 1 <= (word.left + word.right) / 2 <= place[2] + 1
            and place[1] - 1 <= word.middle <= place[3] + 1
        ]
        marked = " ".join(piece.text for piece in pieces_of(inside[:60]))
    by = f" by {author}" if author else ""
    on = f" on “{marked}”" if marked else ""
    return f"{_REMARKS[kind]}{by}{on}: {contents}"


def _beside(place: tuple[float, ...], pieces: list[Piece], *, after: bool) -> str:
    """The text before a field on its line, else directly above it; or the one behind it."""
    middle = (place[1] + place[3]) / 2
    high = min(place[3] - place[1], 24.0)
    level = [
        piece
        for piece in pieces
        if abs(piece.middle - middle) < 0.6 * max(high, piece.size)
        or place[1] < piece.middle < place[1] + 16
    ]
    if after:
        near = [piece for piece in level if -2 <= piece.left - place[2] < 40]
        return inline(min(near, key=lambda piece: piece.left).text) if near else ""
    before = [piece for piece in level if -4 <= place[0] - piece.right < 220]
    if before:
        return inline(max(before, key=lambda piece: piece.right).text).rstrip(" :")
    above = [
        piece
        for piece in pieces
        if 0 <= place[1] - piece.bottom + 3 < 18
        and piece.left < place[2]
        and piece.right > place[0]
    ]
    return inline(max(above, key=lambda piece: piece.bottom).text).rstrip(" :") if above else ""


def _words(name: str) -> str:
    """A field's technical name as words: "tank_size" is "tank size"; the last part alone."""
    last = re.sub(r"\[\d+\]", "", name.rpartition(".")[2])
    return re.sub(r"[_\s]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", last)).strip()
