"""What is attached to a message: read like a file of its own, within limits."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from data.blocks import Loaded, LoadWarning, Scan
from data.cleaning import inline
from data.errors import UnreadableFile
from data.limits import MIB
from data.loaders.making import heading

DEEPEST = 3
"""How deep messages in messages are opened."""
_MOST_FILES = 50
_MOST_BYTES = 50 * MIB
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".svg"})


class Attachments:
    """Reads the attachments of one message and of those in it; they share one limit.

    Args:
        read_message: reads a message that is attached: its bytes, its name, these attachments, and
            how many messages deep it lies.
    """

    def __init__(self, read_message: "ReadMessage") -> None:
        self._read_message = read_message
        self._files, self._bytes = 0, 0

    def blocks(self, name: str, raw: bytes, depth: int) -> Iterator[Loaded]:
        """The blocks of an attachment below its name as heading; a warning where it is not read."""
        name = inline(name) or "without a name"
        yield heading(2, f"Attachment: {name}")
        self._files, self._bytes = self._files + 1, self._bytes + len(raw)
        if depth > DEEPEST or self._files > _MOST_FILES or self._bytes > _MOST_BYTES:
            yield LoadWarning(
                f"the attachment {name} is not read: there are too many, too large or too deep"
            )
            return
        try:
            yield from _lowered(self._load(name, raw, depth), name)
        except UnreadableFile as error:
            yield LoadWarning(f"the attachment {name} is not read: {error.cause}")

    def _load(self, name: str, raw: bytes, depth: int) -> Iterator[Loaded]:
        from data.components import BY_ENDING
        from data.loaders import load, sniff

        suffix = Path(name).suffix.lower()
        if suffix not in BY_ENDING:
            what = "pictures are not read" if suffix in _PICTURES else "its type is not supported"
            raise UnreadableFile(name, cause=what)
        with _in_memory(raw) as path:
            kind = sniff(path, name)
            if kind == "email":
                yield from self._read_message(raw, name, self, depth + 1)
            else:
                yield from (one for one in load(path, kind) if not isinstance(one, Scan))


ReadMessage = Callable[[bytes, str, Attachments, int], Iterator[Loaded]]


@contextlib.contextmanager
def _in_memory(raw: bytes) -> Iterator[Path]:
    """A file that lies in memory alone; the parser may write no other."""
    import resource

    if not hasattr(os, "memfd_create"):
        raise UnreadableFile("", cause="this system has no files in memory")
    descriptor = os.memfd_create("attachment")
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        try:
            os.write(descriptor, raw) if len(raw) < MIB else _write(descriptor, raw)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _write(descriptor: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(descriptor, view) :]


def _lowered(loaded: Iterator[Loaded], name: str) -> Iterator[Loaded]:
    """Blocks below the message's own headings, without pages, which the message has not.

    The first one is parted from the attachment's name, whatever it has before it in its file.
    """
    first = True
    for one in loaded:
        if isinstance(one, LoadWarning):
            yield LoadWarning(f"in the attachment {name}: {one.reason}")
            continue
        level = one.level + 3 if one.kind == "heading" else one.level
        joint = None if first else one.joint
        yield replace(one, level=level, joint=joint, page=None, boxes=())
        first = False
