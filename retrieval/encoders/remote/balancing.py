"""Several servers of one model: requests go to the least busy one, and around those that fail."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

_REST = 10.0
"""Seconds for which a server that failed is asked only where no other is left."""


@dataclass
class _Server:
    url: httpx.URL
    under_way: int = 0
    rests_until: float = 0.0


class Balancer:
    """Chooses a server for each request; may be shared by threads.

    Args:
        urls: their addresses, at least one, in the order in which idle ones are taken.
        clock: seconds that only grow.
    """

    def __init__(
        self, urls: Sequence[httpx.URL], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._servers = [_Server(url) for url in urls]
        self._clock, self._lock = clock, threading.Lock()

    def __len__(self) -> int:
        """How many servers there are."""
        return len(self._servers)

    @property
    def others_left(self) -> bool:
        """Whether a server is there that has not failed lately."""
        return any(one.rests_until <= self._clock() for one in self._servers)

    @contextmanager
    def chosen(self, fails: Callable[[BaseException], bool]) -> Iterator[httpx.URL]:
        """The address for one request, which lasts as long as the context.

        Args:
            fails: whether an error of the request tells that the server should be left alone.
        """
        with self._lock:
            now = self._clock()
            server = min(
                self._servers, key=lambda one: (max(one.rests_until - now, 0.0), one.under_way)
            )
            server.under_way += 1
        try:
            yield server.url
        except BaseException as error:  # whatever it is, `fails` looks at it and it goes on
            if fails(error):
                server.rests_until = self._clock() + _REST
            raise
        else:
            server.rests_until = 0.0
        finally:
            with self._lock:
                server.under_way -= 1
