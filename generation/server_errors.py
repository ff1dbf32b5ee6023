"""What a failing model server means to the person who asked."""

import asyncio
import json
import re
from typing import Final
from urllib.parse import urlsplit

import httpx
from llama_index.core.llms import LLM

from generation.errors import GenerationError, ReaderUnavailable

_LONGEST_REASON: Final = 300
_PAGE: Final = re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)
_TAG: Final = re.compile(r"<(?:(script|style|title)\b.*?</\1>|[^>]*>)", re.IGNORECASE | re.DOTALL)
_SECRET: Final = re.compile(r"\b(?:sk|hf|key|Bearer)[-_ ][\w*.-]{6,}", re.IGNORECASE)


def server_address(llm: LLM) -> str:
    """Return the address of the server behind ``llm`` without credentials, or its class name."""
    base = getattr(llm, "api_base", None)
    if not isinstance(base, str) or not base:
        return llm.class_name()
    parts = urlsplit(base)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def explain_failure(error: Exception, address: str, model: str, deadline: float) -> Exception:
    """Translate what a model client raised into our error; return others as they are.

    Knows the ``openai`` client's errors, its transport's (``httpx``) and time-outs.

    Returns:
        ``ReaderUnavailable`` where the server is down, slow, busy, or refuses us or the model;
        ``GenerationError`` where it refuses this one request; ``error`` itself if it is none of
        these.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, address, model)
    if isinstance(error, openai.APITimeoutError | httpx.TimeoutException | asyncio.TimeoutError):
        return ReaderUnavailable(
            f"The language model at {address} did not answer in time",
            cause=f"no complete answer from {model} within {deadline:g} s",
            hint="Try again, raise the reader's deadline, or use a smaller or faster model.",
        )
    if isinstance(error, openai.APIConnectionError | httpx.ConnectError):
        return ReaderUnavailable(
            f"The language model at {address} cannot be reached",
            cause=_reason(error.__cause__ or error),
            hint="Start the server or correct its address.",
        )
    if isinstance(error, openai.APIError | httpx.HTTPError | json.JSONDecodeError):
        return ReaderUnavailable(
            f"The language model at {address} broke off its answer",
            cause=_reason(error),
            hint="Ask again; if it happens again, read the server's log.",
        )
    if isinstance(error, openai.OpenAIError):
        return ReaderUnavailable(
            f"The language model at {address} cannot be asked",
            cause=_reason(error),
            hint="Correct the language model's settings.",
        )
    return error


_BY_STATUS: Final = {
    401: ("refuses the key", "Set the API key that this server expects."),
    403: ("refuses access", "Use a key that may use this model."),
    404: ("does not have {model}", "Name a model that the server lists under /models, or check that"
          " the address ends where its API begins (often /v1)."),
    429: ("is busy or the quota is used up", "Wait a moment and ask again, or raise the quota."),
}  # fmt: skip


def _explain_status(error: Exception, address: str, model: str) -> GenerationError:
    """Translate an answer with an error status (``error`` is an ``openai.APIStatusError``)."""
    status = int(getattr(error, "status_code", 0))
    if status in _BY_STATUS:
        happened, hint = _BY_STATUS[status]
        return ReaderUnavailable(
            f"The language model at {address} {happened.format(model=model)}",
            cause=f"HTTP {status}" if status in (401, 403) else f"HTTP {status}, {_reason(error)}",
            hint=hint,
        )
    if status >= 500 or status == 408:
        return ReaderUnavailable(
            f"The language model at {address} failed",
            cause=f"HTTP {status}, {_reason(error)}",
            hint="Try again; if it happens again, read the server's log.",
        )
    return GenerationError(
        f"The language model at {address} refused the request",
        cause=f"HTTP {status}, {_reason(error)}",
        hint="If it names the context length, lower the context window in the settings to the "
        "server's; otherwise check the language model's settings.",
    )


def _reason(error: BaseException) -> str:
    """Return the error's message as one short line without keys, or its type's name."""
    body = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    text = message if isinstance(message, str) and message else str(error) or type(error).__name__
    if _PAGE.match(text):  # of a proxy, such as "502 Bad Gateway"
        text = _TAG.sub(" ", text)
    line = _SECRET.sub("(key)", " ".join(text.split())) or type(error).__name__
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
