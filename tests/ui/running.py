"""The real command `rag-app serve` (or `ui`) as a process, for tests."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

READY = re.compile(r"rag-app is ready at (http://\S+)")
_OPEN = re.compile(r"Open (http://\S+) in a browser")
PASSWORD = "RAG_APP_SERVER__PASSWORD"
_PATIENCE = 180.0


def environment(storage: Path, **settings: str) -> dict[str, str]:
    """This process's environment without settings of its own, and with those given."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAG_APP_")}
    return {**clean, "RAG_APP_STORAGE__PATH": str(storage), **settings}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from rag_app.cli import main; main()", *arguments]


def run(storage: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(storage, **settings),
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )


class RunningApp:
    """A started application; `address` is known once it has said that it is ready.

    Attributes:
        page: the address for a person's browser, which may change things once it has been there.
        seconds: from the start of the process to its ready line.
    """

    def __init__(self, storage: Path, arguments: Sequence[str], **settings: str) -> None:
        self.storage = storage
        self.lines: list[str] = []
        self._settings = settings
        self.address = self.page = ""
        self._ready = threading.Event()
        start = time.monotonic()
        self.process = subprocess.Popen(
            command(*arguments),
            env=environment(storage, **settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(_PATIENCE) or not self.address:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"the application did not get ready: {self.lines}")
        self.seconds = time.monotonic() - start

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
            assert self.process.stderr
            self.process.stderr.close()
        return time.monotonic() - start

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if found := READY.search(line):
                self.address = self.page = found[1]
                if PASSWORD in self._settings:
                    self._ready.set()
            elif found := _OPEN.search(line):
                self.page = found[1]
                self._ready.set()
        self._ready.set()
