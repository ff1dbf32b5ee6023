"""Words, ruled lines and pictures of a PDF page, by PDFium."""

import ctypes
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from data.loaders.page import Page, Rule, Word, turn_box
from data.loaders.scripts import LOWERED, ORDINAL, RAISED, scripted, with_fractions

if TYPE_CHECKING:
    import pypdfium2

    from data.loaders.paragraphs import Draft
    from data.loaders.pdf_forms import PdfForms

_HYPHENS = frozenset({0x02, 0xFFFE})
"""What PDFium gives for a hyphen at a line's end."""

_ALEFS = frozenset({0x0622, 0x0623, 0x0625, 0x0627})
_LAM = 0x0644
_BOLD = re.compile(rb"(?i)bold|black|heavy|semib|demi|(?:CM|SF)BX")
_UNFOLDED = range(0xFB00, 0xFF00)
"""Ligatures and Arabic presentation forms: shapes of letters rather than letters."""

_DROPPED = re.compile("[\x00-\x1f\x7f\u00ad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff]")
"""Controls, soft hyphens and marks without width. Joiners (U+200C, U+200D) spell words."""

_RAISED_DIGITS = tuple("⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED_DIGITS = tuple("₀₁₂₃₄₅₆₇₈₉")

_DPI = 150
_MAX_SIDE = 2400
"""The resolution and the greatest height or width in pixels at which pages are read as pictures."""

_MAX_OBJECTS = 20_000
_MAX_DEPTH = 8
_THIN = 3.0
"""A filled rectangle of less than this many points is a line."""


def read_page(
    document: "pypdfium2.PdfDocument", number: int, forms: "PdfForms"
) -> tuple[Page, list["Draft"]]:
    """The page `number` (from 1) as a person sees it, and its form fields and remarks.

    It is turned where its text stands sideways. Raises pypdfium2.PdfiumError for a page that
    cannot be loaded.
    """
    page = document[number - 1]
    try:
        content = page.get_textpage()
        try:
            codes, rectangles = _characters(content.raw)
            quarter = _upright(content.raw, codes, page.get_rotation() // 90)
            place = _Places(page, quarter)
            words = list(_scripts(_stacked(_words(content.raw, codes, place.boxes(rectangles)))))
        finally:
            content.close()
        shown = Page(number, place.width, place.height, words, quarter=quarter)
        _add_graphics(page, place, shown)
        extra = list(forms.drafts(page, shown, place.box))
    finally:
        page.close()
    return shown, extra


def has_graphics(document: "pypdfium2.PdfDocument", number: int) -> bool:
    """Whether anything is drawn on a page, be it letters as outlines."""
    from pypdfium2 import raw

    page = document[number - 1]
    try:
        return int(raw.FPDFPage_CountObjects(page.raw)) > 0
    finally:
        page.close()


def render_page(document: "pypdfium2.PdfDocument", number: int) -> tuple[Any, float]:
    """The picture of a page (height, width, 3 colours) and points a pixel."""
    page = document[number - 1]
    try:
        scale = min(_DPI / 72, _MAX_SIDE / max(page.get_size()))
        bitmap = page.render(scale=scale, rev_byteorder=True)
        try:
            return bitmap.to_numpy()[:, :, :3].copy(), 1 / scale
        finally:
            bitmap.close()
    finally:
        page.close()


class _Places:
    """From PDF's coordinates to points from the upper left corner of the upright page."""

    _SCALE = 100

    def __init__(self, page: "pypdfium2.PdfPage", quarter: int) -> None:
        from pypdfium2 import raw

        width, height = page.get_size()
        size = round(width * self._SCALE), round(height * self._SCALE)
        corners = []
        for x, y in ((0, 0), (1000, 0), (0, 1000)):
            across, down = ctypes.c_int(), ctypes.c_int()
            raw.FPDF_PageToDevice(page.raw, 0, 0, *size, 0, x, y, across, down)
            at = across.value / self._SCALE, down.value / self._SCALE
            corners.append(turn_box((*at, *at), width, height, quarter)[:2])
        (self._x, self._y), first, second = corners
        self._xx, self._xy = ((first[i] - corners[0][i]) / 1000 for i in (0, 1))
        self._yx, self._yy = ((second[i] - corners[0][i]) / 1000 for i in (0, 1))
        self.width, self.height = (height, width) if quarter % 2 else (width, height)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A point of the page."""
        return self._x + x * self._xx + y * self._yx, self._y + x * self._xy + y * self._yy

    def box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of a rectangle given by two corners."""
        (a, b), (c, d) = self.point(x0, y0), self.point(x1, y1)
        return min(a, c), min(b, d), max(a, c), max(b, d)

    def boxes(self, rectangles: Any) -> list[tuple[float, float, float, float]]:
        """The boxes of an array of FS_RECTF."""
        edges = memoryview(rectangles).cast("B").cast("f").tolist()
        first, second = edges[0::4], edges[2::4]
        lower, upper = edges[3::4], edges[1::4]
        if not self._xy:  # the page lies as it is read, or upside down
            across, ax, ay = self._x, self._xx, self._yy
            lefts, rights = [across + ax * x for x in first], [across + ax * x for x in second]
            tops, ends = [self._y + ay * y for y in upper], [self._y + ay * y for y in lower]
        else:
            ax, ay = self._yx, self._xy
            lefts, rights = [self._x + ax * y for y in lower], [self._x + ax * y for y in upper]
            tops, ends = [self._y + ay * x for x in first], [self._y + ay * x for x in second]
        if lefts and ax < 0:
            lefts, rights = rights, lefts
        if tops and (ay > 0) != bool(self._xy):
            tops, ends = ends, tops
        return list(zip(lefts, tops, rights, ends, strict=True))


def _characters(handle: Any) -> tuple[list[int], Any]:
    """The codes of a page's characters, and an FS_RECTF for each."""
    from pypdfium2 import raw

    unicode, box = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    count = max(0, raw.FPDFText_CountChars(handle))
    rectangles = (raw.FS_RECTF * max(1, count))()
    codes = [unicode(handle, index) for index in range(count)]
    for index in range(count):
        box(handle, index, rectangles[index])
    return codes, rectangles


def _upright(handle: Any, codes: list[int], shown: int) -> int:
    """Quarters to turn a page clockwise for its text to be upright.

    `shown` are the quarters by which a viewer turns it already.
    """
    from pypdfium2 import raw

    step = max(1, len(codes) // 40)
    sample = [index for index in range(0, len(codes), step) if codes[index] > ord(" ")]
    angles = [raw.FPDFText_GetCharAngle(handle, index) for index in sample]
    quarters = [round(-angle / (math.pi / 2)) % 4 for angle in angles]  # counter-clockwise
    commonest = max(range(4), key=quarters.count)
    return (commonest - shown) % 4 if quarters.count(commonest) > 0.6 * len(quarters) else 0


def _words(
    handle: Any, codes: list[int], boxes: list[tuple[float, float, float, float]]
) -> Iterator[Word]:
    """Words in PDFium's order; a word ends with white space, a jump, or another size of font."""
    current: list[int] = []
    joined = False
    for index, (code, box) in enumerate(zip(codes, boxes, strict=False)):
        if code in _HYPHENS:
            if current:
                word = _word(handle, [*current, index], codes, boxes, joined=joined)
                word.parted = True
                yield word
            current, joined = [], False
            continue
        white = code <= ord(" ") or chr(code).isspace()
        if current and (white or _parts(boxes[current[-1]], box)):
            yield _word(handle, current, codes, boxes, joined=joined)
            joined = not white and _touch(boxes[current[-1]], box)
            current = []
        if white:
            joined = False
        else:
            current.append(index)
    if current:
        yield _word(handle, current, codes, boxes, joined=joined)


def _parts(before: tuple[float, ...], box: tuple[float, ...]) -> bool:
    """Whether the character in `box` does not go on where the one in `before` ended."""
    height = box[3] - box[1]
    if box[1] != before[1] or box[3] != before[3]:  # of another line, font or size
        tall = before[3] - before[1]
        if not height or not tall:
            return False
        if not 0.8 < height / tall < 1.25:
            return True
        if min(before[3], box[3]) - max(before[1], box[1]) < 0.5 * min(tall, height):
            return True
    far = 0.8 * height
    return box[0] - before[2] > far > 0 or before[0] - box[2] > far > 0


def _touch(before: tuple[float, ...], box: tuple[float, ...]) -> bool:
    tall = max(before[3] - before[1], box[3] - box[1])
    near = max(box[0] - before[2], before[0] - box[2]) < 0.25 * tall
    return near and min(before[3], box[3]) > max(before[1], box[1])


def _word(
    handle: Any,
    span: list[int],
    codes: list[int],
    boxes: list[tuple[float, float, float, float]],
    *,
    joined: bool,
) -> Word:
    text = "".join(["-" if codes[i] in _HYPHENS else chr(codes[i]) for i in span])
    if not text.isascii():
        _part_ligatures(span, codes, boxes)
        text = "".join(["-" if codes[i] in _HYPHENS else chr(codes[i]) for i in span])
    first, last = boxes[span[0]], boxes[span[-1]]
    if text.isascii() and first[1] == last[1] and first[3] == last[3]:
        left, top, right, bottom = (
            min(first[0], last[0]),
            first[1],
            max(first[2], last[2]),
            first[3],
        )
    else:
        inked = [boxes[i] for i in span if boxes[i][2] > boxes[i][0]] or [first]
        lefts, tops, rights, bottoms = zip(*inked, strict=True)
        left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    size = first[3] - first[1] or bottom - top
    if not text.isascii():
        text = _letters(text)
    text = _DROPPED.sub("", text)
    return Word(text, left, top, right, bottom, size, _is_bold(handle, span[0]), joined)


def _stacked(words: Iterable[Word]) -> Iterator[Word]:
    """Words, where letters that stand upon one another make one: of text that runs up or down."""
    held: Word | None = None
    step = 0
    for word in words:
        way = 0 if held is None else _runs(held, word)
        if held is not None and way and step in {0, way}:
            gap = held.top - word.bottom if way > 0 else word.top - held.bottom
            held.size = held.right - held.left
            held.text += f" {word.text}" if gap > 0.15 * held.size else word.text
            held.top, held.bottom = min(held.top, word.top), max(held.bottom, word.bottom)
            step = way
            continue
        if held is not None:
            yield held
        held, step = word, 0
    if held is not None:
        yield held


def _runs(held: Word, word: Word) -> int:
    """1 where a letter that lies on its side stands right above what is held, -1 below it, or 0."""
    wide = held.right - held.left
    lies = word.right - word.left > word.bottom - word.top
    started = len(held.text) > 1 or wide > held.bottom - held.top
    if len(word.text) > 1 or not (lies and started and word.text.isascii()):
        return 0
    if max(abs(held.left - word.left), abs(held.right - word.right)) > 0.1 * wide:
        return 0
    if -0.1 * wide < held.top - word.bottom < 0.5 * wide:
        return 1
    return -1 if -0.1 * wide < word.top - held.bottom < 0.5 * wide else 0


def _is_bold(handle: Any, index: int) -> bool:
    """Whether the font's name says bold; PDFium's weight is wrong for most fonts."""
    from pypdfium2 import raw

    name = ctypes.create_string_buffer(96)
    raw.FPDFText_GetFontInfo(handle, index, name, 96, None)
    return _BOLD.search(name.value) is not None


def _part_ligatures(span: list[int], codes: list[int], boxes: Sequence[tuple[float, ...]]) -> None:
    """Bring the two letters of each Arabic lam-alef ligature into reading order.

    PDFium turns lines that run from right to left around letter by letter, and the letters of a
    ligature with them. Two letters that come of one glyph have the same box on the page.
    """
    for first, second in pairwise(span):
        if codes[first] in _ALEFS and codes[second] == _LAM and boxes[first] == boxes[second]:
            codes[first], codes[second] = codes[second], codes[first]


def _letters(text: str) -> str:
    """Text with ligatures and presentation forms as the letters they stand for (NFKC)."""
    if text.isascii():
        return text
    return "".join(
        unicodedata.normalize("NFKC", character) if ord(character) in _UNFOLDED else character
        for character in text
    )


def _scripts(words: Iterable[Word]) -> Iterator[Word]:
    """Words with raised and lowered characters written as such: 10⁶, H₂O, x^(k+1), 1/2."""
    before: Word | None = None
    for word in words:
        if not word.text:
            continue
        if before is not None and _is_script(before, word):
            _attach(before, word)
            continue
        if before is not None:
            if _is_mark(before, word):
                before.text = before.text.translate(RAISED)
            yield before
        before = word
    if before is not None:
        yield before


def _is_mark(word: Word, following: Word) -> bool:
    """Whether a word is the small raised number that a footnote begins with."""
    return (
        word.text.isdigit()
        and word.size < 0.8 * following.size
        and 0 <= following.left - word.right < following.size
        and following.top - 0.5 * word.size < word.top < following.middle
        and word.middle < following.middle
    )


def _is_script(before: Word, word: Word) -> bool:
    """Whether a word stands small, close behind another, above or below its middle."""
    small = word.size < 0.8 * before.size and len(word.text) <= 12
    near = -0.6 * word.size < word.left - before.right < 0.25 * before.size
    inside = word.bottom > before.top - 0.5 * word.size and word.top < before.bottom
    return small and near and inside and not before.parted


def _attach(before: Word, word: Word) -> None:
    """Write a raised or lowered word behind the one it belongs to."""
    raised = word.middle < before.middle
    if word.left < before.right - 0.6 * word.size or ORDINAL.fullmatch(word.text):
        text = word.text
    else:
        text = scripted(word.text, *((RAISED, "^") if raised else (LOWERED, "_")))
    if not raised and before.text[-1:] in _RAISED_DIGITS and text[:1] in _LOWERED_DIGITS:
        text = "/" + text
    before.text = with_fractions(before.text + text)
    before.right = max(before.right, word.right)
    before.top, before.bottom = min(before.top, word.top), max(before.bottom, word.bottom)


def _add_graphics(page: "pypdfium2.PdfPage", place: _Places, shown: Page) -> None:
    """Add the page's ruled lines, and the share that pictures cover."""
    from pypdfium2 import raw

    covered = 0.0
    for seen, (item, kind, matrix) in enumerate(_objects(page.raw)):
        if seen > _MAX_OBJECTS:
            break
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            left, top, right, bottom = place.box(*_bounds(item, matrix))
            wide = min(right, shown.width) - max(left, 0)
            high = min(bottom, shown.height) - max(top, 0)
            covered += max(0.0, wide) * max(0.0, high)
        elif kind == raw.FPDF_PAGEOBJ_PATH:
            shown.rules.extend(_rules(item, matrix, place))
    shown.pictures = min(1.0, covered / max(1.0, shown.width * shown.height))


Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def _objects(page: Any) -> Iterator[tuple[Any, int, Matrix]]:
    """Objects of a page, those in its forms included, with what places the form."""
    from pypdfium2 import raw

    stack = [
        (raw.FPDFPage_GetObject(page, index), _IDENTITY, 0)
        for index in reversed(range(min(_MAX_OBJECTS, raw.FPDFPage_CountObjects(page))))
    ]
    while stack:
        item, matrix, depth = stack.pop()
        kind = raw.FPDFPageObj_GetType(item)
        if kind != raw.FPDF_PAGEOBJ_FORM:
            yield item, kind, matrix
        elif depth < _MAX_DEPTH:
            inner = _chain(_matrix(item), matrix)
            count = min(_MAX_OBJECTS, raw.FPDFFormObj_CountObjects(item))
            stack += [
                (raw.FPDFFormObj_GetObject(item, index), inner, depth + 1)
                for index in reversed(range(count))
            ]


def _matrix(item: Any) -> Matrix:
    from pypdfium2 import raw

    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(item, matrix):
        return _IDENTITY
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _chain(first: Matrix, second: Matrix) -> Matrix:
    """The matrix that does one and then the other."""
    a, b, c, d, e, f = first
    m, n, o, p, q, r = second
    return (
        a * m + b * o,
        a * n + b * p,
        c * m + d * o,
        c * n + d * p,
        e * m + f * o + q,
        e * n + f * p + r,
    )


def _apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _bounds(item: Any, matrix: Matrix) -> tuple[float, float, float, float]:
    from pypdfium2 import raw

    edges = [ctypes.c_float() for _ in range(4)]
    raw.FPDFPageObj_GetBounds(item, *edges)
    left, bottom, right, top = (edge.value for edge in edges)
    return *_apply(matrix, left, bottom), *_apply(matrix, right, top)


def _rules(item: Any, matrix: Matrix, place: _Places) -> Iterator[Rule]:
    """The straight lines of a path: drawn ones, thin filled ones, and edges of shaded boxes."""
    from pypdfium2 import raw

    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(item, fill, stroke)
    if not fill.value and not stroke.value:
        return
    left, top, right, bottom = place.box(*_bounds(item, matrix))
    if min(right - left, bottom - top) <= _THIN:
        if max(right - left, bottom - top) > 2 * _THIN:
            yield Rule(left, top, right, bottom)
        return
    if not stroke.value and _is_white(item):
        return
    whole = _chain(_matrix(item), matrix)
    count = raw.FPDFPath_CountSegments(item)
    if count > _MAX_OBJECTS:
        return
    before = start = (0.0, 0.0)
    for index in range(count):
        segment = raw.FPDFPath_GetPathSegment(item, index)
        x, y = ctypes.c_float(), ctypes.c_float()
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = place.point(*_apply(whole, x.value, y.value))
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_MOVETO:
            start = point
        elif kind == raw.FPDF_SEGMENT_LINETO:
            yield from _rule(before, point)
        if raw.FPDFPathSegment_GetClose(segment):
            yield from _rule(point, start)
        before = point


def _rule(first: tuple[float, float], second: tuple[float, float]) -> Iterator[Rule]:
    """The line between two points where it runs straight across or down."""
    wide, high = abs(first[0] - second[0]), abs(first[1] - second[1])
    if min(wide, high) < 1.0 and max(wide, high) > 2 * _THIN:
        yield Rule(
            min(first[0], second[0]),
            min(first[1], second[1]),
            max(first[0], second[0]),
            max(first[1], second[1]),
        )


def _is_white(item: Any) -> bool:
    from pypdfium2 import raw

    parts = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(item, *parts):
        return False
    return parts[3].value == 0 or all(part.value >= 250 for part in parts[:3])
