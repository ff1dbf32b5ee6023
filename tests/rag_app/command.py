"""The command `rag-app` as a process of its own, without any network.

It is forked from a process that has the modules of commands and of the page: importing them takes
longer than most commands do. What a start costs, and that it works, tests see that use `MAIN`.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
MAIN = [sys.executable, "-c", "from rag_app.cli import main; main()"]
NETWORK_USED = 99
_BLOCK = Path(__file__).parent / "no_network"
_IMPORTED = [
    "rag_app.commands.program", "rag_app.assembly.application", "eval.commands", "torch",
    "transformers", "sentence_transformers", "onnxruntime", "llama_index.llms.openai_like",
    "ui.app",
]  # fmt: skip


def environment(storage: Path, network: bool = False, **more: str) -> dict[str, str]:
    """Nothing of this process's settings and keys; with `network` False any connection kills."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAG_APP_", "OPENAI", "HF_", "PYTHONPATH"))
    }
    path = [str(REPOSITORY)] if network else [str(_BLOCK), str(REPOSITORY)]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONWARNINGS": "default",
        "RAG_APP_STORAGE__PATH": str(storage),
        "COLUMNS": "200",
        **more,
    }


def rag_app(
    *arguments: str | Path,
    storage: Path,
    cwd: Path | None = None,
    timeout: float = 300,
    **more: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must never show a traceback or touch the network."""
    words = list(map(str, arguments))
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch, "out"), Path(scratch, "err")
        process = Command(words, environment(storage, **more), out, err, cwd)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise subprocess.TimeoutExpired(
                words, timeout, out.read_bytes(), err.read_bytes()
            ) from None
        done = subprocess.CompletedProcess(
            words, process.returncode, out.read_text("utf-8"), err.read_text("utf-8")
        )
    require_clean(done.returncode, done.stderr)
    return done


class Command:
    """A command at work, forked; its attributes and methods are those of `subprocess.Popen`.

    Args:
        arguments: what follows `rag-app`.
        env: its environment.
        out: the file, or the end of a pipe, that its standard output goes to; so for `err`.
        cwd: its folder; this process's without.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        env: dict[str, str],
        out: Path | Connection,
        err: Path | Connection,
        cwd: Path | None = None,
    ) -> None:
        for end in (out, err):
            if isinstance(end, Path):
                end.touch()  # is there however early it is killed
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(_IMPORTED)
        self.args = list(arguments)
        self._process = forks.Process(
            target=_run, args=(self.args, env, cwd or Path.cwd(), out, err)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(
    arguments: list[str],
    env: dict[str, str],
    cwd: Path,
    out: Path | Connection,
    err: Path | Connection,
) -> None:
    """In the forked process: be what a started one would be."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    tempfile.tempdir = None  # may have been looked up in the environment that was
    for number, end in ((1, out), (2, err)):
        to_file = isinstance(end, Path)
        os.dup2(os.open(end, os.O_WRONLY | os.O_CREAT, 0o600) if to_file else end.fileno(), number)
    if action := env.get("PYTHONWARNINGS"):
        warnings.simplefilter(action)  # type: ignore[arg-type]  # one of its actions
    if str(_BLOCK) in env.get("PYTHONPATH", ""):
        runpy.run_path(str(_BLOCK / "sitecustomize.py"))
    sys.modules["__main__"] = ModuleType("__main__")  # processes that it starts import no pytest
    sys.argv = ["rag-app", *arguments]
    from rag_app.cli import main

    main()


def require_clean(status: int, stderr: str) -> None:
    assert status != NETWORK_USED, stderr
    assert "Traceback" not in stderr, stderr
    assert "Warning" not in stderr, stderr
