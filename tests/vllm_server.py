"""The real vLLM server on this machine's CPU, for tests of what is said to it.

``make vllm`` builds the environment it runs in; RAG_APP_VLLM_VENV names another.
"""

import asyncio
import contextlib
import gc
import os
import platform
import re
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

_VENV = Path(
    os.environ.get("RAG_APP_VLLM_VENV") or Path(__file__).resolve().parent.parent / ".venv-vllm"
)
_ON_THIS_MACHINE = [
    *("--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"),
    *("--kv-cache-memory-bytes", "67108864"),  # the default wants most of the memory
]
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TORCH_COMPILE_DISABLE": "1",  # else the first request may wait for a C++ compiler
    "VLLM_HOST_IP": "127.0.0.1",
    # One core for the model's arithmetic leaves the others to the server's own process, which must
    # hear that a client has gone.
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
_START_SECONDS, _STOP_SECONDS = 240, 20


@dataclass(frozen=True)
class VllmServer:
    """A running server.

    Attributes:
        url: its address, without ``/v1``.
        log: what it has written.
    """

    url: str
    log: Path

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a request that must succeed; a failure shows the server's log."""
        response = httpx.post(self.url + path, json=body, timeout=120)
        assert response.status_code == 200, f"{response.text}\n{self.tail()}"
        return response.json()

    def tail(self, lines: int = 60) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


class Metrics:
    """What the server says of itself."""

    def __init__(self, server: VllmServer, client: httpx.Client) -> None:
        self._server, self._client = server, client

    def read(self, name: str) -> float:
        told = self._client.get(f"{self._server.url}/metrics").text
        values = re.findall(rf"(?m)^vllm:{name}\{{.*\}} (\S+)$", told)
        assert values, told
        return sum(map(float, values))

    async def assert_freed(self, leave: Callable[[], Awaitable[None]], tokens: int) -> None:
        """Fail if the server always writes to its end an answer that was left half-way.

        The loop of an engine with a tiny model may starve the thread that hears its clients, for
        thousands of tokens: of eight answers one must end early.

        Args:
            leave: asks for an answer, and leaves it.
            tokens: how long each is.
        """
        for _ in range(8):
            before = self.read("generation_tokens_total")
            gc.disable()  # the connection must not wait for the collector
            try:
                await leave()
                await asyncio.to_thread(self._wait_until_free, 60.0)
            finally:
                gc.enable()
            if self.read("generation_tokens_total") - before < tokens:
                return
        raise AssertionError("every answer was written to its end")

    def _wait_until_free(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.read("num_requests_running"):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def python() -> str:
    """The interpreter of the environment with vLLM; skips the test where there is none."""
    interpreter = _VENV / "bin" / "python"
    if not interpreter.exists():
        built = (platform.system(), platform.machine()) == ("Linux", "x86_64")
        pytest.skip(
            f"{_VENV} is absent: run make vllm" if built else "optional: no vLLM for CPUs here"
        )
    return str(interpreter)


@contextlib.contextmanager
def vllm_server(
    argv: Sequence[str], folder: Path, *, plugins: Sequence[str] = ()
) -> Iterator[VllmServer]:
    """Start a server, wait until it is healthy, and stop it with all its processes.

    Args:
        argv: ``vllm serve MODEL --flags``, for instance of `retrieval.encoders.remote.serving`.
            Flags that suit a small machine are added, and a free port.
        folder: where the log is written.
        plugins: names of the plugins that vLLM loads, and no others.

    Raises:
        AssertionError: the server did not start; the message has the end of its log.
    """
    interpreter = python()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = VllmServer(f"http://127.0.0.1:{port}", folder / f"vllm-{port}.log")
    environment = {**os.environ, **_ENVIRONMENT, "VLLM_PLUGINS": ",".join(plugins)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a start without bytecode takes twice as long
    _, _, model, *flags = argv
    # `vllm serve` looks for the version of a package `vllm`, and this build is called `vllm-cpu`.
    command = [interpreter, "-m", "vllm.entrypoints.openai.api_server"]
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--model", model, *flags, *_ON_THIS_MACHINE, "--port", str(port)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_healthy(server, process)
        yield server
    finally:
        _stop(process)


def _wait_until_healthy(server: VllmServer, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        assert process.poll() is None, f"vLLM stopped at its start\n{server.tail()}"
        assert time.monotonic() < deadline, f"vLLM does not start\n{server.tail()}"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/health", timeout=5).status_code == 200:
                return
        time.sleep(0.2)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to the server, which stops its own processes; what is left after it is killed."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
