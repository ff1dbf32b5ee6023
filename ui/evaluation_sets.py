"""A visitor's votes in a collection, to be saved by a browser as an evaluation set."""

import asyncio
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from data.errors import RagAppError
from data.names import safe_name
from rag_app.accounts.chats import evaluation_set
from rag_app.service import Service
from rag_app.web.access import Access
from ui.compare_rendering import EVALUATION_SETS

_HEADERS: Final = {"Cache-Control": "no-store"}


def evaluation_sets(service: Service, access: Access) -> APIRouter:
    """The route. `rag_app.web.gate` asks for the right to read."""
    router = APIRouter()

    @router.get(EVALUATION_SETS + "{collection}", include_in_schema=False)
    async def export(collection: str, request: Request) -> FileResponse:
        with ExitStack() as held:
            folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rag-app-votes-"))
            held.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                votes = await service.chats.votes(access.visitor(request), collection)
                await evaluation_set.write(folder / "set", votes, service.passages(collection))
            except RagAppError as error:
                raise HTTPException(404, str(error)) from None
            path = await asyncio.to_thread(
                shutil.make_archive, str(folder / "set"), "zip", folder / "set"
            )
            return FileResponse(
                path,
                media_type="application/zip",
                filename=f"{safe_name(collection)}-votes.zip",
                headers=_HEADERS,
                background=BackgroundTask(held.pop_all().close),  # once it is sent
            )

    return router
