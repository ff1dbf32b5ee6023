"""The command `rag-app` as a process of its own, without any network."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def require_clean(status: int, stderr: str) -> None:
    assert status != NETWORK_USED, stderr
    assert "Traceback" not in stderr
    assert "Warning" not in stderr
