"""The original files of documents, to be saved by a browser and never shown by it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from data.errors import RagAppError
from data.names import safe_name
from ui.library_rendering import ORIGINALS

_HEADERS: Final = {"Cache-Control": "no-store"}


def originals(path_of: Callable[[str, str], Awaitable[Path]]) -> APIRouter:
    """The route. `rag_app.web.gate` asks for the right to read.

    Args:
        path_of: the file of a document, by the names of its collection and its source; raises
            RagAppError where there is none.
    """
    router = APIRouter()

    @router.get(ORIGINALS + "{collection}", include_in_schema=False)
    async def original(collection: str, source: str) -> FileResponse:
        try:
            path = await path_of(collection, source)
        except RagAppError as error:
            raise HTTPException(404, str(error)) from None
        if not path.is_file():
            raise HTTPException(404, "the original is gone")
        name = safe_name(source)
        kind = "application/octet-stream"
        return FileResponse(path, media_type=kind, filename=name, headers=_HEADERS)

    return router
