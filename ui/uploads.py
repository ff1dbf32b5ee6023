"""Files that a browser sent: known by an id, kept in a folder of their visitor, for a moment.

A page never names a path. It sends files to `UPLOAD`, gets an id for each, and names that id in its
next event; only the browser that sent a file can name it.
"""

import asyncio
import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from fastapi import APIRouter, HTTPException, Request, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from data.limits import MIB
from data.names import safe_name
from rag_app.errors import ApplicationError
from rag_app.web.access import Access
from rag_app.web.gate import UNKNOWN, UPLOAD

_MOST: Final = 1000
"""Files of one upload."""
_KEPT: Final = 3600.0
"""Seconds that an upload waits for the event that names it."""
_READ: Final = 24
"""Times as long an upload may take to be read."""
_DEEPEST: Final = 8
"""Folders of a file that are kept."""
_SLASHES: Final = re.compile(r"[/\\]")
_ID: Final = re.compile(r"[0-9a-f]{32}")


class Uploads:
    """The uploads of all visitors, each in a folder of its own.

    Args:
        folder: where they lie; made if need be.
        most_bytes: largest file.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most = folder.resolve(), most_bytes
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def receive(self, visitor: str, request: Request) -> list[str]:
        """Keep the parts of a multipart request as files; returns their ids.

        Raises:
            ApplicationError: the request is no upload, or a file of it is too large.
            ClientDisconnect: the browser left before the end.
        """
        self.sweep()
        folder = self._of(visitor)
        folder.mkdir(exist_ok=True, mode=0o700)
        parts = _Parts(folder, self._most)
        try:
            parser = parts.parser(request.headers.get("content-type", ""))
            async for piece in request.stream():
                await asyncio.to_thread(parser.write, piece)
            return parts.whole()
        except FormParserError as error:
            raise ApplicationError("the upload cannot be read", cause=str(error)) from None
        finally:
            parts.close()

    def take(
        self, visitor: str, ids: Sequence[str], names: Sequence[str]
    ) -> tuple[Path, list[Path]]:
        """Move uploads into a new folder, under the names their owner gave them.

        A name that is missing or empty becomes ``document``; one may begin with folders, which tell
        files of one name apart. Returns the folder, which the caller deletes, and the files in it,
        each in a folder of its own so that equal names do not meet.

        Raises:
            ApplicationError: this visitor has no such upload (any longer).
        """
        found = [self._file(visitor, one) for one in ids]
        folder = self._folder / f"taken-{secrets.token_hex(16)}"
        folder.mkdir(mode=0o700)
        moved = []
        for i, file in enumerate(found):
            name = names[i] if i < len(names) else ""
            above = [part for part in _SLASHES.split(name)[:-1] if part][-_DEEPEST:]
            place = folder.joinpath(str(i + 1), *map(safe_name, above))
            place.mkdir(parents=True)
            moved.append(file.rename(place / safe_name(name)))
        return folder, moved

    def sweep(self, age: float = _KEPT) -> None:
        """Delete what no event has named in time, and what was read long ago."""
        now = time.time()
        os.utime(self._folder)  # a sign that its process lives
        for path in self._folder.glob("visitor-*/*"):
            if path.lstat().st_mtime < now - age:
                path.unlink(missing_ok=True)
        for path in (*self._folder.glob("taken-*"), *self._folder.glob("gradio/*")):
            if path.lstat().st_mtime < now - _READ * age:
                shutil.rmtree(path, ignore_errors=True)

    def _of(self, visitor: str) -> Path:
        return self._folder / f"visitor-{visitor if _ID.fullmatch(visitor) else 'local'}"

    def _file(self, visitor: str, name: str) -> Path:
        path = self._of(visitor) / name
        if not _ID.fullmatch(name) or path.is_symlink() or not path.is_file():
            raise ApplicationError("an upload is not here any longer", hint="Upload it again")
        return path


class _Parts:
    """The parts of one multipart request, written to files as they come; headers are not read."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._ids: list[str] = []
        self._file: BinaryIO | None = None
        self._complete = False

    def parser(self, content_type: str) -> MultipartParser:
        """What takes the body's bytes. Raises FormParserError for another type."""
        kind, options = parse_options_header(content_type.encode())
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise FormParserError("it is no multipart/form-data")
        callbacks = {
            "on_part_begin": self._begin,
            "on_part_data": self._write,
            "on_part_end": self._end,
            "on_end": self._finish,
        }
        return MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type]

    def whole(self) -> list[str]:
        """The ids, once all has come. Raises FormParserError where the end is missing."""
        if not self._complete:
            raise FormParserError("its end is missing")
        kept, self._ids = self._ids, []
        return kept

    def close(self) -> None:
        """Delete what does not belong to a whole upload."""
        self._end()
        for one in self._ids:
            (self._folder / one).unlink(missing_ok=True)

    def _begin(self) -> None:
        if len(self._ids) >= _MOST:
            raise FormParserError(f"it has more than {_MOST} files")
        self._ids.append(secrets.token_hex(16))
        self._file = (self._folder / self._ids[-1]).open("xb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        assert self._file  # noqa: S101 - a part has begun
        if self._file.tell() + end - start > self._most:
            raise FormParserError(f"a file is larger than {self._most // MIB} MB")
        self._file.write(data[start:end])

    def _end(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _finish(self) -> None:
        self._complete = True


def upload_route(uploads: Uploads, access: Access) -> APIRouter:
    """The route that takes files; it stands in the way of Gradio's own."""
    router = APIRouter()

    @router.post(UPLOAD, include_in_schema=False)
    async def upload(request: Request) -> list[str]:
        if not access.may_change(request):
            raise HTTPException(401, UNKNOWN)
        try:
            return await uploads.receive(access.visitor(request), request)
        except ClientDisconnect:  # nobody reads this
            raise HTTPException(400, "the upload did not come to its end") from None

    @router.get(f"{UPLOAD}_progress", include_in_schema=False)
    async def progress() -> Response:
        """The page listens here; it needs no numbers, for a line of ours says when it is read."""
        return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")

    return router
