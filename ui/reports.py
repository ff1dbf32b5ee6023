"""Reports of evaluations for a browser, as pages that may do nothing."""

from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from ui.evaluation_rendering import REPORTS
from ui.evaluation_runs import REPORT, EvaluationRuns

_HEADERS: Final = {"Cache-Control": "no-store"}


def reports(runs: EvaluationRuns) -> APIRouter:
    """The route of reports. `ui.guard` adds the policy."""
    router = APIRouter()

    @router.get(REPORTS + "{name}/" + REPORT)
    async def report(name: str) -> FileResponse:
        path = runs.report(name)
        if path is None:
            raise HTTPException(404, "there is no such report")
        return FileResponse(path, media_type="text/html; charset=utf-8", headers=_HEADERS)

    return router
