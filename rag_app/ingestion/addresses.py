"""Addresses of servers that a person, or another server, names: none leads where it should not.

A host is looked up once for a request, what was found is checked, and the request goes to just
that: what a name server says the next time leads nowhere else (DNS rebinding).
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import httpx

from rag_app.errors import ApplicationError

Number = ipaddress.IPv4Address | ipaddress.IPv6Address
Rule = Callable[[str, Number], str]
"""Why a host of that number is not asked; empty where it is."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_GIVEN_OUT: Final = (ipaddress.IPv6Network("2000::/3"), _NAT64)
"""Where numbers of the internet lie; outside are deprecated forms, and what is not given out."""
_ENDING_IN_IPV4: Final = (
    _NAT64,
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # NAT64 of a private network
    ipaddress.IPv6Network("::/96"),  # IPv4-compatible
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated
)
_RESERVED: Final = (
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4
    ipaddress.ip_network("3fff::/20"),  # for examples
)
"""What Python takes for public, at least in some versions."""


def parts_of(address: str, *, hint: str) -> SplitResult:
    """An address of http or https in its parts. Raises ApplicationError for what is none."""
    try:
        parts = urlsplit(address)
        if parts.username is not None or parts.password is not None:
            raise ApplicationError("an address holds no log-in", hint=hint)
        reason = _fault(address, parts)
    except (ValueError, httpx.InvalidURL) as error:
        reason = str(error)
    if reason:
        named = repr(address[:200])
        raise ApplicationError(f"{named} is no address of a server", cause=reason, hint=hint)
    return parts


def _fault(address: str, parts: SplitResult) -> str:
    """Why nobody is asked at an address. Raises ValueError or InvalidURL where it is malformed."""
    if parts.scheme not in {"http", "https"}:
        return "it does not begin with http:// or https://"
    if not parts.hostname:
        return "it names no host"
    if _UNPRINTABLE.search(address):
        return "it holds spaces or control characters"
    if parts.port == 0:
        return "nothing listens at port 0"
    # who sends the request reads the host in its own way
    return "" if httpx.URL(address).host else "it names no host"


def not_link_local(_: str, number: Number) -> str:
    """The rule for servers of models: they are often near, but never there."""
    # there, machines of a cloud are told their secrets
    near = any(each.is_link_local for each in _meant(number))
    return "link-local addresses are not asked" if near else ""


def public(host: str, number: Number) -> str:
    """The rule for hosts that anybody may name: those of the whole internet."""
    if all(_is_public(each) for each in _meant(number)):
        return ""
    return f"{host[:200]} is in a private network"


def _is_public(number: Number) -> bool:
    if not number.is_global or number.is_multicast or any(number in one for one in _RESERVED):
        return False
    return number.version == 4 or any(number in one for one in _GIVEN_OUT)


def _meant(number: Number) -> Iterator[Number]:
    """A number, and those of the older internet that it stands for."""
    yield number
    if isinstance(number, ipaddress.IPv6Address):
        embedded = [number.ipv4_mapped, number.sixtofour, *(number.teredo or ())]
        if any(number in network for network in _ENDING_IN_IPV4):
            embedded.append(ipaddress.IPv4Address(int(number) & 0xFFFFFFFF))
        yield from (each for each in embedded if each is not None)


async def look_up(host: str, port: int, rule: Rule) -> str:
    """The number of a host, all of whose numbers the rule allows.

    Raises:
        ApplicationError: the rule refuses one, or the host is not known.
    """
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ApplicationError(
            f"the host {host[:200]} is not known", cause=str(error), hint="Check the address"
        ) from None
    numbers = [str(place[0]).partition("%")[0] for *_, place in found]
    for number in numbers:
        # one that is written as four numbers of another one is that one
        parsed = ipaddress.ip_address(number)
        if refusal := rule(host, getattr(parsed, "ipv4_mapped", None) or parsed):
            raise ApplicationError(refusal, hint="Check the address")
    return numbers[0]


class CheckedTransport(httpx.AsyncBaseTransport):
    """Sends requests to the numbers that a rule allows, redirected ones too.

    Args:
        rule: says which.
        transport: sends them.
    """

    def __init__(self, rule: Rule, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._rule = rule
        # none is kept for another host of the same number, whose certificate it has not shown
        once = httpx.Limits(max_keepalive_connections=0)
        self._transport = transport or httpx.AsyncHTTPTransport(trust_env=False, limits=once)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises ApplicationError where the rule refuses its host."""
        url = request.url
        if not (usual := _PORTS.get(url.scheme)):  # a redirection
            raise httpx.UnsupportedProtocol(f"{url.scheme}: is not asked")
        port = usual if url.port is None else url.port
        if not 0 < port <= _LAST_PORT:
            raise httpx.UnsupportedProtocol(f"there is no port {port}")
        number = await look_up(url.host, port, self._rule)
        # the certificate has to be that of the name, and the server is told the name
        extensions: dict[str, Any] = {**request.extensions, "sni_hostname": url.host}
        pinned = httpx.Request(
            request.method,
            url.copy_with(host=number),
            headers=request.headers,
            stream=request.stream,
            extensions=extensions,
        )
        return await self._transport.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65535
