"""Pictures of pages: PNG, JPEG and TIFF (each of its pages), read by the extra `ocr`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.blocks import Loaded, LoadWarning, Scan
from data.errors import UnreadableFile
from data.loaders.assembling import Assembler
from data.loaders.ocr import INSTALL, MissingOcr, PictureReader

if TYPE_CHECKING:
    from PIL import Image

_MAX_PIXELS = 60_000_000
_DPI = 150.0
"""What a picture without a plausible resolution is taken to have."""


def load(path: Path) -> Iterator[Loaded | Scan]:
    """The blocks of a picture; of a TIFF with several pages, those of each, counted from 1.

    The camera's note on how it was held (EXIF) is heeded. Raises UnreadableFile for a damaged or
    huge picture and where the extra is not installed.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the size is held against our own limit before decoding
    try:
        reader = PictureReader()
    except MissingOcr as error:
        raise UnreadableFile(
            f"cannot read {path.name}",
            cause="it is a picture, and text recognition is not installed",
            hint=f"Install it with {INSTALL}",
        ) from error
    with _opened(path) as picture:
        assembler = Assembler()
        frames = _frames(picture, path.name)
        for number in range(1, frames + 1):
            yield Scan(number, frames)
            pixels, points = _frame(picture, number, path.name)
            page = reader.read(pixels, number, points)
            if not page.words:
                yield LoadWarning("no text was found in this picture", number)
            yield from assembler.add(page)
        yield from assembler.end()


def _opened(path: Path) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path, formats=("PNG", "JPEG", "TIFF"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise _damaged(path.name) from error


def _frames(picture: "Image.Image", name: str) -> int:
    """How many pages a picture has; a TIFF is counted by reading its directories."""
    try:
        return int(getattr(picture, "n_frames", 1)) if picture.format == "TIFF" else 1
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _damaged(name) from error


def _damaged(name: str) -> UnreadableFile:
    return UnreadableFile(f"cannot read {name}", cause="it is damaged or not a whole picture")


def _frame(picture: "Image.Image", number: int, name: str) -> tuple[Any, float]:
    """The pixels of a page of a picture, upright and on white, and points a pixel."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        picture.seek(number - 1)
        if picture.width * picture.height > _MAX_PIXELS:
            raise UnreadableFile(
                f"cannot read {name}",
                cause=f"it has {picture.width} by {picture.height} pixels, "
                f"the limit is {_MAX_PIXELS // 1_000_000} million",
                hint="Save it smaller",
            )
        points = _points(picture)
        frame = ImageOps.exif_transpose(picture)
        if frame.mode in {"I;16", "I;16B", "I", "F"}:
            levels = np.asarray(frame, dtype=np.float32)
            scale = 255 / max(1.0, float(levels.max()))
            frame = Image.fromarray((levels * scale).astype(np.uint8))
        if frame.mode in {"RGBA", "LA", "PA"} or "transparency" in frame.info:
            frame = frame.convert("RGBA")
            white = Image.new("RGBA", frame.size, "white")
            frame = Image.alpha_composite(white, frame)
        return np.asarray(frame.convert("RGB")), points
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _damaged(name) from error


def _points(picture: "Image.Image") -> float:
    """Points a pixel, by the resolution that the file names where pages have such sizes."""
    named = picture.info.get("dpi") or (_DPI, _DPI)
    dpi = float(named[0] or _DPI)
    inches = max(picture.width, picture.height) / dpi if dpi > 0 else 0
    return 72 / dpi if 2 < inches < 60 else 72 / _DPI
