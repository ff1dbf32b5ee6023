"""Files that a browser sent: kept under their own names, in a folder of ours, for a moment."""

import asyncio
import re
import shutil
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

from rag_app.ingestion.engine import IngestReport, Progress
from rag_app.service import Service

_LONGEST = 200
_TELL = 0.2
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f]")


def safe_name(name: str) -> str:
    """The last part of a name, fit to be a file's: no folders, no control characters, not empty."""
    last = _NOT_IN_NAMES.sub("", re.split(r"[/\\]", name)[-1]).strip()
    stem, suffix = Path(last).stem, Path(last).suffix
    while len(f"{stem}{suffix}".encode()) > _LONGEST and (stem or suffix):
        stem, suffix = (stem[:-1], suffix) if stem else ("", suffix[:-1])
    kept = f"{stem}{suffix}"
    return "document" if kept in {"", ".", ".."} else kept


def stage(files: Sequence[Path], names: Sequence[str]) -> tuple[Path, list[Path]]:
    """Move uploads into a new folder beside them, under the names their owner gave them.

    A name that is missing or empty is the file's own. Returns the folder, which the caller
    deletes, and the files in it, each in a folder of its own so that equal names do not meet.
    """
    folder = Path(tempfile.mkdtemp(prefix="upload-", dir=files[0].parent.parent))
    staged = []
    for i, file in enumerate(files):
        own = folder / str(i + 1)
        own.mkdir()
        name = names[i] if i < len(names) and names[i] else file.name
        staged.append(Path(shutil.move(file, own / safe_name(name))))
        with suppress(OSError):
            file.parent.rmdir()
    return folder, staged


async def take_in(
    service: Service, collection: str, files: Sequence[Path], names: Sequence[str]
) -> AsyncGenerator[Progress | IngestReport, None]:
    """Ingest uploads and delete them: yields where it stands, then the report.

    Goes on, and tidies up, when the generator is dropped, as a tab is closed.

    Raises: as `Service.ingest`.
    """
    folder, staged = await asyncio.to_thread(stage, files, names)
    latest: deque[Progress] = deque(maxlen=1)
    work = asyncio.create_task(service.ingest(collection, staged, latest.append))
    work.add_done_callback(lambda _: shutil.rmtree(folder, ignore_errors=True))
    while not work.done():
        await asyncio.wait({work}, timeout=_TELL)
        if latest:
            yield latest.pop()
    yield work.result()
