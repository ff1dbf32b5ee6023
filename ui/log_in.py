"""How a browser becomes known, by the printed address or by a password, and unknown again."""

import math
from html import escape
from importlib import resources
from string import Template
from typing import Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from rag_app.accounts.rights import Person
from rag_app.accounts.users import LONGEST, SESSION_SECONDS
from rag_app.web.access import Access
from rag_app.web.errors import printable
from rag_app.web.gate import LOG_IN

LOG_OUT: Final = "/logout"
_BYTES: Final = 16 * LONGEST
"""Of a field with its name; a character takes up to twelve in a form."""


def log_in_routes(access: Access) -> APIRouter:
    """The routes that give a browser its cookie, and take it back."""
    router = APIRouter(include_in_schema=False)
    # functions that are not async run in threads: the users are read from a file

    @router.get(LOG_IN)
    def show(request: Request, key: str = "") -> Response:
        if access.knows_key(key):
            return _known(access, request)
        if key:
            return _form("This address is an old one: use the one printed last.", 401)
        if not access.closed() or access.person(request).id:
            return RedirectResponse("/", 303)
        return _form(user=access.user if access.password else "")

    @router.post(LOG_IN)
    async def log_in(request: Request) -> Response:
        try:
            user, password = await _typed(request)
        except _TooLong as error:
            return _form(str(error), 400)
        if seconds := access.wait(request, user):
            whole = math.ceil(seconds)
            answer = _form(f"Too many wrong passwords. Try again in {whole} seconds.", 429, user)
            answer.headers["Retry-After"] = str(whole)
            return answer
        if person := await access.check_password(request, user, password):
            return await run_in_threadpool(_known, access, request, person)
        return _form("User or password is not right.", 401, user)

    @router.post(LOG_OUT)
    def log_out(request: Request) -> Response:
        access.log_out(request)
        answer = RedirectResponse(LOG_IN, 303)
        answer.delete_cookie(access.cookie)
        return answer

    return router


class _TooLong(Exception):
    """More was typed than any user or password has."""


async def _typed(request: Request) -> tuple[str, str]:
    """The user and the password of a form."""
    try:
        async with request.form(max_files=0, max_fields=4, max_part_size=_BYTES) as form:
            user, password = (str(form.get(name, "")) for name in ("username", "password"))
    except HTTPException:
        message = f"User and password have at most {LONGEST:,} characters each."
        raise _TooLong(message) from None
    for what, typed in (("user", user), ("password", password)):
        if len(typed) > LONGEST:
            raise _TooLong(f"The {what} has more than {LONGEST:,} characters.")
    return user, password


def _known(access: Access, request: Request, person: Person | None = None) -> Response:
    answer = RedirectResponse("/", 303)
    access.log_out(request)  # who was there before is not any longer
    # behind a proxy that speaks https for us, only the browser says that it does
    secure = request.url.scheme == "https" or request.headers.get("origin", "")[:6] == "https:"
    answer.set_cookie(
        access.cookie,
        access.new_cookie(request, person),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    return answer


def _form(problem: str = "", status: int = 200, user: str = "") -> Response:
    """The page; the keyboard is where the next word is to be typed."""
    wrong = "aria-invalid=true" if problem else ""
    page = Template((resources.files("ui") / "log_in.html").read_text("utf-8")).substitute(
        problem=escape(problem),
        user=escape(printable(user)),
        user_is="" if user else f"{wrong} autofocus",
        password_is=f"{wrong} autofocus" if user else "",
    )
    return HTMLResponse(page, status, {"Cache-Control": "no-store"})
