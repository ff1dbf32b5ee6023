"""The real command `rag-app serve` (or `ui`) as a process, for tests."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path

import httpx

from tests.rag_app.command import MAIN, Command

READY = re.compile(r"rag-app is ready at (http://\S+)")
_OPEN = re.compile(r"Open (http://\S+) in a browser")
PASSWORD = "RAG_APP_SERVER__PASSWORD"
_PATIENCE = 180.0


def environment(storage: Path, **settings: str) -> dict[str, str]:
    """This process's environment without settings of its own, and with those given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAG_APP_")}
    return {**clean, "RAG_APP_STORAGE__PATH": str(storage), **settings}


class RunningApp:
    """A started application; `address` is known once it has said that it is ready.

    Args:
        storage: its folder.
        arguments: the command and its options.
        fresh: whether Python itself is started, instead of a fork of one that has the modules.
        settings: its environment.

    Attributes:
        page: the address for a person's browser, which may change things once it has been there.
    """

    def __init__(
        self, storage: Path, arguments: Sequence[str], *, fresh: bool = False, **settings: str
    ) -> None:
        self.storage = storage
        self.lines: list[str] = []
        self._settings = settings
        self.address = self.page = ""
        self._ready = threading.Event()
        reader, writer = Pipe(duplex=False)
        self._stderr = os.fdopen(os.dup(reader.fileno()), encoding="utf-8", errors="replace")
        env = environment(storage, **settings)
        self.process: Command | subprocess.Popen[bytes]
        if fresh:
            self.process = subprocess.Popen(
                [*MAIN, *arguments], env=env, stdout=subprocess.DEVNULL, stderr=writer.fileno()
            )
        else:
            self.process = Command(arguments, env, Path(os.devnull), writer)
        reader.close()
        writer.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(_PATIENCE) or not self.address:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"the application did not get ready: {self.lines}")

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """A client that has opened the printed page, as a browser does."""
        with httpx.Client(base_url=self.address, trust_env=False, timeout=60) as client:
            client.get(self.page)
            yield client

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Send a signal; returns the seconds until the process was gone."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(30)  # answers under way are finished
        finally:
            self.process.kill()
            self._reader.join(5)
            self._stderr.close()
        return time.monotonic() - start

    def _read(self) -> None:
        for line in self._stderr:
            self.lines.append(line)
            if found := READY.search(line):
                self.address = self.page = found[1]
                if PASSWORD in self._settings:
                    self._ready.set()
            elif found := _OPEN.search(line):
                self.page = found[1]
                self._ready.set()
        self._ready.set()
