"""A document from an address: within the hosts, the bytes and the seconds that are allowed."""

import asyncio
import mimetypes
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

import httpx

from data.components import BY_ENDING
from data.discovery import Found
from data.limits import Limits
from data.names import safe_name
from rag_app.errors import ApplicationError
from rag_app.ingestion.addresses import CheckedTransport, Number, not_link_local, parts_of, public
from retrieval.replies import PLAIN, ReplyError, async_pieces

_HINT: Final = "Give one such as https://example.org/report.pdf"
_SECONDS: Final = 120.0
"""For all of a document."""
_QUIET: Final = 15.0
"""To each answer and each piece of it."""
_REDIRECTS: Final = 5
_LONGEST: Final = 2000
_LONGEST_QUERY: Final = 80
"""Characters that go into a name."""
_SEPARATORS: Final = re.compile(r"[/\\]")


class Fetcher:
    """Fetches documents.

    Args:
        hosts: the only ones that are asked, of private networks too; ``*.example.org`` stands for
            all hosts below, ``*`` for every public one. None means that alone.
        limits: of the files.
        transport: stands in for the network where given.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        limits: Limits,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = [host.lower() for host in hosts] or ["*"]
        self._limits, self._transport = limits, transport

    async def fetch(self, address: str, folder: Path) -> Found:
        """Keep what an address gives as a file in a new folder.

        Its source is made of host, path and query; its origin is the address in its usual form.

        Raises:
            ApplicationError: it is no address, leads where it may not, gives no document that can
                be read, or more than is allowed.
        """
        address = address.strip().partition("#")[0]
        if len(address) > _LONGEST:
            raise ApplicationError("the address is too long", hint=_HINT)
        parts_of(address, hint=_HINT)
        await asyncio.to_thread(folder.mkdir, parents=True, mode=0o700)
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._fetched(address, folder)
        except TimeoutError:
            cause = f"it took longer than {_SECONDS:g} s"
        except httpx.TooManyRedirects:
            cause = f"it leads on more than {_REDIRECTS} times"
        except httpx.HTTPStatusError as error:
            cause = f"the server answered {error.response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, ReplyError) as error:
            cause = str(error) or type(error).__name__
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
        except UnicodeError as error:  # of a host that it leads on to, or of a cookie
            cause = f"the server answered what cannot be read ({error})"
        raise ApplicationError(
            f"{address} could not be fetched", cause=cause, hint="Try it in a browser"
        )

    async def _fetched(self, address: str, folder: Path) -> Found:
        async with (
            httpx.AsyncClient(
                transport=CheckedTransport(self._refusal, self._transport),
                headers={**PLAIN, "user-agent": "rag-app"},
                follow_redirects=True,
                max_redirects=_REDIRECTS,
                timeout=_QUIET,
            ) as connections,
            connections.stream("GET", address) as answer,
        ):
            if answer.raise_for_status().status_code == httpx.codes.PARTIAL_CONTENT:
                raise ReplyError("the server gave a part of it (206), which was not asked for")
            source = _source(answer)
            path = folder / safe_name(source)
            most = self._limits.max_file_bytes
            with await asyncio.to_thread(path.open, "wb") as file:
                async for piece in async_pieces(answer, most):
                    await asyncio.to_thread(file.write, piece)
        return Found(path, source, _origin(address))

    def _refusal(self, host: str, number: Number) -> str:
        if host.lower() in self._hosts or any(
            host.lower().endswith(pattern[1:]) for pattern in self._hosts if pattern[:2] == "*."
        ):
            return not_link_local(host, number)
        if "*" in self._hosts:
            return public(host, number)
        return f"{host[:200]} is not among the hosts that documents come from (ingest.hosts)"


def _origin(address: str) -> str:
    """An address as it is always written: a small host, no usual port, and a path."""
    url = httpx.URL(address)
    return str(url.copy_with(raw_path=url.raw_path))


def _source(answer: httpx.Response) -> str:
    """What the document is called: host, path and query, with an ending that tells its format."""
    path = PurePosixPath(unquote(answer.url.path))
    *folders, last = (safe_name(part) for part in (answer.url.host, *path.parts) if part != "/")
    ending = path.suffix if path.suffix.lower() in BY_ENDING else ""
    stem = last.removesuffix(ending)
    return "/".join([*folders, f"{stem}{_query(answer.url)}{ending or _ending(answer)}"])


def _query(url: httpx.URL) -> str:
    """A query as a part of a name. One that is long tells people nothing, and may be a key."""
    query = _SEPARATORS.sub("-", unquote(url.query.decode()))
    if not query or len(query) > _LONGEST_QUERY:
        return ""
    return f" ({safe_name(query)})"


def _ending(answer: httpx.Response) -> str:
    """The ending of the type that a server tells."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    ending = mimetypes.guess_extension(kind) or ""
    if ending not in BY_ENDING:
        raise ApplicationError(
            f"{answer.url} is of a kind that is not read",
            cause=f"its type is {kind[:100]}" if kind else "the server tells no type",
        )
    return ending
