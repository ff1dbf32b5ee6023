"""What a failing language model means to a stage that can do without its answer."""

import re
from collections.abc import Awaitable
from typing import Final, TypeVar

T = TypeVar("T")

_LONGEST: Final = 200
_SECRET: Final = re.compile(r"\b(?:(?:sk|hf|key)[-_]|Bearer )[\w*.-]{6,}", re.IGNORECASE)
_USERINFO: Final = re.compile(r"(?<=://)[^/\s@]+@")


def failures() -> tuple[type[Exception], ...]:
    """The errors by which a call of a language model fails; all else is a fault in the program.

    The client's own, its transport's, time-outs, and an answer that is not what was asked for: JSON
    that breaks off is a ValueError, and `answer` makes one of every other damage.
    """
    import httpx
    import openai

    return openai.OpenAIError, httpx.HTTPError, TimeoutError, ValueError


async def answer(call: Awaitable[T]) -> T:
    """What the server answers.

    Raises:
        ValueError: the answer is not of the API's form, over which clients fall in their own ways.
        Exception: as `call`.
    """
    from pydantic import ValidationError

    try:
        return await call
    except (AttributeError, IndexError, KeyError, TypeError, ValidationError) as error:
        raise ValueError("the answer is not of the API's form") from error


def reason(error: BaseException, deadline: float | None = None) -> str:
    """One short line, without keys, on why a call failed."""
    import httpx
    import openai

    if isinstance(error, openai.APIStatusError):
        return _line(f"HTTP {error.status_code}: {_message(error)}")
    if isinstance(error, TimeoutError | openai.APITimeoutError | httpx.TimeoutException):
        return "no answer in time" if deadline is None else f"no answer within {deadline:g} s"
    if isinstance(error, openai.APIConnectionError):
        error = error.__cause__ or httpx.ConnectError("")
    if isinstance(error, httpx.ConnectError):
        return "the server cannot be reached"
    if isinstance(error, httpx.TransportError):
        return "the server broke the connection"
    return _line(_message(error))


def _message(error: BaseException) -> str:
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) and message else str(error) or type(error).__name__


def _line(text: str) -> str:
    line = _USERINFO.sub("", _SECRET.sub("(key)", " ".join(text.split())))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
