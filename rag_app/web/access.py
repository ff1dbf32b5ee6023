"""Who may read and who may change: a token, a password, or a browser's signed cookie.

The reasons for this design stand in docs/decisions/0015-who-may-change.md.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import math
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.requests import HTTPConnection

from rag_app.chats import EVERYONE
from rag_app.keys import PREFIX, Key, Keys

COOKIE_DAYS: Final = 30
_LOGGER: Final = logging.getLogger(__name__)


class Access:
    """The secrets of one application, and the checks that go by them.

    Args:
        token: of this user's own commands, from the storage folder; empty where there is none.
        user: name that goes with the password.
        password: opens everything; empty lets everyone who reaches the server read.
        secret: what browsers' cookies are signed with; a new one signs out every browser.
        throttle: slows down wrong passwords.
        keys: of other programs, if there are any.
    """

    def __init__(
        self,
        token: str = "",
        user: str = "",
        password: str = "",
        secret: bytes = b"",
        throttle: "Throttle | None" = None,
        keys: Keys | None = None,
    ) -> None:
        self.token, self.user, self.password = token, user, password
        # another password ends the sessions that the old one began
        self._secret = _digest(secret or secrets.token_bytes(32), user, password)
        self._throttle = throttle or Throttle()
        self._keys = keys

    @property
    def key(self) -> str:
        """What the printed address carries where no password is set: it makes a browser known."""
        return "" if self.password else _digest(self._secret, "key").hex()[:32]

    @property
    def cookie(self) -> str:
        """The cookie's name: differs between applications, as cookies do not between ports."""
        return f"rag-app-{_digest(self._secret, 'name').hex()[:8]}"

    def may_read(self, connection: HTTPConnection) -> bool:
        """Whether it may see collections and ask."""
        known = not self.password or self.api_key(connection) is not None
        return known or self.may_change(connection)

    def may_change(self, connection: HTTPConnection) -> bool:
        """Whether it carries the token, the password or a cookie that was given by `new_visitor`,
        or an API key with the right to write.

        Token and password may be a bearer's; clients of OpenAI's API send the key they know so.
        """
        if key := self.api_key(connection):
            return key.rights == "write"
        return bool(self.visitor(connection)) or self._authorized(connection)

    def api_key(self, connection: HTTPConnection) -> Key | None:
        """The valid API key that it carries."""
        scheme, _, value = connection.headers.get("Authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer" and value.startswith(PREFIX)
        return self._keys.find(value) if bearer and self._keys else None

    def may_use(self, connection: HTTPConnection, collection: str) -> bool:
        """Whether an API key that it carries, if any, reaches a collection."""
        key = self.api_key(connection)
        return key is None or key.reaches(collection)

    def visitor(self, connection: HTTPConnection) -> str:
        """Who the browser is: 32 hexadecimal digits, or empty without a valid cookie."""
        name, _, rest = connection.cookies.get(self.cookie, "").partition(".")
        issued, _, signature = rest.partition(".")
        if not _same(signature, self._signature(name, issued)):
            return ""
        return name if time.time() - int(issued) < COOKIE_DAYS * 86_400 else ""

    def owner(self, connection: HTTPConnection) -> str:
        """Whose conversations it may reach: a browser its own, a command of this user's everyone's.

        All who send the password itself share theirs. Empty for who may only look.
        """
        if self._is_command(connection):
            return EVERYONE
        if key := self.api_key(connection):
            return f"key {key.id}"
        if visitor := self.visitor(connection):
            return visitor
        return f"user {self.user}" if self._authorized(connection) else ""

    def new_visitor(self, name: str = "") -> str:
        """The cookie's value for a browser that has shown the key or the password.

        `name` is that of a browser which was known before, and whose uploads stay its own.
        """
        name, issued = name or secrets.token_hex(16), str(int(time.time()))
        return f"{name}.{issued}.{self._signature(name, issued)}"

    def knows_key(self, key: str) -> bool:
        """Whether this is the key of the printed address."""
        return bool(self.key) and _same(key, self.key)

    def wait(self, connection: HTTPConnection) -> float:
        """Seconds for which passwords from there are refused, after too many wrong ones."""
        return self._throttle.wait(_peer(connection))

    def log_in(self, connection: HTTPConnection, user: str, password: str) -> bool:
        """Whether user and password are right; wrong ones are logged, and slow down the next."""
        if not self.password or self.wait(connection):
            return False
        right = _same(user, self.user) & _same(password, self.password)
        self._note(connection, right)
        return right

    def _is_command(self, connection: HTTPConnection) -> bool:
        scheme, _, value = connection.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and bool(self.token) and _same(value, self.token)

    def _authorized(self, connection: HTTPConnection) -> bool:
        if self._is_command(connection):
            return True
        scheme, _, value = connection.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return bool(value) and self.log_in(
                connection, self.user, _text(value.encode("latin-1"))
            )
        if scheme.lower() == "basic":
            user, _, password = _text(_decoded(value)).partition(":")
            return self.log_in(connection, user, password)
        return False

    def _note(self, connection: HTTPConnection, right: bool) -> None:
        peer = _peer(connection)
        if right:
            self._throttle.forgive(peer)
            return
        self._throttle.blame(peer)
        _LOGGER.warning("wrong password from %s", peer)

    def _signature(self, name: str, issued: str) -> str:
        return _digest(self._secret, "visitor", name, issued).hex()


class Throttle:
    """Counts failures by address: the first few are free, then each doubles the time to wait.

    Args:
        free: failures without consequence.
        longest: most seconds to wait.
        clock: tells seconds.
    """

    _MOST = 10_000

    def __init__(
        self, free: int = 10, longest: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free, self._longest, self._clock = free, longest, clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, peer: str) -> float:
        """Seconds until it may try again; 0 when it may now."""
        count, last = self._failures.get(peer, (0, 0.0))
        if count < self._free:
            return 0.0
        pause = min(self._longest, math.ldexp(1.0, min(count - self._free, 30)))
        return max(0.0, last + pause - self._clock())

    def blame(self, peer: str) -> None:
        """Count a failure."""
        count = self._failures.pop(peer, (0, 0.0))[0]
        self._failures[peer] = count + 1, self._clock()
        while len(self._failures) > self._MOST:
            self._failures.popitem(last=False)

    def forgive(self, peer: str) -> None:
        """Forget its failures."""
        self._failures.pop(peer, None)


def stored_secret(folder: Path) -> bytes:
    """The secret that lies in a storage folder, made at the first start; only its owner reads it.

    It is kept so that browsers stay known when the application starts again.
    """
    import fcntl  # which not every system has

    path = folder / "browser.key"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another process may start at this moment, too
        os.fchmod(file.fileno(), 0o600)
        secret = file.read(32)
        if len(secret) < 32:
            secret = secrets.token_bytes(32)
            file.seek(0)
            file.write(secret)
    return secret


def _digest(secret: bytes, *parts: str) -> bytes:
    message = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.digest(secret, message, hashlib.sha256)


def _same(given: str, expected: str) -> bool:
    """Compare in a time that tells neither content nor length."""
    key = b"rag-app"
    encoded = (part.encode("utf-8", "surrogateescape") for part in (given, expected))
    return hmac.compare_digest(*(hmac.digest(key, part, hashlib.sha256) for part in encoded))


def _peer(connection: HTTPConnection) -> str:
    """Who calls: an address, or of IPv6 the network, of which one person has all addresses."""
    host = connection.client.host if connection.client else "unknown"
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
