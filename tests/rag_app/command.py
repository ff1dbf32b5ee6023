"""The command `rag-app` as a process of its own, without any network.

It is forked from a process that has the modules of commands already: importing them takes longer
than most commands do. What a start costs, and that it works, tests see that use `MAIN`.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
MAIN = [sys.executable, "-c", "from rag_app.cli import main; main()"]
NETWORK_USED = 99
_BLOCK = Path(__file__).parent / "no_network"
_IMPORTED = [
    "rag_app.cli", "rag_app.assembly.application", "eval.commands", "torch", "transformers",
    "sentence_transformers", "onnxruntime", "llama_index.llms.openai_like",
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
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(_IMPORTED)
    words = list(map(str, arguments))
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch, "out"), Path(scratch, "err")
        process = forks.Process(
            target=_run, args=(words, environment(storage, **more), cwd or Path.cwd(), out, err)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout, out.read_bytes(), err.read_bytes())
        done = subprocess.CompletedProcess(
            words, process.exitcode, out.read_text("utf-8"), err.read_text("utf-8")
        )
    require_clean(done.returncode, done.stderr)
    return done


def _run(arguments: list[str], env: dict[str, str], cwd: Path, out: Path, err: Path) -> None:
    """In the forked process: be what a started one would be."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), number)
    warnings.simplefilter(env["PYTHONWARNINGS"])  # type: ignore[arg-type]  # one of its actions
    if str(_BLOCK) in env["PYTHONPATH"]:
        runpy.run_path(str(_BLOCK / "sitecustomize.py"))
    sys.modules["__main__"] = ModuleType("__main__")  # processes that it starts import no pytest
    sys.argv = ["rag-app", *arguments]
    from rag_app.cli import main

    main()


def require_clean(status: int, stderr: str) -> None:
    assert status != NETWORK_USED, stderr
    assert "Traceback" not in stderr, stderr
    assert "Warning" not in stderr, stderr
