"""Words and ruled lines of a picture of a page, by rapidocr (the extra `ocr`).

The models (PP-OCR, Apache-2.0) come with the package, so nothing is downloaded. Pages are set
upright before they are read: by quarters where text stands sideways or upside down, by fractions
of a degree for what a scanner's feed tilts.
"""

import math
import os
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, cast

from data.loaders.page import Page, Rule, Word
from data.telemetry import silence_onnxruntime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

INSTALL = "pip install 'rag-app[ocr]'"

_POOR = 0.75
"""A page read with a mean confidence below this may be upside down."""

_STEEP = 3.0
"""Degrees of tilt from which on the picture is set straight and read once more."""

_SLIGHT = 0.08
"""Degrees of tilt that make no difference."""

_MAX_SIDE = 2500
_FINDING_SIDE = 1280
"""The size to which pages are scaled for finding lines; they are read at their full size."""

_MIN_RULE = 1 / 40
"""The shortest ruled line, as a share of the page's longer side."""


class MissingOcr(Exception):
    """The extra `ocr` is not installed."""


class PictureReader:
    """Reads pages that are pictures. Loading takes about a second and 400 MB of address space.

    Raises MissingOcr where the extra is not installed.
    """

    def __init__(self) -> None:
        silence_onnxruntime()
        try:
            import cv2
            from rapidocr import RapidOCR
        except ImportError as error:
            raise MissingOcr from error
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        cv2.setNumThreads(1)
        self._engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.max_side_len": _MAX_SIDE,
                "Global.use_cls": False,
                "Det.limit_type": "max",
                "Det.limit_side_len": _FINDING_SIDE,
                "Rec.rec_batch_num": 1,
                "EngineConfig.onnxruntime.intra_op_num_threads": min(4, threads),
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, image: "Image", number: int, points: float) -> Page:
        """The page `number` from its picture (height, width, 3 colours) of `points` a pixel."""
        quarter, lines = self._upright(image)
        image = _turned(image, quarter)
        tilt = _tilt(lines)
        if abs(tilt) > _STEEP:
            image = _straight(image, tilt)
            lines = self._lines(image)
            tilt = _tilt(lines)
        high, wide = image.shape[:2]
        page = Page(number, wide * points, high * points, quarter=quarter, pictures=1.0)
        if lines:
            page.words = list(_words(lines, tilt, (wide, high), points))
            straight = _straight(image, tilt) if abs(tilt) > _SLIGHT else image
            page.rules = list(_rules(straight, points))
        return page

    def _upright(self, image: "Image") -> tuple[int, list["_Line"]]:
        """Quarters to turn a picture clockwise by, and its lines when it is."""
        lines = self._lines(image)
        if not lines:
            return 0, lines
        tall = sum(len(line.text) for line in lines if line.high > 1.5 * line.wide)
        every = sum(len(line.text) for line in lines)
        if 2 * tall > every > 8:
            tries = [1, 3]
        elif _confidence(lines) < _POOR and every > 8:
            tries = [0, 2]
        else:
            return 0, lines
        read = {0: lines}
        for quarter in tries:
            if quarter not in read:
                read[quarter] = self._lines(_turned(image, quarter))
        best = max(tries, key=lambda quarter: _confidence(read[quarter]))
        return best, read[best]

    def _lines(self, image: "Image") -> list["_Line"]:
        result: Any = self._engine(image, return_word_box=True)
        if result.boxes is None or result.txts is None:
            return []
        words = result.word_results or [()] * len(result.txts)
        return [
            _Line(box, text, float(score), parts)
            for box, text, score, parts in zip(
                result.boxes, result.txts, result.scores, words, strict=False
            )
            if text.strip()
        ]


