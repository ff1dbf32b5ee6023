"""The command `rag-app`: as a process of its own, without any network, or within this one."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAIN = [sys.executable, "-c", "from rag_app.cli import main; main()"]
NETWORK_USED = 99


def environment(storage: Path, network: bool = False, **more: str) -> dict[str, str]:
    """Nothing of this process's settings and keys; with `network` False any connection kills."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAG_APP_", "OPENAI", "HF_", "PYTHONPATH"))
    }
    block = Path(__file__).parent / "no_network"
    path = [str(REPOSITORY)] if network else [str(block), str(REPOSITORY)]
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
    done = subprocess.run(
        [*MAIN, *map(str, arguments)],
        env=environment(storage, **more),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    require_clean(done.returncode, done.stderr)
    return done


def rag_app_here(
    *arguments: str | Path, storage: Path, cwd: Path | None = None, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """`rag_app` within this process, which spares the seconds that imports take.

    For tests of what a command does; nothing guards the network, and logs are pytest's.
    """
    out, err, status = io.StringIO(), io.StringIO(), 0
    command = ["rag-app", *map(str, arguments)]
    variables = {name: value for name, value in variables.items() if name.isupper()}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in os.environ:
            if name.startswith(("RAG_APP_", "OPENAI")):
                patch.delenv(name)
        fixed = {"RAG_APP_STORAGE__PATH": str(storage), "COLUMNS": "200"}
        for name, value in {**fixed, "HF_HUB_DISABLE_PROGRESS_BARS": "1", **variables}.items():
            patch.setenv(name, value)
        if cwd:
            patch.chdir(cwd)
        patch.setattr(sys, "argv", command)
        try:
            _cli().run()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


@cache
def _cli() -> Any:
    from rag_app import cli

    cli.add_commands_above()
    return cli


def require_clean(status: int, stderr: str) -> None:
    assert status != NETWORK_USED, stderr
    assert "Traceback" not in stderr
    assert "Warning" not in stderr
