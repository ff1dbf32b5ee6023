"""Ray, where documents are taken in on a cluster: installed, and reachable."""

import math
import os
import re
import socket
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from rag_app.probes.base import Problem
from rag_app.settings import Ray

_HOST_PORT: Final = re.compile(r"([^/]+):(\d{1,5})")
_NOTE: Final = Path("ray", "ray_current_cluster")
"""Where a Ray that was started on this machine leaves its address, in the folder for scratch."""


def ray(chosen: Ray, seconds: float) -> str:
    """The version that is installed, and whether the cluster accepts connections.

    Importing Ray or joining would take longer than all other probes together.

    Raises:
        Problem: it is not installed, no cluster is found, or nothing listens.
    """
    try:
        installed = version("ray")
    except PackageNotFoundError:
        raise Problem(
            "ingest.engine is ray, and Ray is not installed", hint="pip install 'rag-app[ray]'"
        ) from None
    wanted = f"{math.ceil(chosen.parsers + chosen.actors * chosen.cpus_per_actor)} CPUs wanted"
    if not chosen.address:
        return f"{installed}, started by each ingest; {wanted}, {os.cpu_count()} here"
    where = _found() if chosen.address == "auto" else chosen.address
    _connect(where, seconds)
    return f"{installed}, cluster at {where} accepts connections; {wanted}"


def _found() -> str:
    note = Path(gettempdir()) / _NOTE
    where = os.environ.get("RAY_ADDRESS") or (note.read_text("utf-8") if note.is_file() else "")
    if not where.strip():
        raise Problem(
            "ray.address is auto, and no Ray runs on this machine",
            hint="`ray start --head`, or leave RAG_APP_RAY__ADDRESS empty",
        )
    return where.strip()


def _connect(where: str, seconds: float) -> None:
    match = _HOST_PORT.fullmatch(where)
    if not match:
        raise Problem(f"ray.address is {where!r}", hint="Give it as HOST:PORT, auto or empty")
    try:
        socket.create_connection((match[1], int(match[2])), seconds).close()
    except (OSError, OverflowError) as error:
        raise Problem(
            f"the Ray cluster at {where} cannot be reached",
            cause=str(error) or type(error).__name__,
            hint="Check with `ray status` that it runs, or leave RAG_APP_RAY__ADDRESS empty",
        ) from error