class _Line:
    """A line of text with its box: corners from the upper left, clockwise."""

    def __init__(self, box: Any, text: str, score: float, parts: Sequence[Any]) -> None:
        self.corners = [(float(x), float(y)) for x, y in box]
        self.text, self.score = text.strip(), score
        (ax, ay), (bx, by), _, (dx, dy) = self.corners
        self.wide, self.high = math.hypot(bx - ax, by - ay), math.hypot(dx - ax, dy - ay)
        self.angle = math.degrees(math.atan2(by - ay, bx - ax))
        self.spans = self._spans(parts)

    def _spans(self, parts: Sequence[Any]) -> list[tuple[str, float, float]]:
        """Its words with where they begin and end along the line (0 to 1)."""
        words = self.text.split()
        (ax, _), (bx, _) = self.corners[:2]
        long = max(1.0, bx - ax)
        found = [part for part in parts or () if part and str(part[0]).strip()]
        if len(found) == len(words) and all(
            str(part[0]).strip() == word for part, word in zip(found, words, strict=True)
        ):
            return [
                (
                    word,
                    (min(p[0] for p in part[2]) - ax) / long,
                    (max(p[0] for p in part[2]) - ax) / long,
                )
                for word, part in zip(words, found, strict=True)
            ]
        spans, at = [], 0
        for word in words:
            begin = self.text.index(word, at)
            at = begin + len(word)
            spans.append((word, begin / len(self.text), at / len(self.text)))
        return spans


def _confidence(lines: Sequence[_Line]) -> float:
    letters = sum(len(line.text) for line in lines)
    return sum(line.score * len(line.text) for line in lines) / max(1, letters)


def _tilt(lines: Sequence[_Line]) -> float:
    """Degrees by which lines fall to the right; long lines say it best."""
    long = sorted((line for line in lines if line.wide > 4 * line.high), key=lambda li: -li.wide)
    return median(line.angle for line in long[:40]) if long else 0.0


def _words(
    lines: Sequence[_Line], tilt: float, size: tuple[int, int], points: float
) -> Iterator[Word]:
    """The words of lines, set straight around the picture's middle."""
    turned = -math.radians(tilt)
    cos, sin = math.cos(turned), math.sin(turned)
    cx, cy = size[0] / 2, size[1] / 2

    def straight(x: float, y: float) -> tuple[float, float]:
        return (
            (cx + (x - cx) * cos - (y - cy) * sin) * points,
            (cy + (x - cx) * sin + (y - cy) * cos) * points,
        )

    typical = median(line.high for line in lines for _ in line.spans) * points
    for line in lines:
        (left, top), (right, upper), (_, lower), (_, bottom) = (
            straight(*corner) for corner in line.corners
        )
        top, bottom = (top + upper) / 2, (bottom + lower) / 2
        high = line.high * points
        height = typical if 0.72 * typical < high < 1.35 * typical else high
        for word, begin, end in line.spans:
            yield Word(
                word,
                left + begin * (right - left),
                top,
                left + end * (right - left),
                bottom,
                height,
            )


def _turned(image: "Image", quarter: int) -> "Image":
    import numpy as np

    return np.ascontiguousarray(np.rot90(image, -quarter)) if quarter else image


def _straight(image: "Image", tilt: float) -> "Image":
    """The picture turned against its tilt (degrees), white where nothing was."""
    import cv2

    high, wide = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), tilt, 1.0)
    turned: Any = cv2.warpAffine(image, matrix, (wide, high), borderValue=(255, 255, 255))
    return cast("Image", turned)


def _rules(image: "Image", points: float) -> Iterator[Rule]:
    """The straight lines that are drawn across or down a picture."""
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    dark = cv2.adaptiveThreshold(
        gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 25, 20
    )
    long = max(20, round(max(gray.shape) * _MIN_RULE))
    for across in (True, False):
        near = cv2.getStructuringElement(cv2.MORPH_RECT, (5, 1) if across else (1, 5))
        kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (long, 1) if across else (1, long))
        closed = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, near)
        found = cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel)
        count, _, boxes, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
        for x, y, wide, high, _ in boxes[1 : min(count, 2000)].tolist():
            thick = high if across else wide
            if thick <= 12:
                yield Rule(x * points, y * points, (x + wide) * points, (y + high) * points)
