"""Reports of evaluations for a browser: to those who may see the page, and as pages that may do
nothing.
"""

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse

from ui.evaluation_rendering import REPORTS
from ui.evaluation_runs import REPORT, EvaluationRuns

_HEADERS: Final = {"Cache-Control": "no-store"}


def reports(runs: EvaluationRuns, may_see: Callable[[Request], bool]) -> APIRouter:
    """The route of reports; `may_see` says who gets any. `ui.guard` adds the policy."""
    router = APIRouter()

    @router.get(REPORTS + "{name}/" + REPORT)
    async def report(request: Request, name: str) -> FileResponse:
        if not may_see(request):
            raise HTTPException(401)
        path = runs.report(name)
        if path is None:
            raise HTTPException(404, "there is no such report")
        return FileResponse(path, media_type="text/html; charset=utf-8", headers=_HEADERS)

    return router
