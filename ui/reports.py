"""Reports of evaluations for a browser: pages that may do nothing, in our type and theme."""

import asyncio
import base64
from functools import cache
from importlib import resources
from typing import Final, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from ui.evaluation_rendering import REPORTS
from ui.evaluation_runs import REPORT, EvaluationRuns

_HEADERS: Final = {"Cache-Control": "no-store"}
_WEIGHTS: Final = {400: "Regular", 700: "Bold"}
_FONTS: Final = "templates/frontend/static/fonts/IBMPlexSans/IBMPlexSans-{}.woff2"


def reports(runs: EvaluationRuns) -> APIRouter:
    """The route of reports. `ui.guard` adds the policy."""
    router = APIRouter()

    @router.get(REPORTS + "{name}/" + REPORT)
    async def report(name: str, theme: Literal["light", "dark"] | None = None) -> HTMLResponse:
        path = runs.report(name)
        if path is None:
            raise HTTPException(404, "there is no such report")
        text = await asyncio.to_thread(path.read_text, "utf-8", "replace")
        return HTMLResponse(_dressed(text, theme), headers=_HEADERS)

    return router


def _dressed(report: str, theme: str | None) -> str:
    """A report with our typeface in it, since it may load nothing, and held to a theme."""
    scheme = f":root{{color-scheme:{theme}}}" if theme else ""
    return report.replace("</head>", f"<style>{_faces()}{scheme}</style></head>", 1)


@cache
def _faces() -> str:
    faces = ""
    for weight, name in _WEIGHTS.items():
        font = resources.files("gradio").joinpath(_FONTS.format(name)).read_bytes()
        data = base64.b64encode(font).decode()
        faces += (
            f"@font-face{{font-family:'IBM Plex Sans';font-weight:{weight};"
            f"src:url(data:font/woff2;base64,{data}) format('woff2')}}"
        )
    return faces
