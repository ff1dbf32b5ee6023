"""How a browser becomes known: by the printed address, or by the password."""

import math
from importlib import resources
from string import Template
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from rag_app.web.access import COOKIE_DAYS, Access
from rag_app.web.gate import LOG_IN

_LONGEST: Final = 1000


def log_in_routes(access: Access) -> APIRouter:
    """The routes that give a browser its cookie, and take it back."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOG_IN)
    async def show(request: Request, key: str = "") -> Response:
        if access.knows_key(key):
            return _known(access, request)
        if key:
            return _form("This address is an old one: use the one printed last.", 401)
        if not access.password or access.visitor(request):
            return RedirectResponse("/", 303)
        return _form("")

    @router.post(LOG_IN)
    async def log_in(request: Request) -> Response:
        if seconds := access.wait(request):
            whole = math.ceil(seconds)
            answer = _form(f"Too many wrong passwords. Try again in {whole} seconds.", 429)
            answer.headers["Retry-After"] = str(whole)
            return answer
        async with request.form(max_files=0, max_fields=4, max_part_size=_LONGEST) as form:
            user, password = (
                str(form.get(name, ""))[:_LONGEST] for name in ("username", "password")
            )
        if access.log_in(request, user, password):
            return _known(access, request)
        return _form("User or password is not right.", 401)

    @router.post("/logout")
    async def log_out() -> Response:
        answer = RedirectResponse(LOG_IN, 303)
        answer.delete_cookie(access.cookie)
        return answer

    return router


def _known(access: Access, request: Request) -> Response:
    answer = RedirectResponse("/", 303)
    seconds = COOKIE_DAYS * 86_400
    value = access.new_visitor(access.visitor(request))
    answer.set_cookie(access.cookie, value, max_age=seconds, httponly=True, samesite="lax")
    return answer


def _form(problem: str, status: int = 200) -> Response:
    page = Template((resources.files("ui") / "log_in.html").read_text("utf-8"))
    return HTMLResponse(page.substitute(problem=problem), status)
