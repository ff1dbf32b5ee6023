"""Plain text: UTF-8, UTF-16 or UTF-32 with a byte-order mark, or a Western single-byte code."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from data.blocks import Loaded
from data.cleaning import clean
from data.errors import UnreadableFile
from data.loaders.making import slices

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1b\x08"))
_MAX_CONTROLS = 0.02


def looks_binary(head: bytes) -> bool:
    """Whether the first bytes of a file cannot be text: NULs, or many control characters."""
    if any(head.startswith(mark) for mark, _ in _MARKS):
        return False
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" in head or controls > _MAX_CONTROLS * len(head)


def decode(raw: bytes, name: str) -> str:
    """The text of a file's bytes, cleaned, with line feeds as line ends.

    A byte-order mark decides; else UTF-8, else Windows-1252 (as the WHATWG reads "latin-1"),
    else Latin-1, which accepts every byte. Raises UnreadableFile for binary content or a wrong
    byte-order mark; `name` is used in its message.
    """
    if looks_binary(raw[:8192]):
        raise UnreadableFile(f"cannot read {name}", cause="its content is binary, not text")
    marked = next((code for mark, code in _MARKS if raw.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252", "latin-1"):
        try:
            return clean(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise UnreadableFile(
        f"cannot read {name}", cause=f"its byte-order mark says {marked}, its bytes do not"
    )


def load(path: Path) -> Iterator[Loaded]:
    """Adjacent paragraphs that cover the whole file; offsets count characters after decoding."""
    yield from slices(decode(path.read_bytes(), path.name))
