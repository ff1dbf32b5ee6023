"""What a probe is: a real call with a deadline, and one line on what came of it."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from data.errors import RagAppError
from rag_app.errors import ApplicationError

T = TypeVar("T")

DEADLINE: Final = 4.0
"""Seconds that a part gets to answer."""
BEYOND: Final = 1.5
"""Calls give up by themselves after so many times their deadline: not before it, so that every late
answer is told in the same words, and not much later, as nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one part answered.

    Attributes:
        detail: what was found: address, version, size; or why it fails.
    """

    role: str
    ok: bool
    detail: str
    ms: float
    hint: str = ""


class Problem(ApplicationError):
    """A part that does not work, though the call itself raised nothing of its own."""


@dataclass(frozen=True, slots=True)
class Check:
    """How one part is tried.

    Attributes:
        run: makes the call and says what was found; raises RagAppError.
        address: of the server that it calls, without credentials; empty where it calls none.
    """

    role: str
    run: Callable[[], Coroutine[Any, Any, str]]
    address: str = ""
    seconds: float = DEADLINE


async def judged(check: Check, answer: "asyncio.Task[str]", start: float) -> Probe:
    """Wait for an answer of `check.run`, but not beyond the deadline; it goes on after that.

    Args:
        start: since when, as `time.perf_counter` tells it; the deadline counts from there.
    """
    left = max(0.0, start + check.seconds - time.perf_counter())
    await asyncio.wait({answer}, timeout=left)
    mend = ""
    try:
        found, ok = _result(check, answer), True
    except RagAppError as error:
        found = f"{error.message}: {error.cause}" if error.cause else error.message
        mend, ok = container_hint(check.address) or error.hint, False
    return Probe(check.role, ok, found, (time.perf_counter() - start) * 1000, mend)


def _result(check: Check, answer: "asyncio.Task[str]") -> str:
    if answer.done():
        return answer.result()
    raise Problem(
        f"{check.address or 'it'} did not answer within {check.seconds:.1f} s",
        hint="Check that it runs and is not overloaded; `rag-app doctor --deadline 60` waits"
        " longer",
    )


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns, from a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():  # whoever asked has gone
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]
        else:
            outcome.set_exception(error)

    def run() -> None:
        result, raised = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again, where it is waited for
            raised = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, raised)

    threading.Thread(target=run, name="probe", daemon=True).start()
    return await outcome


def shown(url: str) -> str:
    """An address, or several apart by blanks, without the credentials that they may hold."""
    return " ".join(map(_bare, url.split()))


def _bare(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def since(start: float) -> str:
    """Milliseconds since a moment of `time.perf_counter`, in words."""
    return f"{(time.perf_counter() - start) * 1000:.0f} ms"


MARKS: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files that Docker and Podman put into every container."""
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_PORTS: Final = {"http": 80, "https": 443}


def container_hint(address: str) -> str:
    """The hint where `address` is this container and nothing listens there; else empty."""
    if not any(mark.exists() for mark in MARKS) or not _refused(address):
        return ""
    return (
        "In a container, localhost is the container itself: name the server by its service's name, "
        "or as host.docker.internal if it runs on the machine around"
    )


def _refused(address: str) -> bool:
    """Whether it is of this machine, which refuses connections; such an answer comes at once."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return False
    if host not in _LOCAL or not port:
        return False
    try:
        socket.create_connection((host, port), timeout=0.2).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
