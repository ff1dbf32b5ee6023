"""Calls to a Qdrant server, which may be busy, restarting or gone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
import httpx
from qdrant_client import models
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from data.arguments import above_zero, at_least
from retrieval.index.errors import IndexGone, StoreError

T = TypeVar("T")

_SILENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED}
_BUSY = _SILENT | {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
_NOT_FOUND, _TOO_MANY_REQUESTS, _SERVER_ERROR = 404, 429, 500
_LONGEST_REASON = 300
_LONGEST_PAUSE = 60.0
"""Seconds: as long as a server's own wish is followed."""


class Calls:
    """Repeats a call that may succeed the next time, and puts the reason it did not into words.

    Waits are random, up to a bound that doubles from `pause` to 10 s; a server that says how long
    it wants to be left alone (`Retry-After`) is left so, up to a minute. Every call this package
    makes leads to the same state when it is made twice, so repeating is safe.

    Args:
        client: whose address the errors name; a `QdrantClient`, or what offers its calls.
        attempts: calls in all, at least 1.
        pause: most seconds before the second one, above 0.

    Raises:
        ValueError: `attempts` or `pause` is out of its range.
    """

    def __init__(self, client: Any, attempts: int = 5, pause: float = 0.2) -> None:
        at_least(1, attempts=attempts)
        above_zero(pause=pause)
        self._address = address(client)
        self._retrying = Retrying(
            stop=stop_after_attempt(attempts),
            wait=_Pause(pause),
            retry=retry_if_exception(is_transient),
            reraise=True,
        )

    def __call__(self, call: Callable[[], T]) -> T:
        """What `call` returns.

        Raises:
            IndexGone: what it is about is not there.
            StoreError: it failed for good; names the address, the reason and a hint.
        """
        with self._explained():
            return self._retrying.copy()(call)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnexpectedResponse as error:
            if error.status_code == _NOT_FOUND:
                raise IndexGone(_status(error)) from error
            raise self._refused(_status(error)) from error
        except ResponseHandlingException as error:
            raise self._silent(str(error) or type(error.source).__name__) from error
        except QdrantException as error:  # such as a 429 that names a time
            raise self._refused(str(error)) from error
        except grpc.RpcError as error:
            code, details = _code(error), getattr(error, "details", lambda: None)() or str(error)
            if code == grpc.StatusCode.NOT_FOUND:
                raise IndexGone(details) from error
            raise (self._silent if code in _SILENT else self._refused)(details) from error

    def _silent(self, cause: str) -> StoreError:
        return StoreError(
            f"the Qdrant server at {self._address} does not answer",
            cause=cause,
            hint="Start it, or check the address and port in storage settings; without a "
            "server, use the embedded store",
        )

    def _refused(self, cause: str) -> StoreError:
        return StoreError(
            f"the Qdrant server at {self._address} refused a request",
            cause=cause,
            hint="Check the API key and the server's version and log",
        )


class _Pause:
    """Seconds before the next attempt."""

    def __init__(self, pause: float) -> None:
        self._backing_off = wait_random_exponential(multiplier=pause, max=10)

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, ResourceExhaustedResponse) else 0
        return max(self._backing_off(state), min(asked, _LONGEST_PAUSE))


def create_once(client: Any, collection: str, **how: Any) -> None:
    """Create a collection, unless there is one: another process may be first."""
    try:
        client.create_collection(collection, **how)
    except (UnexpectedResponse, grpc.RpcError):
        if not client.collection_exists(collection):
            raise


def pages(scroll: Callable[[Any], tuple[list[T], Any]]) -> Iterator[list[T]]:
    """The pages of a `scroll`, which takes where one begins and tells where the next one does."""
    start: Any = None
    while True:
        found, start = scroll(start)
        if found:
            yield found
        if start is None:
            return


def equals(key: str, value: Any) -> models.FieldCondition:
    """The condition that a payload field is, or holds, a value."""
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: no connection, time-out, 429 or a server error."""
    if isinstance(error, UnexpectedResponse):
        status = error.status_code or _SERVER_ERROR
        return status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR
    if isinstance(error, ResourceExhaustedResponse):
        return True
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError)
    return isinstance(error, grpc.RpcError) and _code(error) in _BUSY


def address(client: Any) -> str:
    """Where a client looks for its data; without credentials."""
    options = client.init_options
    found = options.get("url") or options.get("host") or options.get("path")
    return str(found or options.get("location") or "localhost")


def _status(error: UnexpectedResponse) -> str:
    """The status, and what the server says of it where it speaks as Qdrant does."""
    status = f"{error.status_code} {error.reason_phrase}".strip()
    try:
        reason = json.loads(error.content)["status"]["error"]
    except (ValueError, TypeError, KeyError):
        return status
    return f"{status}: {str(reason)[:_LONGEST_REASON]}"


def _code(error: grpc.RpcError) -> grpc.StatusCode | None:
    code = getattr(error, "code", None)
    return code() if callable(code) else None
