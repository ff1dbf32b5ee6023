"""Who a request comes from: a command's token, a password, an API key, or a browser's cookie.

What each may do stands in `rag_app.accounts.rights`; the reasons for this design in
docs/decisions/0015-who-may-change.md and 0020-people-and-rights.md.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import math
import os
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from starlette.requests import HTTPConnection

from data.recent import Recent
from rag_app.accounts.keys import BROWSER_KEY, Keys, is_key
from rag_app.accounts.rights import NOBODY, OPERATOR, ROLES, Person
from rag_app.accounts.users import SESSION_SECONDS, User, Users

_PERSON: Final = "rag_app.person"
"""Where a request's scope keeps who sends it."""
_VISITOR: Final = re.compile(r"[0-9a-f]{32}")
_ANYONE: Final = Person("", "reader", reads_only=True)
"""Whoever reaches the server where nobody has to log in."""
_READERS, _CHECKS = 4, 2
"""Threads that find out who sends requests, and that check passwords."""
_FREE_BY_NAME: Final = 20
"""Wrong passwords of one name that have no consequence, wherever they come from."""
_LOGGER: Final = logging.getLogger(__name__)


class Access:
    """The secrets of one application, and who a request comes from by them.

    Args:
        token: of this user's own commands, from the storage folder; empty where there is none.
        user: name that goes with the password.
        password: an admin's; empty lets everyone who reaches the server read, without users.
        secret: what browsers' cookies are signed with; a new one signs out every browser.
        throttle: slows down wrong passwords.
        keys: of other programs, if there are any.
        users: the people, if there are any.
        must_log_in: whether everybody has to log in, even if there is no user any longer.
    """

    def __init__(
        self,
        token: str = "",
        user: str = "",
        password: str = "",
        secret: bytes = b"",
        throttle: "Throttle | None" = None,
        keys: Keys | None = None,
        users: Users | None = None,
        must_log_in: bool = False,
    ) -> None:
        self.token, self.user, self.password = token, user, password
        # another password ends the sessions that the old one began
        self._secret = _digest(secret or secrets.token_bytes(32), user, password)
        self._throttle, self._by_name = throttle or Throttle(), Throttle(_FREE_BY_NAME)
        self._keys, self.users, self._must_log_in = keys, users, must_log_in
        self._reading = ThreadPoolExecutor(_READERS, thread_name_prefix="access")
        self._checking = ThreadPoolExecutor(_CHECKS, thread_name_prefix="password")

    def closed(self) -> bool:
        """Whether one has to log in."""
        return self._must_log_in or bool(self.password) or self._has_users()

    @property
    def key(self) -> str:
        """What the printed address carries where nobody logs in: it makes a browser known."""
        return "" if self.closed() else _digest(self._secret, "key").hex()[:32]

    @property
    def cookie(self) -> str:
        """The cookie's name: differs between applications, as cookies do not between ports."""
        return f"rag-app-{_digest(self._secret, 'name').hex()[:8]}"

    # --- who it is ---------------------------------------------------------------------------

    async def identify(self, connection: HTTPConnection) -> Person:
        """See `person`; reads files and checks passwords in other threads."""
        scheme, value = _authorization(connection)
        pool = self._checking if scheme == "basic" else self._reading
        if (self.users and self.users.begun) or is_key(value):
            return await asyncio.get_running_loop().run_in_executor(pool, self.person, connection)
        return self.person(connection)

    def person(self, connection: HTTPConnection) -> Person:
        """Who sends a request, found out once for each.

        The token and the password may be a bearer's; clients of OpenAI's API send the key they know
        so. Raises ApplicationError where users or keys cannot be read.
        """
        known = connection.scope.get(_PERSON)
        if known is None:
            known = connection.scope[_PERSON] = self._found(connection)
        assert isinstance(known, Person)  # noqa: S101 - nothing else is put there
        return known

    def _found(self, connection: HTTPConnection) -> Person:
        scheme, value = _authorization(connection)
        if scheme == "bearer" and self.token and _same(value, self.token):
            return OPERATOR
        if scheme == "bearer" and is_key(value):
            return self._of_key(value) or self._stranger()
        if found := self._of_cookie(connection):
            return found
        name, password = self.user, ""
        if scheme == "basic":
            name, _, password = _text(_decoded(value)).partition(":")
        elif scheme == "bearer" and self.password:
            password = _text(value.encode("latin-1"))
        found = self.log_in(connection, name, password) if password else None
        return found or self._stranger()

    def _stranger(self) -> Person:
        return NOBODY if self.closed() else _ANYONE

    def _of_key(self, text: str) -> Person | None:
        key = self._keys.find(text) if self._keys else None
        if key is None:
            return None
        owner, role, name = f"key {key.id}", ROLES[-1], ""
        if key.owner:
            user = self.users.find(key.owner) if self.users else None
            if user is None:  # the user is gone
                return None
            owner, role, name = user.id, user.role, user.name
        return Person(owner, role, name, key.rights == "read", True, key.collections)

    def _of_cookie(self, connection: HTTPConnection) -> Person | None:
        value = connection.cookies.get(self.cookie, "")
        if value and "." not in value:
            user = self.users.of_session(value) if self.users else None
            return _person(user) if user else None
        browser = self._browser(connection)
        # where users log in, the printed address has made nobody known
        valid = browser and (self.password or not self.closed())
        return Person(browser, ROLES[-1]) if valid else None

    def _browser(self, connection: HTTPConnection) -> str:
        """The name in a valid cookie that was given by `new_visitor`; empty without one."""
        name, _, rest = connection.cookies.get(self.cookie, "").partition(".")
        issued, _, signature = rest.partition(".")
        if not _same(signature, self._signature(name, issued)):
            return ""
        return name if time.time() - int(issued) < SESSION_SECONDS else ""

    def sees_all(self, connection: HTTPConnection) -> bool:
        """Whether there is nothing that it may not read: no collection of another, no address."""
        person = self.person(connection)
        admin = person.role == ROLES[-1] and not person.collections
        return admin or (person.may("read") and not person.collections and not self._has_users())

    def may_change(self, connection: HTTPConnection) -> bool:
        """Whether it may add documents, somewhere at least."""
        return self.person(connection).may("write")

    def visitor(self, connection: HTTPConnection) -> str:
        """Which browser or user it is: 32 hexadecimal digits, or empty for all others."""
        name = self.person(connection).id
        return name if _VISITOR.fullmatch(name) else ""

    # --- how one becomes known ---------------------------------------------------------------

    def new_cookie(self, connection: HTTPConnection, person: Person | None = None) -> str:
        """The cookie's value for a browser that has shown the key or a password.

        A browser that was known before stays the same, and its uploads its own.
        """
        if person and person.name and self.users:
            return self.users.begin_session(person.id)
        return self.new_visitor(self._browser(connection))

    def new_visitor(self, name: str = "") -> str:
        """The signed cookie of a browser, of one that is new or has this name."""
        name, issued = name or secrets.token_hex(16), str(int(time.time()))
        return f"{name}.{issued}.{self._signature(name, issued)}"

    def knows_key(self, key: str) -> bool:
        """Whether this is the key of the printed address."""
        return bool(self.key) and _same(key, self.key)

    def wait(self, connection: HTTPConnection, user: str = "") -> float:
        """Seconds for which passwords from there, and of that user, are refused: after too many
        wrong ones.
        """
        of_user = self._by_name.wait(_folded(user)) if user else 0.0
        return max(self._throttle.wait(_peer(connection)), of_user)

    async def check_password(
        self, connection: HTTPConnection, user: str, password: str
    ) -> Person | None:
        """See `log_in`; a few at a time, since each takes 64 MiB of memory."""
        work = partial(self.log_in, connection, user, password)
        return await asyncio.get_running_loop().run_in_executor(self._checking, work)

    def log_in(self, connection: HTTPConnection, user: str, password: str) -> Person | None:
        """Whose name and password these are; wrong ones are logged, and slow down the next."""
        users = self.users if self._has_users() else None
        if not (users or self.password) or self.wait(connection, user):
            return None
        found = None
        if users and (one := users.verify(user, password)):
            found = _person(one)
        if self.password and _same(user, self.user) & _same(password, self.password):
            found = Person(f"user {self.user}", ROLES[-1])
        self._note(_peer(connection), _folded(user) if users else "", found is not None)
        return found

    def log_out(self, connection: HTTPConnection) -> None:
        """End the session of its cookie."""
        value = connection.cookies.get(self.cookie, "")
        if self.users and value and "." not in value:
            self.users.end_session(value)

    def _has_users(self) -> bool:
        return self.users is not None and self.users.exist()

    def _note(self, peer: str, name: str, right: bool) -> None:
        counted = [(self._throttle, peer)] + ([(self._by_name, name)] if name else [])
        for throttle, of in counted:
            (throttle.forgive if right else throttle.blame)(of)
        if not right:  # without the name: people type their password there
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
        self._failures: Recent[str, tuple[int, float]] = Recent(self._MOST)

    def wait(self, peer: str) -> float:
        """Seconds until it may try again; 0 when it may now."""
        count, last = self._failures.get(peer, (0, 0.0))
        if count < self._free:
            return 0.0
        pause = min(self._longest, math.ldexp(1.0, min(count - self._free, 30)))
        return max(0.0, last + pause - self._clock())

    def blame(self, peer: str) -> None:
        """Count a failure."""
        count = self._failures.get(peer, (0, 0.0))[0]
        self._failures[peer] = count + 1, self._clock()

    def forgive(self, peer: str) -> None:
        """Forget its failures."""
        self._failures.pop(peer, None)


def stored_secret(folder: Path) -> bytes:
    """The secret that lies in a storage folder, made at the first start; only its owner reads it.

    It is kept so that browsers stay known when the application starts again.
    """
    import fcntl  # which not every system has

    path = folder / BROWSER_KEY
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


def _authorization(connection: HTTPConnection) -> tuple[str, str]:
    scheme, _, value = connection.headers.get("Authorization", "").partition(" ")
    return scheme.lower(), value


def _person(user: User) -> Person:
    return Person(user.id, user.role, user.name)


def _folded(name: str) -> str:
    """A name of any length, for counting."""
    return _digest(b"name", name.casefold()).hex()


def _digest(secret: bytes, *parts: str) -> bytes:
    message = b"".join(
        len(part).to_bytes(4, "big") + part.encode("utf-8", "surrogatepass") for part in parts
    )
    return hmac.digest(secret, message, hashlib.sha256)


def _same(given: str, expected: str) -> bool:
    """Compare in a time that tells neither content nor length."""
    key = b"rag-app"
    encoded = (part.encode("utf-8", "surrogatepass") for part in (given, expected))
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
