"""Rich text (RTF): its text without its control words."""

from collections.abc import Iterator
from pathlib import Path

from data.blocks import Block
from data.errors import UnreadableFile
from data.loaders.making import paragraph


def load(path: Path) -> Iterator[Block]:
    """Paragraphs; cells of tables are parted by "|". Raises UnreadableFile for what is no RTF."""
    from striprtf.striprtf import rtf_to_text

    raw = path.read_bytes()
    if not raw.lstrip().startswith(b"{\\rtf"):
        raise UnreadableFile(f"cannot read {path.name}", cause="it is not RTF")
    text: str = rtf_to_text(raw.decode("latin-1"), errors="replace")  # type: ignore[no-untyped-call]
    yield from map(paragraph, text.split("\n"))
