"""What every answer that is an error says, and how: `{"error": {"message", "cause", "hint"}}`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from data.errors import RagAppError
from rag_app.accounts.rights import Forbidden
from rag_app.errors import CollectionBusy, UnknownDocument
from rag_app.remote import wire
from retrieval.index.errors import DiskFull, UnknownCollection


class Explanation(BaseModel):
    """What happened, why, and how to mend it."""

    message: str
    cause: str = ""
    hint: str = ""


class ErrorBody(BaseModel):
    """The body of every error."""

    error: Explanation


ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": ErrorBody, "description": text}
    for code, text in (("4XX", "Refused, with the reason."), ("5XX", "Failed, with the reason."))
}
"""For the description of a route."""
_TOLD: Final = 20
"""Problems of a request that are told; a small request may have very many."""
_STATUS: Final[Mapping[type[Exception], HTTPStatus]] = {
    Forbidden: HTTPStatus.FORBIDDEN,
    CollectionBusy: HTTPStatus.CONFLICT,
    DiskFull: HTTPStatus.INSUFFICIENT_STORAGE,
    UnknownCollection: HTTPStatus.NOT_FOUND,
    UnknownDocument: HTTPStatus.NOT_FOUND,
}


def printable(text: str) -> str:
    """The text with what has no UTF-8, such as half a surrogate pair, replaced."""
    return text.encode("utf-8", "replace").decode()


async def explain(_: Request, error: Exception) -> JSONResponse:
    """The answer to an error that was raised on purpose."""
    assert isinstance(error, RagAppError)  # noqa: S101 - registered for these alone
    found = (status for kind, status in _STATUS.items() if isinstance(error, kind))
    parts = {name: printable(text) for name, text in wire.explained(error).items()}
    return JSONResponse({"error": parts}, next(found, HTTPStatus.BAD_REQUEST))


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """The answer where there is no such route, or no right to it."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    return JSONResponse({"error": {"message": str(error.detail)}}, error.status_code, error.headers)


async def correct(_: Request, error: Exception) -> JSONResponse:
    """The answer to a request that does not fit; it names each field, but not a million."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these alone
    problems = [
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
    ]
    if len(problems) > _TOLD:
        problems[_TOLD:] = [f"and {len(problems) - _TOLD} more"]
    message = printable("; ".join(problems))
    return JSONResponse({"error": {"message": message}}, HTTPStatus.UNPROCESSABLE_ENTITY)
